/**
 * Everything that fails, at random and for as long as is asked: `npm run soak -- --seconds N --seed S`. Agents and their lines, the
 * hub, its name, upstreams, apps and the clock; after each round nothing may be left at work and nothing may have happened that must
 * not; at the end nothing is held that was not held before, and heap, descriptors and timers have not grown from round to round.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createHub, type Hub } from '../../src/index.ts';
import { holdings, returnsTo } from '../helpers/holdings.ts';
import { Ledger } from '../helpers/ledger.ts';
import { Apps, anyPlan, drive } from '../helpers/ledger-apps.ts';
import { type LedgerUpstream, ledgerUpstream } from '../helpers/ledger-upstream.ts';
import { fakeName } from '../helpers/names.ts';
import { seeded } from '../helpers/seeded.ts';
import { closedPort, eventually, LogSink, SECRET, token } from '../helpers/stack.ts';
import { badUpstream, Site } from './site.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const SECONDS = Number(values.seconds ?? 60);
const SEED = Number(values.seed ?? Date.now() % 1_000_000);
const ROUNDS = Math.max(3, Math.min(20, Math.round(SECONDS / 10)));
const WORKERS = 4;
const WIDTH = 24;
const HEARTBEAT = { interval: 400, timeout: 400 };
/** Of the heap, from the second round on: in the first one code is compiled and tables find their size. */
const GROWTH = 0.25;
/** Of descriptors and timers, from the second round on: connections to upstreams are kept, more or less of them. */
const MORE = 16;
const CROWD = 100;
const DAY = 86_400_000;
const NAME = 'hub.soak';
const SETTLED_MS = 30_000;

assert.ok(SECONDS > 0 && Number.isInteger(SEED), 'usage: npm run soak -- --seconds N --seed S');

/** Bytes that live. */
function heap(): number {
	assert.ok(globalThis.gc, '--expose-gc is missing');
	for (let i = 0; i < 3; i++) globalThis.gc();
	return process.memoryUsage().heapUsed;
}

async function startHub(port: number, log: LogSink): Promise<Hub> {
	const options = { host: '127.0.0.1', port, adminPort: 'off' as const, drainTimeout: 2000, heartbeat: HEARTBEAT };
	return createHub({ secret: SECRET, ...options, logger: log.logger });
}

test(`${SECONDS} s of everything that fails, seed ${SEED}`, async (context) => {
	context.diagnostic(`npm run soak -- --seconds ${SECONDS} --seed ${SEED}`);
	const below = seeded(SEED);
	const before = holdings();
	const name = fakeName(context, NAME, ['127.0.0.1']);
	const { now } = Date;
	let set = 0;
	// A mock would keep every call.
	Date.now = () => now() + set;
	context.after(() => {
		Date.now = now;
	});
	const log = new LogSink();
	const ledger = new Ledger();
	const port = await closedPort();
	let hub = await startHub(port, log);
	context.after(() => hub.close());

	const services: LedgerUpstream[] = [];
	const sites: Site[] = [];
	const open = async (upstream: string, active: () => number) => {
		const id = `site-${sites.length}`;
		const given = { port, token: await token(), id, hubName: NAME, numWorker: WORKERS, heartbeat: HEARTBEAT };
		sites.push(await Site.open(context, { ...given, upstream, active, below, logger: log.logger }));
	};
	for (const protocol of ['http/1.1', 'h2c', 'http/1.1', 'h2c'] as const) {
		const service = await ledgerUpstream(context, ledger, protocol);
		services.push(service);
		await open(service.address, () => service.active);
	}
	const bad = await badUpstream(context, ledger, below);
	await open(bad.address, () => 0);

	const suffered: Record<string, number> = {};
	const happened = (what: string) => {
		suffered[what] = (suffered[what] ?? 0) + 1;
	};
	const restart = async () => {
		const old = hub;
		if (below(2) === 0) await old.drain();
		else await old.close();
		hub = await startHub(port, log);
		happened('hub started again');
	};

	const heaps: number[] = [];
	const held: number[][] = [];
	for (let round = 1; round <= ROUNDS; round++) {
		const until = performance.now() + (SECONDS * 1000) / ROUNDS;
		const goesOn = () => performance.now() < until;
		const apps = new Apps({ port, ledger, headers: { 'slime-block': '1', 'slime-queue-timeout': '2' } });
		const crowd = new Apps({ port, ledger });
		const misfortunes = sites.map(async (site) => {
			while (goesOn()) {
				await sleep(100 + below(1500));
				happened(await site.suffer());
			}
		});
		const one = async (): Promise<string> => {
			const service = services[below(services.length)];
			switch (below(6)) {
				case 0:
					// Nobody waits, so most are refused.
					await Promise.all(Array.from({ length: CROWD }, () => crowd.request(anyPlan(below))));
					return 'crowd';
				case 1:
					// Forth and back, but not to before the tokens were made: they would be refused.
					set = below(2) * DAY;
					return 'clock set';
				case 2:
					name.addresses = [];
					sites[below(sites.length)]?.proxy.cut('reset');
					await sleep(below(1500));
					name.addresses = ['127.0.0.1'];
					return 'name lost';
				case 3:
					await service?.refuse(50 + below(500));
					return 'upstream down';
				default:
					service?.cut();
					return 'upstream cut';
			}
		};
		const others = async () => {
			while (goesOn()) {
				await sleep(500 + below(2000));
				happened(await one());
			}
		};
		const hubs = async () => {
			await sleep(below((SECONDS * 1000) / ROUNDS));
			await restart();
		};
		await Promise.all([
			drive({ apps, width: WIDTH, next: () => anyPlan(below), goesOn }),
			others(),
			hubs(),
			...misfortunes,
		]);
		apps.close();
		crowd.close();

		await Promise.all(sites.map((site) => site.recover()));
		await eventually('all agents are back', () => sites.every((site) => site.connected), SETTLED_MS);
		await eventually(
			'nothing is left at work',
			() => hub.leased === 0 && hub.waiting === 0 && services.every(({ active }) => active === 0),
			SETTLED_MS,
		);
		for (const { peak } of services) ledger.limited(peak, WORKERS);
		assert.deepEqual(ledger.violations, []);
		assert.equal(ledger.outcomes.open, undefined);
		ledger.close();
		log.lines.length = 0;
		heaps.push(heap());
		const { descriptors, resources } = holdings();
		held.push([descriptors, resources.Timeout ?? 0]);
	}
	context.diagnostic(JSON.stringify(suffered));
	context.diagnostic(`${ledger.size} requests: ${JSON.stringify(ledger.outcomes)}`);
	context.diagnostic(`heap after each round: ${heaps.map((bytes) => (bytes / 1024 / 1024).toFixed(1)).join(' ')} MiB`);
	assert.ok((ledger.outcomes.whole ?? 0) > 10 * ROUNDS, 'next to nothing was served');
	const [, second = 0] = heaps;
	context.diagnostic(`descriptors and timers after each round: ${held.map((counts) => counts.join('+')).join(' ')}`);
	for (const [i, was] of (held[1] ?? []).entries())
		assert.ok((held.at(-1)?.[i] ?? 0) <= was + MORE, 'more is held each round');
	const last = heaps.at(-1) ?? 0;
	assert.ok(last < second * (1 + GROWTH), `the heap grew from ${second} to ${last} bytes`);

	for (const site of sites) await site.close();
	for (const service of services) await service.close();
	bad.close();
	await hub.close();
	await returnsTo(before);
});

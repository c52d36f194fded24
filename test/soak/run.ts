/**
 * Everything that fails, at random and for as long as is asked: `npm run soak -- --seconds N --seed S`. Agents and their lines, the
 * hub, its name, upstreams, apps, file descriptors and the clock; after each round nothing may be left at work and nothing may have
 * happened that must not; at the end nothing is held that was not held before, and heap, descriptors and timers have not grown from
 * round to round.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
// What createAgent and createHub load when they are called: the compiler that tsx may start for it is there before anything is counted.
import '../../src/agent/agent.ts';
import '../../src/hub/hub.ts';
import { createHub, type Hub } from '../../src/index.ts';
import { DescriptorLimit } from '../helpers/descriptor-limit.ts';
import { holdings, returnsTo } from '../helpers/holdings.ts';
import { Ledger } from '../helpers/ledger.ts';
import { Apps, anyPlan, drive } from '../helpers/ledger-apps.ts';
import { type LedgerUpstream, ledgerUpstream } from '../helpers/ledger-upstream.ts';
import { fakeName } from '../helpers/names.ts';
import { closedPort } from '../helpers/ports.ts';
import { seeded } from '../helpers/seeded.ts';
import { eventually, LogSink, SECRET, token } from '../helpers/stack.ts';
import { AgentProcesses } from './agent-process.ts';
import { badUpstream } from './bad-upstream.ts';
import { agentHere } from './runner.ts';
import { LEAST_DESCRIPTORS, type Service, Site, type SiteOptions } from './site.ts';
import { Turns } from './turns.ts';
import { witness } from './witness.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const SECONDS = Number(values.seconds ?? 60);
const SEED = Number(values.seed ?? Date.now() % 1_000_000);
const ROUNDS = Math.max(3, Math.min(20, Math.round(SECONDS / 10)));
const WORKERS = 4;
const WIDTH = 24;
const HEARTBEAT = { interval: 400, timeout: 400 };
/** Of the heap, from the second round on: in the first one code is compiled and tables find their size. */
const GROWTH = 0.25;
/** Of descriptors and timers, from the second round on: all agents are new, and what they had before is gone or about to go. */
const MORE = 6;
const CROWD = 100;
const DAY = 86_400_000;
const NAME = 'hub.soak';
const SETTLED_MS = 30_000;
/** Of the agent that nothing befalls but what befalls everybody. */
const STEADY = 'steady';
const FOUND_DEAD = 'does not answer any more';
const SEEDS = 2 ** 31;
/** Milliseconds: a soak that hangs has failed. Rounds take longer than they have to where the machine is slow. */
const LIMIT = 10 * 60_000 + 6 * SECONDS * 1000;

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

test(`${SECONDS} s of everything that fails, seed ${SEED}`, { timeout: LIMIT }, async (context) => {
	context.diagnostic(`npm run soak -- --seconds ${SECONDS} --seed ${SEED}`);
	const seeds = seeded(SEED);
	// Each has choices of its own: whoever is slower changes nothing of what befalls the others.
	const choices = () => seeded(seeds(SEEDS));
	const port = await closedPort();
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
	let hub = await startHub(port, log);
	context.after(() => hub.close());

	const services: LedgerUpstream[] = [];
	const serve = async (protocol: 'http/1.1' | 'h2c') => {
		const service = await ledgerUpstream(context, ledger, protocol);
		services.push(service);
		return service;
	};
	const sites: Site[] = [];
	/** Descriptors are out, a hub or a process is starting: one of them at a time. */
	const turns = new Turns();
	const processes = new AgentProcesses(context);
	const open = async (at: readonly Service[], start: SiteOptions['start']) => {
		const site = await Site.open(context, { port, services: at, start, spawning: turns, below: choices() });
		sites.push(site);
		return site;
	};
	const given = async (scope?: string) => ({
		token: await token(scope === undefined ? {} : { name: scope, scopes: [scope] }),
		id: `site-${sites.length}`,
		numWorker: WORKERS,
		heartbeat: HEARTBEAT,
		drainTimeout: 3000,
		connectTimeout: 1000,
	});
	const openHere = async (at: readonly Service[], scope?: string) => {
		const { id: agentID, ...options } = await given(scope);
		return open(at, (hub, upstream) => {
			const hubs = [hub.replace('127.0.0.1', NAME)];
			const start = () => agentHere({ ...options, agentID, hubs, upstreams: [upstream], reportHardware: false });
			return start().catch((error) => {
				if (error.code !== 'EMFILE') throw error;
				return turns.take(start);
			});
		});
	};
	for (const protocol of ['http/1.1', 'h2c', 'http/1.1', 'h2c'] as const) {
		await openHere([await serve(protocol), await serve(protocol)]);
	}
	const bad = await badUpstream(context, ledger, choices());
	await openHere([{ address: bad.address, active: 0 }]);
	const apart = await given();
	await open([await serve('http/1.1'), await serve('h2c')], (hub, upstream) =>
		turns.take(() => processes.start({ ...apart, hub, upstream })),
	);
	const unlucky = [...sites];
	const steady = await openHere([await serve('http/1.1')], STEADY);

	const suffered: Record<string, number> = {};
	const happened = (what: string) => {
		suffered[what] = (suffered[what] ?? 0) + 1;
	};
	const restart = async (gracefully: boolean) => {
		const old = hub;
		await (gracefully ? old.drain() : old.close());
		hub = await startHub(port, log);
		happened('hub started again');
	};
	const foundDead = () => {
		const byHub = log.lines.filter(({ token, msg }) => token === STEADY && String(msg).includes(FOUND_DEAD));
		return byHub.length + steady.said(FOUND_DEAD);
	};
	/** The hub's, its agents', their upstreams' and their apps': all are in this process. */
	const withoutDescriptors = async (percent: number, ms: number) => {
		const limit = await DescriptorLimit.of(process.pid);
		await witness({ port, ledger, scope: STEADY, foundDead }, async () => {
			await limit.lower(percent);
			await sleep(ms);
			await limit.putBack();
		});
	};

	const heaps: number[] = [];
	const held: number[][] = [];
	for (let round = 1; round <= ROUNDS; round++) {
		const until = performance.now() + (SECONDS * 1000) / ROUNDS;
		let failed = false;
		const goesOn = () => !failed && performance.now() < until;
		const apps = new Apps({ port, ledger, headers: { 'slime-block': '1', 'slime-queue-timeout': '2' } });
		const crowd = new Apps({ port, ledger });
		const [plans, below, restarts] = [choices(), choices(), choices()];
		const misfortunes = unlucky.map(async (site) => {
			const pauses = choices();
			while (goesOn()) {
				await sleep(100 + pauses(1500));
				happened(await site.suffer());
			}
		});
		const one = async (): Promise<string> => {
			const service = services[below(services.length)];
			switch (below(7)) {
				case 0:
					// Nobody waits, so most are refused.
					await Promise.all(Array.from({ length: CROWD }, () => crowd.request(anyPlan(plans))));
					return 'crowd';
				case 1:
					// Forth and back, but not to before the tokens were made: they would be refused.
					set = below(2) * DAY;
					return 'clock set';
				case 2:
					name.addresses = [];
					unlucky[below(unlucky.length)]?.proxy.cut('reset');
					await sleep(below(1500));
					name.addresses = ['127.0.0.1'];
					return 'name lost';
				case 3:
					await service?.refuse(50 + below(500));
					return 'upstream down';
				case 4: {
					const [percent, ms] = [LEAST_DESCRIPTORS + below(100 - LEAST_DESCRIPTORS), below(2000)];
					await turns.take(() => withoutDescriptors(percent, ms));
					return 'descriptors out';
				}
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
			await sleep(restarts((SECONDS * 1000) / ROUNDS));
			await turns.take(() => restart(restarts(2) === 0));
		};
		const load = drive({ apps, width: WIDTH, next: () => anyPlan(plans), goesOn });
		const all = [load, others(), hubs(), ...misfortunes];
		for (const one of all) {
			one.catch(() => {
				failed = true;
			});
		}
		// Nobody starts anything any more when the test ends, be it by a failure.
		await Promise.allSettled(all);
		await Promise.all(all);
		apps.close();
		crowd.close();

		await Promise.all(sites.map((site) => site.recover()));
		await eventually(
			'all agents are back, once each',
			() => sites.every((site) => site.connected) && hub.agents === sites.length,
			SETTLED_MS,
		);
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

/** Ten times the connections and the requests that a hub can serve, for as long as is wanted, and what became of them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { resetPeak, resident } from '../load/processes.ts';
import { descriptorsOf } from './descriptors.ts';
import { joined, startHub } from './hub-process.ts';
import { Ledger } from './ledger.ts';
import { Apps, type Plan } from './ledger-apps.ts';
import { ledgerUpstream } from './ledger-upstream.ts';
import { closedPort } from './ports.ts';
import { eventually, WAITS } from './stack.ts';

const CONNECTIONS = 150;
const APPS = 10 * CONNECTIONS;
const WORKERS = 2;
const QUEUE = 30;
/** Some 60 ms at the upstream: 2 workers serve about 30 a second, and 150 connections ask for about 300. */
const PLAN: Plan = { protocol: 'http/1.1', up: 0, down: 1000, framing: 'chunked', pace: 12 };
const AGAIN_MS = 400;
const RECONNECT_MS = 3000;
const MEMORY = 200 * 1024 * 1024;
const TRIES = 5;

export interface Overload {
	/** Milliseconds that refusals took as the apps of the load saw it, sorted. */
	readonly refused: readonly number[];
}

/**
 * Fails unless everything is refused or served whole, memory stays small, and the hub is afterwards as it was.
 * @param backWithin milliseconds in which requests are again as quick as before
 * @param around runs beside the load, from before it; what it returns is called when the load is over
 */
export async function overload(
	context: TestContext,
	seconds: number,
	backWithin: number,
	around: (port: number) => Promise<() => Promise<void>> = async () => async () => undefined,
): Promise<Overload> {
	const port = await closedPort();
	const hub = startHub(context, port, {
		env: { SLIME_HUB_MAX_CONNECTIONS: `${CONNECTIONS}`, SLIME_HUB_QUEUE_MAX: `${QUEUE}` },
		limit: 60_000 + 3000 * seconds,
	});
	await hub.output(/"the hub listens"/);
	const ledger = new Ledger();
	const service = await ledgerUpstream(context, ledger);
	const { agent } = await joined(context, port, [service.address], { numWorker: WORKERS });
	/** The quickest of a few requests, each on a connection of its own. */
	const latency = async () => {
		const times: number[] = [];
		for (let i = 0; i < TRIES; i++) {
			const apps = new Apps({ port, ledger, headers: WAITS });
			const began = performance.now();
			assert.equal(await apps.request(PLAN), 'whole');
			times.push(performance.now() - began);
			apps.close();
		}
		return Math.min(...times);
	};
	const usual = await latency();
	const { pid } = hub.child;
	assert.ok(pid !== undefined);
	const before = descriptorsOf(pid);
	resetPeak(pid);
	const start = resident(pid, 'VmRSS');
	const over = await around(port);

	const refused: number[] = [];
	const until = performance.now() + seconds * 1000;
	const app = async (number: number) => {
		// Every other one waits in the queue if there is room.
		const apps = new Apps({ port, ledger, headers: number % 2 === 0 ? WAITS : {} });
		await sleep((number / APPS) * 1000);
		while (performance.now() < until) {
			const began = performance.now();
			const outcome = await apps.request(PLAN);
			if (outcome === 'busy' || outcome === 'queue_full') refused.push(performance.now() - began);
			await sleep(outcome === 'unreachable' ? RECONNECT_MS : AGAIN_MS);
		}
		apps.close();
	};
	await Promise.all(Array.from({ length: APPS }, (_, number) => app(number)));
	await over();

	context.diagnostic(JSON.stringify(ledger.outcomes));
	const { whole = 0, busy = 0, queue_full = 0, unreachable = 0, ...others } = ledger.outcomes;
	assert.deepEqual(others, {});
	assert.deepEqual(ledger.violations, []);
	assert.ok(service.peak <= WORKERS);
	assert.ok(whole > seconds, `${whole} were served`);
	assert.ok(busy + queue_full > whole, `${busy + queue_full} were refused`);
	assert.ok(unreachable > APPS / 2, `${unreachable} could not connect`);
	const grown = resident(pid, 'VmHWM') - start;
	context.diagnostic(`${(grown / 1024 / 1024).toFixed(0)} MiB more at most`);
	assert.ok(grown < MEMORY, `${grown} bytes more`);

	await eventually('the connections are gone', () => descriptorsOf(pid) <= before);
	const ended = performance.now();
	assert.equal(agent.connected, 1);
	let now = await latency();
	while (now > 2 * usual && performance.now() - ended < backWithin) now = await latency();
	context.diagnostic(`a request took ${usual.toFixed(0)} ms before and ${now.toFixed(0)} ms after`);
	assert.ok(now <= 2 * usual, `a request takes ${now} ms instead of ${usual}`);
	return { refused: refused.sort((a, b) => a - b) };
}

/** @param sorted lowest first */
export function percentile(sorted: readonly number[], share: number): number {
	return sorted[Math.floor(sorted.length * share)] ?? 0;
}

/** Ten times the connections and the requests that can be served: refusals come quickly, what is admitted is served, and it passes. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { joined, startHub } from '../helpers/hub-process.ts';
import { Ledger } from '../helpers/ledger.ts';
import { Apps, type Plan } from '../helpers/ledger-apps.ts';
import { ledgerUpstream } from '../helpers/ledger-upstream.ts';
import { closedPort, eventually, WAITS } from '../helpers/stack.ts';
import { resetPeak, resident } from '../load/processes.ts';

const CONNECTIONS = 150;
const APPS = 10 * CONNECTIONS;
const WORKERS = 2;
const QUEUE = 30;
/** Some 60 ms at the upstream: 2 workers serve about 30 a second, and 150 connections ask for about 300. */
const PLAN: Plan = { protocol: 'http/1.1', up: 0, down: 1000, framing: 'chunked', pace: 12 };
const AGAIN_MS = 400;
const RECONNECT_MS = 3000;
const LASTS_MS = 9000;
const REFUSED_WITHIN_MS = 3000;
const MEMORY = 200 * 1024 * 1024;

test('under ten times its load a hub refuses quickly, serves whom it admits, stays small, and is as before afterwards', async (context) => {
	const port = await closedPort();
	const hub = startHub(context, port, {
		env: { SLIME_HUB_MAX_CONNECTIONS: `${CONNECTIONS}`, SLIME_HUB_QUEUE_MAX: `${QUEUE}` },
	});
	await hub.output(/"the hub listens"/);
	const ledger = new Ledger();
	const service = await ledgerUpstream(context, ledger);
	const { agent } = await joined(context, port, [service.address], { numWorker: WORKERS });
	const first = new Apps({ port, ledger, headers: WAITS });
	assert.equal(await first.request(PLAN), 'whole');
	first.close();
	const { pid } = hub.child;
	assert.ok(pid !== undefined);
	const descriptors = () => readdirSync(`/proc/${pid}/fd`).length;
	const before = descriptors();
	resetPeak(pid);
	const start = resident(pid, 'VmRSS');

	const refused: number[] = [];
	const until = performance.now() + LASTS_MS;
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

	context.diagnostic(JSON.stringify(ledger.outcomes));
	const { whole = 0, busy = 0, queue_full = 0, unreachable = 0, ...others } = ledger.outcomes;
	assert.deepEqual(others, {});
	assert.deepEqual(ledger.violations, []);
	assert.ok(service.peak <= WORKERS);
	assert.ok(whole > 50, `${whole} were served`);
	assert.ok(busy + queue_full > 2 * whole, `${busy + queue_full} were refused`);
	assert.ok(unreachable > APPS - CONNECTIONS, `${unreachable} could not connect`);
	refused.sort((a, b) => a - b);
	const p99 = refused[Math.floor(refused.length * 0.99)] ?? 0;
	context.diagnostic(`refused within ${p99.toFixed(0)} ms (p99)`);
	assert.ok(p99 < REFUSED_WITHIN_MS, `refused after ${p99} ms`);
	const grown = resident(pid, 'VmHWM') - start;
	context.diagnostic(`${(grown / 1024 / 1024).toFixed(0)} MiB more at most`);
	assert.ok(grown < MEMORY, `${grown} bytes more`);

	await eventually('the connections are gone', () => descriptors() <= before);
	assert.equal(agent.connected, 1);
	const apps = new Apps({ port, ledger });
	assert.equal(await apps.request(PLAN), 'whole');
	apps.close();
});

/** Clocks that are set while a hub and its agents run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNoErrors, scene } from '../helpers/fault-scene.ts';
import type { Plan } from '../helpers/ledger-apps.ts';
import { eventually } from '../helpers/stack.ts';

const DAY = 86_400_000;
const EVENTS: Plan = { protocol: 'http/1.1', up: 0, down: 20_000, framing: 'chunked', pace: 10 };

for (const [where, ms] of [
	['forth', DAY],
	['back', -DAY],
] as const) {
	test(`a clock that is set ${where} by a day ends no tunnel, no stream and nobody's wait`, async (context) => {
		const heartbeat = { interval: 200, timeout: 1000 };
		const { hub, log, sites, apps, settle, ledger } = await scene(context, {
			hub: { heartbeat },
			agent: { heartbeat, numWorker: 2 },
		});
		const running = [apps.request(EVENTS), apps.request({ ...EVENTS, protocol: 'http/2' })];
		await eventually('they run', () => ledger.receivedOf(0) > 0 && ledger.receivedOf(1) > 0);
		const waiting = apps.request({ ...EVENTS, down: 1000 });
		await eventually('one waits', () => hub.waiting === 1);
		const { now } = Date;
		context.mock.method(Date, 'now', () => now() + ms);
		assert.deepEqual(await Promise.all([...running, waiting]), ['whole', 'whole', 'whole']);
		assert.equal(log.has('does not answer any more'), false);
		assert.equal(hub.agents, 1);
		// One that comes back afterwards is let in.
		const [site] = sites;
		site?.proxy.cut('reset');
		await eventually('it is back', () => site?.proxy.accepted === 2 && site.agent.connected === 1 && hub.agents === 1);
		assert.equal(await apps.request({ ...EVENTS, down: 1000 }), 'whole');
		await settle();
		assertNoErrors(ledger);
	});
}

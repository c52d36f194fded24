/** Two agents that have one identity, by a copied disk image for instance. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { Arrivals, ask, eventually, LogSink, stack, token, upstream } from '../helpers/stack.ts';

/** Milliseconds, for limits that are not to be met where time is the test's. */
const FOR_EVER = 1_000_000;

test('of two agents with one identity the newer serves, the older finishes what it has, backs off and says why, until the newer is gone', async (context) => {
	const arrivals = new Arrivals();
	const olderService = await upstream(context, arrivals.handler);
	const newerService = await upstream(context, (_req, res) => res.end('newer'));
	const { hub, port, log } = await stack(context, [], { hub: { headersTimeout: FOR_EVER } });
	const identity = {
		token: await token(),
		agentID: 'twin',
		hubs: [hub.url],
		reportHardware: false,
		connectTimeout: FOR_EVER,
	};
	const olderLog = new LogSink();
	const older = await createAgent({ ...identity, upstreams: [olderService.address], logger: olderLog.logger });
	context.after(() => older.close());
	await eventually('the older is there', () => hub.agents === 1);
	const running = ask(port);
	const [, res] = await arrivals.next();

	mock.timers.enable({ apis: ['setTimeout'] });
	context.after(() => mock.timers.reset());
	const newer = await createAgent({ ...identity, upstreams: [newerService.address] });
	context.after(() => newer.close());
	await eventually('the older says why', () =>
		olderLog.has('another agent with this token and this id took our place'),
	);
	await eventually('the newer serves', () => newer.connected === 1 && hub.agents > 0);
	assert.equal((await ask(port, '/', { headers: { 'slime-block': '1' } })).body, 'newer');
	res.end('older');
	assert.equal((await running).body, 'older');

	// It asks again after 15 s at the earliest, and is told that its place is taken: the two do not take turns.
	assert.deepEqual([older.connected, newer.connected], [0, 1]);
	mock.timers.tick(14_999);
	await eventually('the older asks again', () => {
		mock.timers.tick(100);
		return olderLog.has('another agent with this token and this id has our place');
	});
	const [told, again] = olderLog.lines.filter(({ msg }) => String(msg).includes('give each an --agentID'));
	for (const line of [told, again]) {
		const wait = Number(line?.retryInMs);
		assert.ok(wait >= 15_000 && wait <= 30_000, `${wait} ms`);
		assert.equal(line?.level, 'error');
	}
	assert.deepEqual([older.connected, newer.connected], [0, 1]);
	assert.equal(log.lines.filter(({ msg }) => msg === 'agent connected').length, 2);
	assert.equal((await ask(port)).body, 'newer');

	await newer.close();
	await eventually('the older is taken back', () => {
		mock.timers.tick(100);
		return older.connected === 1 && hub.agents === 1;
	});
	const answer = ask(port);
	const [, last] = await arrivals.next();
	last.end('older again');
	assert.equal((await answer).body, 'older again');
});

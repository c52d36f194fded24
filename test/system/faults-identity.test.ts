/** Two agents that have one identity, by a copied disk image for instance. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAgent } from '../../src/index.ts';
import { Arrivals, ask, eventually, LogSink, stack, token, upstream } from '../helpers/stack.ts';

test('of two agents with one identity the newer serves, the older finishes what it has, backs off and says why', async (context) => {
	const arrivals = new Arrivals();
	const olderService = await upstream(context, arrivals.handler);
	const newerService = await upstream(context, (_req, res) => res.end('newer'));
	const { hub, port, log } = await stack(context);
	const identity = { token: await token(), agentID: 'twin', hubs: [hub.url], reportHardware: false };
	const olderLog = new LogSink();
	const older = await createAgent({ ...identity, upstreams: [olderService.address], logger: olderLog.logger });
	context.after(() => older.close());
	await eventually('the older is there', () => hub.agents === 1);
	const running = ask(port);
	const [, res] = await arrivals.next();

	const newer = await createAgent({ ...identity, upstreams: [newerService.address] });
	context.after(() => newer.close());
	await eventually('the older says why', () =>
		olderLog.has('another agent with this token and this id took our place'),
	);
	await eventually('the newer serves', () => newer.connected === 1 && hub.agents > 0);
	assert.equal((await ask(port, '/', { headers: { 'slime-block': '1' } })).body, 'newer');
	res.end('older');
	assert.equal((await running).body, 'older');

	// Longer than any back-off but that of an agent which was replaced, 15 s at least: they do not take turns.
	await sleep(2000);
	assert.deepEqual([older.connected, newer.connected], [0, 1]);
	assert.equal(log.lines.filter(({ msg }) => msg === 'agent connected').length, 2);
	assert.equal((await ask(port)).body, 'newer');
});

/** Ends that were asked for: what is under way may finish, but not for longer than the drain timeout. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FrameType } from '../../src/h2/protocol.ts';
import { createAgent } from '../../src/index.ts';
import { RawPeer, GET as SECTION, settingsFrame } from '../helpers/h2-peer.ts';
import { RawHub } from '../helpers/raw-tunnels.ts';
import {
	Arrivals,
	ask,
	assertError,
	eventually,
	RawClient,
	stack,
	token,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const SAID = 'the drain timeout has passed: requests under way are cut';

test('a hub that drains for longer than its drain timeout cuts what is under way, answers what waits, and says so', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, log } = await stack(t, [service.address], { hub: { drainTimeout: 500 } });
	const client = await RawClient.open(t, port);
	client.send(GET);
	const [, res] = await arrivals.next();
	res.write('half');
	await client.sees('half');
	const queued = ask(port, '/', { headers: BLOCK });
	await eventually('one waits', () => hub.waiting === 1);
	const began = performance.now();
	const drained = hub.drain();
	assertError(await queued, 503, 'draining');
	assert.ok(performance.now() - began > 400, 'it was not given its time');
	// What was cut never looks complete.
	assert.match(await client.all(), /\r\n4\r\nhalf\r\n$/);
	await drained;
	assert.ok(performance.now() - began < 8000);
	assert.ok(log.has(SAID));
	assert.deepEqual([hub.agents, hub.leased, hub.waiting], [0, 0, 0]);
	await eventually('the upstream saw its connection close', () => service.active === 0);
	assert.equal(service.served, 1);
});

test('an agent that drains for longer than its drain timeout cuts what is under way, and says so', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, log, join } = await stack(t);
	const agent = await join(service.address, { numWorker: 2, drainTimeout: 500 });
	const client = await RawClient.open(t, port);
	client.send(GET);
	const [, res] = await arrivals.next();
	res.write('half');
	await client.sees('half');
	const unanswered = ask(port, '/', { headers: BLOCK });
	await arrivals.next();
	await agent.drain();
	assert.ok(log.has(SAID));
	assert.match(await client.all(), /\r\n4\r\nhalf\r\n$/);
	// It may have started, so it goes nowhere else.
	assertError(await unanswered, 502, 'agent_lost');
	assert.equal(service.served, 2);
	await eventually('the upstream saw its connections close', () => service.active === 0);
	await eventually('the slots are free', () => hub.leased === 0 && hub.agents === 0);
});

for (const who of ['hub', 'agent'] as const) {
	test(`a drain of the ${who} with nothing under way ends at once, without a word of its timeout`, async (t) => {
		const service = await upstream(t, (_req, res) => void res.end('ok'));
		const { port, hub, log, join } = await stack(t);
		const agent = await join(service.address);
		// A connection that is kept alive is not under way.
		const client = await RawClient.open(t, port);
		client.send(GET);
		await client.sees('ok');
		const began = performance.now();
		await (who === 'hub' ? hub.drain() : agent.drain());
		assert.ok(performance.now() - began < 8000);
		assert.ok(!log.has(SAID));
		if (who === 'hub') await client.all();
	});
}

test('a request that waits while its only agent drains is served by the next agent', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, join } = await stack(t);
	const leaving = await join(service.address);
	const first = ask(port);
	const [, res] = await arrivals.next();
	const queued = ask(port, '/', { method: 'POST', body: 'queued', headers: BLOCK });
	await eventually('one waits', () => hub.waiting === 1);
	const drained = leaving.drain();
	await join(service.address);
	const [, next] = await arrivals.next();
	next.end('of the next');
	assert.equal((await queued).body, 'of the next');
	res.end('of the first');
	assert.equal((await first).body, 'of the first');
	await drained;
	assert.equal(service.served, 2);
});

// A process that ended before would send a reset to whoever still sends, who then loses what it has not read yet.

test('an agent has drained when its hub has closed the connection, too', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const hub = await RawHub.open(t);
	const agent = await createAgent({
		token: await token(),
		hubs: [hub.url],
		upstreams: [service.address],
		agentID: 'a',
		reportHardware: false,
	});
	t.after(() => agent.close());
	const tunnel = await hub.tunnel();
	tunnel.send(tunnel.headers(1, SECTION));
	await tunnel.next(FrameType.DATA);
	t.mock.timers.enable({ apis: ['setTimeout'] });
	let over = false;
	const drained = agent.drain().then(() => {
		over = true;
	});
	await tunnel.closed();
	for (let i = 0; i < 20; i++) await turn();
	assert.equal(over, false);
	tunnel.socket.end();
	await drained;
});

test('a hub has drained when apps have closed their connections, too', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const { port, hub } = await stack(t, [service.address]);
	const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	t.after(() => socket.destroy());
	const app = new RawPeer(socket, 'client');
	app.send(settingsFrame(), app.headers(1, SECTION));
	await app.next(FrameType.DATA);
	await workerFree(hub);
	const began = performance.now();
	let over = false;
	const drained = hub.drain().then(() => {
		over = true;
	});
	await app.closed();
	await eventually('the tunnel is closed', () => hub.agents === 0);
	for (let i = 0; i < 20; i++) await turn();
	// It waits for a second, which may have passed on a slow machine.
	assert.ok(!over || performance.now() - began >= 1000);
	socket.end();
	await drained;
});

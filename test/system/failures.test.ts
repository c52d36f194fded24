/** What an app is told when a request that was admitted cannot be served: every 502, 503 and 504 before response headers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closedPort } from '../helpers/ports.ts';
import {
	Arrivals,
	answering,
	ask,
	assertError,
	eventually,
	RawClient,
	rawUpstream,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };

test('an upstream that refuses connections is 502 upstream_unreachable', async (t) => {
	const { port } = await stack(t, [`127.0.0.1:${await closedPort()}`]);
	for (let i = 0; i < 3; i++) assertError(await ask(port), 502, 'upstream_unreachable');
	assertError(await ask(port, '/', { method: 'POST', body: 'x', headers: BLOCK }), 502, 'upstream_unreachable');
});

test('an upstream that closes without a byte is 502 upstream_unreachable, and the request is not sent twice', async (t) => {
	let requests = 0;
	const closing = await rawUpstream(t, (socket) =>
		socket.on('data', () => {
			requests++;
			socket.end();
		}),
	);
	const { port } = await stack(t, [closing, closing]);
	assertError(await ask(port, '/', { method: 'POST', body: 'x' }), 502, 'upstream_unreachable');
	assert.equal(requests, 1);
});

test('an upstream that resets the connection without a byte is 502 upstream_unreachable, and the request is not sent twice', async (t) => {
	let requests = 0;
	const resetting = await rawUpstream(t, (socket) =>
		socket.on('data', () => {
			requests++;
			socket.resetAndDestroy();
		}),
	);
	const { port } = await stack(t, [resetting, resetting]);
	for (const method of ['GET', 'POST']) {
		assertError(await ask(port, '/', { method, headers: BLOCK }), 502, 'upstream_unreachable');
	}
	assert.equal(requests, 2);
});

test('an upstream whose name cannot be resolved is 502 upstream_unreachable', async (t) => {
	// RFC 6761 section 6.4: nothing is ever called so.
	const { port } = await stack(t, ['http://upstream.invalid:80'], { agent: { connectTimeout: 2000 } });
	assertError(await ask(port), 502, 'upstream_unreachable');
});

test('a request that every agent has refused gets the reason of the last, once for each agent', async (t) => {
	const refusing = `127.0.0.1:${await closedPort()}`;
	const { port, hub } = await stack(t, [refusing, refusing, refusing]);
	const answer = await ask(port, '/', { method: 'POST', body: 'x', headers: BLOCK });
	assertError(answer, 502, 'upstream_unreachable');
	await eventually('the slots are free', () => hub.leased === 0 && hub.waiting === 0);
});

for (const [what, bytes] of Object.entries({
	'no HTTP': 'SSH-2.0-OpenSSH\r\n\r\n',
	'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
	'length and chunks': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
	'headers over 256 KiB': `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300 * 1024)}\r\nContent-Length: 0\r\n\r\n`,
	'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
})) {
	test(`an upstream that answers with ${what} is 502 upstream_protocol, and the agent goes on`, async (t) => {
		let good = false;
		const address = await rawUpstream(t, (socket) =>
			answering(good ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' : bytes)(socket),
		);
		const { port, hub } = await stack(t, [address]);
		assertError(await ask(port), 502, 'upstream_protocol');
		good = true;
		await workerFree(hub);
		assert.equal((await ask(port)).body, 'ok');
	});
}

test('an agent that is lost before the response began is 502 agent_lost', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, join } = await stack(t);
	const agent = await join(service.address);
	const answer = ask(port);
	await arrivals.next();
	await agent.close();
	assertError(await answer, 502, 'agent_lost');
});

test('without an agent 503 no_agent, without a free worker 503 busy', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, join } = await stack(t);
	assertError(await ask(port), 503, 'no_agent');
	await join(service.address);
	const first = ask(port);
	const [, res] = await arrivals.next();
	assertError(await ask(port), 503, 'busy');
	assertError(await ask(port, '/', { headers: { 'slime-block': '0' } }), 503, 'busy');
	assertError(await ask(port, '/', { headers: { 'slime-scope': 'other' } }), 503, 'no_agent');
	res.end('done');
	assert.equal((await first).body, 'done');
});

test('past `concurrent` a request is treated as if all were busy', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address], { hub: { concurrent: 1 }, agent: { numWorker: 4 } });
	const first = ask(port);
	const [, res] = await arrivals.next();
	assertError(await ask(port), 503, 'busy');
	const second = ask(port, '/', { headers: BLOCK });
	res.end('1');
	await first;
	const [, next] = await arrivals.next();
	next.end('2');
	assert.equal((await second).body, '2');
});

test('a full queue is 503 queue_full, a wait too long 503 queue_timeout', async (t) => {
	const { port, hub } = await stack(t, [], {
		hub: { queue: { mode: 'header', max: 1, timeout: 300_000, maxBytes: 1024 * 1024 } },
	});
	const first = ask(port, '/', { headers: { ...BLOCK, 'slime-queue-timeout': '3' } });
	await eventually('one waits', () => hub.waiting === 1);
	const second = { ...BLOCK, 'slime-queue-timeout': '0.05' };
	assertError(await ask(port, '/', { headers: second }), 503, 'queue_full');
	assertError(await first, 503, 'queue_timeout');
	assert.equal(hub.waiting, 0);
});

test('a response later than the hub allows is 504 upstream_timeout, and the upstream stops', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address], { hub: { firstByteTimeout: 200 } });
	assertError(await ask(port), 504, 'upstream_timeout');
	await eventually('the upstream saw the connection close', () => service.active === 0);
	await workerFree(hub);
});

test('a response later than the agent allows is 504 upstream_timeout, and the upstream stops', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address], { agent: { firstByteTimeout: 500 } });
	assertError(await ask(port), 504, 'upstream_timeout');
	await eventually('the upstream saw the connection close', () => service.active === 0);
	await workerFree(hub);
});

test('while draining, open connections get 503 draining and what is under way finishes', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
	const [, res] = await arrivals.next();
	const queued = ask(port, '/', { headers: BLOCK });
	await eventually('one waits', () => hub.waiting === 1);
	const drained = hub.drain();
	await assert.rejects(ask(port), { code: 'ECONNREFUSED' });
	client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
	res.end('first');
	const [, next] = await arrivals.next();
	next.end('2');
	assert.equal((await queued).body, '2');
	await client.sees('HTTP/1.1 503 ');
	assert.match(client.received, /first[\s\S]*HTTP\/1\.1 503 [\s\S]*slime-error: draining/i);
	await drained;
	assert.equal(hub.agents, 0);
	assert.equal(service.served, 2);
});

/** Odd but legal messages, and broken ones: what one request does reaches no other, on its connection or on its tunnel. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
	Arrivals,
	answering,
	ask,
	eventually,
	RawClient,
	rawUpstream,
	readAnswer,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };

test('a Trailer field without the chunked form passes no trailer on and harms nobody', async (t) => {
	const address = await rawUpstream(t, answering('HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 3\r\n\r\nabc'));
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, join } = await stack(t);
	await join(address, { scopes: ['odd'] });
	await join(service.address, { scopes: ['plain'] });
	const bystander = ask(port, '/', { headers: { 'slime-scope': 'plain' } });
	const [, res] = await arrivals.next();
	for (const method of ['GET', 'HEAD']) {
		const answer = await ask(port, '/', { method, headers: { 'slime-scope': 'odd', ...BLOCK } });
		assert.equal(answer.status, 200);
		assert.equal(answer.headers.trailer, undefined);
		assert.equal(answer.body, method === 'GET' ? 'abc' : '');
	}
	const old = await RawClient.open(t, port);
	old.send('GET / HTTP/1.0\r\nHost: a\r\nSlime-Scope: odd\r\nSlime-Block: 1\r\n\r\n');
	assert.match(await old.all(), /abc$/);
	res.end('served');
	assert.equal((await bystander).body, 'served');
});

test('a response that ends with its connection is cut when that is reset', async (t) => {
	const sockets: Array<() => void> = [];
	const address = await rawUpstream(
		t,
		answering('HTTP/1.1 200 OK\r\n\r\nabc', (socket) => sockets.push(() => socket.resetAndDestroy())),
	);
	const { port } = await stack(t, [address]);
	const req = request({ host: '127.0.0.1', port, agent: false }).end();
	const [res] = await once(req, 'response');
	const answer = readAnswer(res);
	await once(res, 'data');
	await eventually('the upstream has answered', () => sockets.length > 0);
	sockets[0]?.();
	assert.equal((await answer).complete, false);
});

test('an upload that the upstream answers early does not hang', async (t) => {
	const service = await upstream(t, (req, res) => {
		req.once('data', () => res.end('enough'));
	});
	const { port } = await stack(t, [service.address]);
	for (const bytes of [4 * 1024 * 1024, 64 * 1024 * 1024]) {
		const socket = connect(port, '127.0.0.1');
		t.after(() => socket.destroy());
		socket.on('error', () => undefined);
		socket.write(`POST / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nContent-Length: ${bytes}\r\n\r\n`);
		let text = '';
		socket.on('data', (chunk) => {
			text += chunk.toString('latin1');
		});
		const piece = Buffer.alloc(256 * 1024);
		let left = bytes;
		const over = new Promise((resolve) => socket.once('close', resolve));
		while (left > 0 && !socket.destroyed && socket.writable) {
			left -= piece.length;
			if (!socket.write(piece)) {
				const drained = new Promise((resolve) => socket.once('drain', resolve));
				await Promise.race([drained, over]);
			}
		}
		await eventually('it was answered', () => /^HTTP\/1\.1 200 [\s\S]*enough/.test(text));
		if (bytes > 16 * 1024 * 1024) {
			await over;
			continue;
		}
		// All of it was read away, so the connection serves on.
		text = '';
		socket.write('GET / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nContent-Length: 1\r\n\r\nx');
		await eventually('it serves on', () => text.includes('enough'));
	}
});

test('Connection cannot name what is no field', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.setHeader('connection', req.url === '/odd' ? ':status, close' : 'close');
		res.end(String(req.headers['content-length']));
	});
	const { port } = await stack(t, [service.address]);
	for (const named of [':path', ':method, close', ':authority', 'a b', 'x;y']) {
		const client = await RawClient.open(t, port);
		client.send(`GET /a HTTP/1.1\r\nHost: h\r\nConnection: ${named}\r\n\r\n`);
		assert.match(await client.all(), /^HTTP\/1\.1 400 /, named);
	}
	assert.equal(service.served, 0);
	assert.equal((await ask(port, '/odd', { headers: BLOCK })).status, 200);
	const client = await RawClient.open(t, port);
	client.send(
		'POST / HTTP/1.1\r\nHost: h\r\nSlime-Block: 1\r\nConnection: content-length, close\r\nContent-Length: 3\r\n\r\nabc',
	);
	assert.match(await client.all(), /\r\n\r\n3$/);
});

for (const [what, second, answer] of [
	['a WebSocket', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', /^HTTP\/1\.1 [45]/],
	['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', /^HTTP\/1\.1 405/],
	[
		'a tunnel',
		'GET /.slime/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\n\r\n',
		/^HTTP\/1\.1 401/,
	],
	[
		'h2c',
		'GET /2 HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n',
		/^HTTP\/1\.1 200/,
	],
] as const) {
	test(`an upgrade to ${what} that is pipelined waits for the response before it`, async (t) => {
		const arrivals = new Arrivals();
		const service = await upstream(t, arrivals.handler);
		const { port } = await stack(t, [service.address]);
		const client = await RawClient.open(t, port);
		client.send(`GET /1 HTTP/1.1\r\nHost: a\r\n\r\n${second}`);
		const [, res] = await arrivals.next();
		res.end('first');
		if (what === 'h2c') (await arrivals.next())[1].end('second');
		const text = await client.all();
		const [before, after] = text.split('first');
		assert.match(before ?? '', /^HTTP\/1\.1 200/);
		assert.match((after ?? '').replace(/^[\r\n0]*/, ''), answer, text);
	});
}

test('a body that turns out malformed is answered 400 if nothing was answered yet', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address]);
	for (const bad of ['zz\r\n', '-3\r\nabc\r\n', '0x3\r\nabc\r\n', '3;\n\r\nabc\r\n', 'fffffffffffffffff\r\n']) {
		const client = await RawClient.open(t, port);
		client.send('POST / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
		const [req] = await arrivals.next();
		const stopped = new Promise((resolve) => req.once('close', resolve));
		client.send(bad);
		const text = await client.all();
		assert.match(text, /^HTTP\/1\.1 400 [\s\S]*"bad_request"/, JSON.stringify(bad));
		assert.equal(text.split('HTTP/1.1').length, 2);
		await stopped;
	}
	await workerFree(hub);
});

test('HTTP/1.0 with Transfer-Encoding, other versions and hosts that are none are refused', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('reached'));
	const { port } = await stack(t, [service.address]);
	const wrong = [
		'POST /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
		'GET /a HTTP/2.0\r\nHost: h\r\n\r\n',
		'GET /a HTTP/1.2\r\nHost: h\r\n\r\n',
		...['a b', 'a,b', 'a\xff', 'a:b', 'a:1:2', '[::1', '"a"', 'a/'].map(
			(host) => `GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
		),
	];
	for (const bytes of wrong) {
		const client = await RawClient.open(t, port);
		client.send(bytes);
		assert.match(await client.all(), /^HTTP\/1\.1 400 /, JSON.stringify(bytes));
	}
	assert.equal(service.served, 0);
	for (const host of ['a', 'A.example:80', '127.0.0.1:8080', '[::1]:80', 'under_score', 'a:', '']) {
		const client = await RawClient.open(t, port);
		client.send(`GET /a HTTP/1.1\r\nHost: ${host}\r\nSlime-Block: 1\r\nConnection: close\r\n\r\n`);
		assert.match(await client.all(), /reached$/, host);
	}
});

test('OPTIONS * is answered by the hub', async (t) => {
	const { port } = await stack(t);
	const client = await RawClient.open(t, port);
	client.send('OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
	assert.match(await client.all(), /^HTTP\/1\.1 204 No Content\r\nallow: GET, HEAD, POST/);
});

test('one request can be followed by its id in the logs of hub and agent', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/cut') res.writeHead(200, { 'content-length': '9' }).write('x', () => res.destroy());
		else res.end('ok');
	});
	const { port, log } = await stack(t, [service.address]);
	await ask(port, '/', { headers: { 'x-request-id': 'follow-me' } });
	await ask(port, '/cut', { headers: { 'x-request-id': 'follow-the-cut', ...BLOCK } });
	await eventually('both have said so', () => {
		const of = (id: string) => log.lines.filter((line) => line.requestId === id);
		return (
			of('follow-me').filter((line) => line.outcome === 'complete').length === 2 &&
			of('follow-the-cut').some((line) => line.msg === 'request failed' && line.agent !== undefined)
		);
	});
});

test('event streams are marked for proxies once, however their type is written', async (t) => {
	const service = await upstream(t, (_req, res) => {
		res.writeHead(200, { 'content-type': 'Text/Event-Stream; charset=utf-8', 'x-accel-buffering': 'yes' });
		res.end('data: x\n\n');
	});
	const { port } = await stack(t, [service.address]);
	const { rawHeaders } = await ask(port);
	const marks = rawHeaders.filter((_, i) => rawHeaders[i - 1]?.toLowerCase() === 'x-accel-buffering');
	assert.deepEqual(marks, ['no']);
});

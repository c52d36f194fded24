/** Upstreams that answer before they have read all of a request. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { constants, type IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { h2Connect } from '../helpers/h2-app.ts';
import { protocolUpstream } from '../helpers/protocol-upstream.ts';
import {
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

const MiB = 1024 * 1024;
const BLOCK = { 'slime-block': '1' };

for (const framing of ['Content-Length', 'chunked'] as const) {
	test(`an app in the middle of a large upload (${framing}) gets the answer that came early, and the slot is free`, async (t) => {
		const service = await upstream(t, (req, res) => {
			if (req.url === '/next') {
				res.end('next');
				return;
			}
			// It reads nothing of it.
			res.writeHead(413, { 'content-type': 'text/plain' });
			res.end('too large');
		});
		const { port, hub } = await stack(t, [service.address]);
		const size = 64 * MiB;
		const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
		t.after(() => req.destroy());
		// The hub may stop reading it.
		req.on('error', () => undefined);
		if (framing === 'Content-Length') req.setHeader('content-length', size);
		else req.write('the start');
		const answered = once(req, 'response');
		req.write(Buffer.alloc(size / 2));
		const [res] = (await answered) as [IncomingMessage];
		const answer = await readAnswer(res);
		assert.deepEqual([answer.status, answer.body], [413, 'too large']);
		await workerFree(hub);
		assert.equal((await ask(port, '/next', { headers: BLOCK })).body, 'next');
		assert.equal(service.served, 2);
	});
}

for (const [framing, fields, body, version] of [
	['Content-Length', 'Content-Length: 9', 'too large', '1.1'],
	['chunked', 'Transfer-Encoding: chunked', '9\r\ntoo large\r\n0\r\n\r\n', '1.1'],
	['Content-Length', 'Content-Length: 9', 'too large', '1.0'],
	['until the end', 'Transfer-Encoding: chunked', '9\r\ntoo large\r\n0\r\n\r\n', '1.0'],
] as const) {
	test(`an app whose connection is to close (HTTP/${version}) reads an early answer (${framing}) though it still sends`, async (t) => {
		const seen = version === '1.0' ? 'too large' : body;
		const address = await rawUpstream(t, answering(`HTTP/1.1 413 Too Large\r\n${fields}\r\n\r\n${body}`));
		const { port, hub } = await stack(t, [address]);
		const client = await RawClient.open(t, port, true);
		const closed = once(client.socket, 'close');
		const size = MiB;
		client.send(`POST / HTTP/${version}\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
		await client.sees(seen);
		await eventually('the slot is free', () => hub.leased === 0);
		// Bytes at a connection that is closed are a reset, and on some systems the answer is lost with it.
		for (let sent = 0; sent < size; sent += size / 16) {
			client.send('x'.repeat(size / 16));
			await new Promise((resolve) => setImmediate(resolve));
		}
		assert.ok((await client.all()).endsWith(seen));
		client.socket.end();
		const [broken] = await closed;
		assert.equal(broken, false);
	});
}

test('an upstream that answers a body which began late is not told to close, by which the answer could be lost', async (t) => {
	const connections: string[] = [];
	let closed = 0;
	const service = await upstream(t, (req, res) => {
		connections.push(req.headers.connection ?? '');
		req.socket.once('close', () => closed++);
		req.resume();
		req.once('data', () => res.end(Buffer.alloc(4 * MiB)));
	});
	const { port, hub } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const stream = session.request({ ':method': 'POST', ':path': '/' });
	await eventually('its head is there, without a body', () => connections.length === 1);
	stream.write('the start');
	const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders];
	// It is in the middle of its upload while the answer is on its way, and reads it only afterwards.
	stream.pause();
	for (let i = 0; i < 16 && stream.writable; i++) {
		stream.write(Buffer.alloc(MiB / 16));
		await new Promise((resolve) => setImmediate(resolve));
	}
	let bytes = 0;
	stream.on('data', (chunk: Buffer) => {
		bytes += chunk.length;
	});
	stream.resume();
	await once(stream, 'end');
	// Node's client would never close it.
	stream.destroy();
	assert.deepEqual([fields[':status'], bytes, connections], [200, 4 * MiB, ['keep-alive']]);
	await eventually('its connection was for it alone', () => closed === 1);
	await workerFree(hub);
});

test('what is left of an upload that was answered early is never taken for a request', async (t) => {
	const paths: string[] = [];
	const service = await upstream(t, (req, res) => {
		paths.push(`${req.method} ${req.url}`);
		res.end(`answer to ${req.url}`);
	});
	const { port, hub } = await stack(t, [service.address]);
	const inside = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
	const length = 300_000;
	const client = await RawClient.open(t, port);
	client.send(`POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(1000)}`);
	await client.sees('answer to /first');
	await workerFree(hub);
	client.send(inside.repeat(Math.ceil(length / inside.length)).slice(0, length - 1000));
	// The connection either goes on behind the body or has ended; it never serves what was in it.
	client.send('GET /second HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n\r\n');
	await eventually('an answer or an end', () => client.received.includes('/second') || client.ended !== 'open');
	await ask(port, '/last', { headers: BLOCK });
	assert.deepEqual(
		paths.filter((path) => path !== 'GET /second'),
		['POST /first', 'GET /last'],
	);
	assert.doesNotMatch(client.received, /HTTP\/1\.1 400/);
});

test('an upload that an HTTP/2 upstream answers early is cancelled there, and does not look complete', async (t) => {
	const ends: number[] = [];
	const service = await protocolUpstream(t, 'h2c', (req, res) => {
		assert.ok('stream' in req);
		const { stream } = req;
		req.resume();
		stream.on('error', () => undefined);
		stream.once('close', () => ends.push(stream.rstCode));
		(res as ServerResponse).end('early');
	});
	const { port, hub } = await stack(t, [service.address]);
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	t.after(() => req.destroy());
	req.on('error', () => undefined);
	req.write('the start');
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	assert.equal((await readAnswer(res)).body, 'early');
	await eventually('it has ended', () => ends.length === 1 && hub.leased === 0);
	// RFC 9113 section 7: NO_ERROR would not tell it from an upload that is complete.
	assert.deepEqual(ends, [constants.NGHTTP2_CANCEL]);
});

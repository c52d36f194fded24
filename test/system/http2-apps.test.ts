/** Applications that speak HTTP/2: by prior knowledge on the plain port, by ALPN with TLS, behind the same gateway as HTTP/1.1. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { constants } from 'node:http2';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { test } from 'node:test';
import { writeCertificates } from '../helpers/certificates.ts';
import { h2Answer, h2Ask, h2Connect } from '../helpers/h2-app.ts';
import {
	Arrivals,
	ask,
	assertError,
	eventually,
	RawClient,
	readAnswer,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

test('HTTP/2 and HTTP/1.1 apps are served on the one plain port', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.setHeader('x-via', String(req.headers.via));
		res.setHeader('x-host', String(req.headers['x-forwarded-host']));
		res.end(`${req.method} ${req.url}`);
	});
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const second = await h2Ask(session, '/a//b/../c?q=%zz;', { headers: { ':authority': 'app.example:81' } });
	assert.equal(second.body, 'GET /a//b/../c?q=%zz;');
	assert.equal(second.headers['x-via'], '2.0 slime');
	assert.equal(second.headers['x-host'], 'app.example:81');
	assert.equal(second.code, NGHTTP2_NO_ERROR);
	const first = await ask(port, '/old');
	assert.equal(first.body, 'GET /old');
	assert.equal(first.headers['x-via'], '1.1 slime');
});

test('with TLS the version is chosen by ALPN, on the one port', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-h2-'));
	t.after(() => rm(folder, { recursive: true }));
	const { cert, key, ca } = await writeCertificates(folder);
	const pem = await readFile(ca);
	const service = await upstream(t, (req, res) => res.end(String(req.headers['x-forwarded-proto'])));
	const { port } = await stack(t, [service.address], {
		hub: { tls: { cert, key } },
		agent: { ca },
	});
	const session = await h2Connect(t, `https://localhost:${port}`, { ca: pem });
	assert.equal(session.alpnProtocol, 'h2');
	assert.equal((await h2Ask(session)).body, 'https');
	const req = requestTls({ host: 'localhost', port, ca: pem, agent: false }).end();
	const [res] = await once(req, 'response');
	assert.equal((await readAnswer(res)).body, 'https');
});

test('bodies stream both ways at once, and large ones arrive whole', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.writeHead(200, { 'content-type': 'application/octet-stream' });
		req.pipe(res);
	});
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const stream = session.request({ ':method': 'POST', ':path': '/' });
	stream.write('one');
	const [first] = await once(stream, 'data');
	assert.equal(String(first), 'one');
	const body = randomBytes(8 * 1024 * 1024);
	const hash = createHash('sha256');
	let length = 0;
	stream.on('data', (chunk: Buffer) => {
		hash.update(chunk);
		length += chunk.length;
	});
	stream.end(body);
	await once(stream, 'end');
	assert.equal(length, body.length);
	assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
});

test('trailers pass both ways, and 103 before the response', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.writeEarlyHints({ link: '</style.css>; rel=preload' });
		req.resume();
		req.on('end', () => {
			res.writeHead(200, { trailer: 'x-sum' });
			res.write('body');
			res.addTrailers({ 'x-sum': String(req.trailers['x-sum']) });
			res.end();
		});
	});
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const stream = session.request({ ':method': 'POST', ':path': '/', trailer: 'x-sum' }, { waitForTrailers: true });
	stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
	stream.end('request');
	const answer = await h2Answer(stream);
	assert.equal(answer.body, 'body');
	assert.equal(answer.trailers['x-sum'], '42');
	assert.deepEqual(
		answer.informational.map((section) => [section[':status'], section.link]),
		[[103, '</style.css>; rel=preload']],
	);
});

test('HEAD, 204 and 304 have no body', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/204') res.writeHead(204);
		else if (req.url === '/304') res.writeHead(304, { 'content-length': '100' });
		else res.writeHead(200, { 'content-length': '7' });
		res.end(req.url === '/' ? 'content' : undefined);
	});
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const head = await h2Ask(session, '/', { method: 'HEAD' });
	assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '7', '']);
	for (const status of [204, 304]) {
		const answer = await h2Ask(session, `/${status}`, { headers: { 'slime-block': '1' } });
		assert.deepEqual([answer.status, answer.body, answer.code], [status, '', NGHTTP2_NO_ERROR]);
	}
});

test('a response that is cut ends with RST_STREAM, and the connection goes on', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/whole') {
			res.end('whole');
			return;
		}
		res.writeHead(200, req.url === '/length' ? { 'content-length': '100' } : {});
		res.write('some', () => res.destroy());
	});
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	for (const path of ['/chunked', '/length']) {
		const answer = await h2Ask(session, path, { headers: { 'slime-block': '1' } });
		assert.equal(answer.status, 200);
		assert.equal(answer.code, NGHTTP2_INTERNAL_ERROR, path);
	}
	assert.equal((await h2Ask(session, '/whole', { headers: { 'slime-block': '1' } })).body, 'whole');
});

for (const when of ['before the response', 'in the middle of the response'] as const) {
	test(`an app that resets its stream ${when} stops the upstream, frees the slot and keeps its connection`, async (t) => {
		const arrivals = new Arrivals();
		const service = await upstream(t, arrivals.handler);
		const { port, hub } = await stack(t, [service.address]);
		const session = await h2Connect(t, `http://127.0.0.1:${port}`);
		const stream = session.request({ ':path': '/' });
		stream.on('error', () => undefined);
		const [, res] = await arrivals.next();
		if (when !== 'before the response') {
			res.write('begun');
			await once(stream, 'data');
		}
		const stopped = once(res, 'close');
		stream.close(NGHTTP2_CANCEL);
		await stopped;
		await workerFree(hub);
		const next = h2Ask(session, '/', { headers: { 'slime-block': '1' } });
		(await arrivals.next())[1].end('served');
		assert.equal((await next).body, 'served');
		assert.equal(service.peak, 1);
	});
}

test('an app whose connection is lost stops all of its requests, waiting ones too', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address], { agent: { numWorker: 2 } });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	for (let i = 0; i < 4; i++) session.request({ ':path': '/', 'slime-block': '1' }).on('error', () => undefined);
	const stopped = [await arrivals.next(), await arrivals.next()].map(([, res]) => once(res, 'close'));
	await eventually('two wait', () => hub.waiting === 2);
	session.destroy();
	await Promise.all(stopped);
	await eventually('nothing is left', () => hub.leased === 0 && hub.waiting === 0);
	assert.equal(service.served, 2);
});

test("the hub's own errors have the shape that OpenAI clients expect, also for a body that nobody read", async (t) => {
	const { port } = await stack(t, [], { hub: { appPassword: 'open sesame' } });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const body = Buffer.alloc(1024 * 1024);
	const cases: Array<[number, string, object]> = [
		[401, 'unauthorized', {}],
		[401, 'unauthorized', { method: 'POST', body }],
		[503, 'no_agent', { headers: { authorization: 'Bearer open sesame' } }],
		[503, 'no_agent', { headers: { authorization: 'Bearer open sesame' }, method: 'POST', body }],
		[405, 'method_not_allowed', { headers: { authorization: 'Bearer open sesame' }, method: 'TRACE' }],
	];
	for (const [status, code, asking] of cases) {
		const answer = await h2Ask(session, '/', asking);
		assert.deepEqual([answer.status, answer.headers['slime-error']], [status, code]);
		assert.equal(JSON.parse(answer.body).error.code, code);
		assert.equal(answer.code, NGHTTP2_NO_ERROR);
	}
	assert.equal((await h2Ask(session, '/.slime/x', { headers: { 'slime-app-password': 'open sesame' } })).status, 404);
});

test('a request that names two hosts, or none that is one, is refused and reaches nobody', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	for (const headers of [{ ':authority': 'a', host: 'b' }, { ':authority': 'u@a' }, { ':authority': 'a/b' }]) {
		const answer = await h2Ask(session, '/', { headers });
		assert.deepEqual([answer.status, answer.headers['slime-error']], [400, 'bad_request'], JSON.stringify(headers));
	}
	assert.equal(service.served, 0);
});

test('header sections over 64 KiB or 1,000 fields are 431, and the connection goes on', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('served'));
	const { port } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: 1 << 20 });
	const many = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`x-${i}`, 'y']));
	assert.equal((await h2Ask(session, '/', { headers: many })).status, 431);
	assert.equal((await h2Ask(session, '/', { headers: { 'x-large': 'y'.repeat(120_000) } })).status, 431);
	assert.equal((await h2Ask(session)).body, 'served');
});

test('200 requests at a time on one connection are all served, never more than numWorker at once', async (t) => {
	const service = await upstream(t, (_req, res) => setTimeout(() => res.end('x'.repeat(3000)), 5));
	const { port } = await stack(t, [service.address], { agent: { numWorker: 7 } });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const answers = await Promise.all(
		Array.from({ length: 200 }, () => h2Ask(session, '/', { headers: { 'slime-block': '1' } })),
	);
	assert.ok(answers.every((answer) => answer.body.length === 3000));
	assert.equal(service.peak, 7);
});

test('an app that does not read pauses the upstream and nobody else', async (t) => {
	let written = 0;
	const service = await upstream(t, (req, res) => {
		if (req.url === '/small') {
			res.end('small');
			return;
		}
		const piece = Buffer.alloc(64 * 1024);
		const more = () => {
			while (written < 200 * 1024 * 1024) {
				written += piece.length;
				if (!res.write(piece)) return;
			}
		};
		res.on('drain', more);
		more();
	});
	const { port } = await stack(t, [service.address], { agent: { numWorker: 2 } });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const stream = session.request({ ':path': '/endless' });
	stream.on('error', () => undefined);
	await once(stream, 'response');
	let before = -1;
	await eventually('the upstream is paused', () => {
		const paused = written === before;
		before = written;
		return paused && written > 0;
	});
	assert.ok(written < 100 * 1024 * 1024, `${written} bytes were taken`);
	assert.equal((await h2Ask(session, '/small')).body, 'small');
	stream.close();
});

test('while draining, an HTTP/2 connection finishes what it has and takes nothing new', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const first = h2Ask(session);
	const [, res] = await arrivals.next();
	const goaway = once(session, 'goaway');
	const drained = hub.drain();
	await goaway;
	res.end('finished');
	assert.equal((await first).body, 'finished');
	await once(session, 'close');
	await drained;
	await assert.rejects(
		h2Connect(t, `http://127.0.0.1:${port}`).then(() => undefined),
		/ECONNREFUSED/,
	);
});

test('a preface in pieces is told from HTTP/1.1, and so is a method that begins like it', async (t) => {
	const service = await upstream(t, (req, res) => res.end(req.method));
	const { port } = await stack(t, [service.address]);
	const socket = connect(port, '127.0.0.1');
	t.after(() => socket.destroy());
	await once(socket, 'connect');
	for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
		socket.write(byte);
		await new Promise((resolve) => setImmediate(resolve));
	}
	socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
	const [settings] = await once(socket, 'data');
	assert.equal(settings[3], 4);
	const client = await RawClient.open(t, port);
	client.send('P');
	await new Promise((resolve) => setImmediate(resolve));
	client.send('ROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
	assert.match(await client.all(), /PROPFIND$/);
	const wrong = await RawClient.open(t, port);
	wrong.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\rX');
	assert.match(await wrong.all(), /^HTTP\/1\.1 400 /);
	assertError(await ask(port, '/.slime/x'), 404, 'not_found');
});

test('a connection that says nothing, or half a preface, is ended after 15 s', async (t) => {
	const { port } = await stack(t);
	const clients = [await RawClient.open(t, port), await RawClient.open(t, port), await RawClient.open(t, port)];
	clients[1]?.send('PRI * HT');
	clients[2]?.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
	const began = performance.now();
	await eventually('all were ended', () => clients.every(({ ended }) => ended !== 'open'), 25_000);
	assert.ok(performance.now() - began > 10_000, 'not at once');
});

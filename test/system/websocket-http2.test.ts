/** WebSocket by extended CONNECT (RFC 8441): from HTTP/2 apps, to HTTP/2 upstreams, and to those that know it by HTTP/1.1 only. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	constants,
	createSecureServer,
	createServer,
	type Http2Server,
	type IncomingHttpHeaders,
	type OutgoingHttpHeaders,
	type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeCertificates } from '../helpers/certificates.ts';
import { h2Answer, h2Connect } from '../helpers/h2-app.ts';
import { ask, eventually, listenOn, RawClient, stack, workerFree } from '../helpers/stack.ts';
import { echoService, handshake, message, openRaw, openWebSocket, webSocketService } from '../helpers/websocket.ts';

/** A worker that had to stop is announced a round trip later. */
const WAIT = { 'slime-block': '1' };

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

/** An app's session that has seen that extended CONNECT is served. */
async function h2App(context: TestContext, port: number): Promise<ClientHttp2Session> {
	const session = await h2Connect(context, `http://127.0.0.1:${port}`);
	if (session.remoteSettings?.enableConnectProtocol !== true) await once(session, 'remoteSettings');
	assert.equal(session.remoteSettings.enableConnectProtocol, true);
	return session;
}

function connecting(
	session: ClientHttp2Session,
	headers: OutgoingHttpHeaders = {},
	endStream = false,
): ClientHttp2Stream {
	const stream = session.request(
		{
			':method': 'CONNECT',
			':protocol': 'websocket',
			':scheme': 'http',
			':authority': 'app.example',
			':path': '/',
			'sec-websocket-version': '13',
			...headers,
		},
		{ endStream },
	);
	stream.on('error', () => undefined);
	return stream;
}

async function opened(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
	const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
	assert.equal(headers[':status'], 200);
	return headers;
}

/** What a stream has received so far. */
function reading(stream: ClientHttp2Stream | ServerHttp2Stream): { text: string; ended: boolean } {
	const state = { text: '', ended: false };
	stream.on('data', (chunk: Buffer) => {
		state.text += chunk.toString('latin1');
	});
	stream.on('end', () => {
		state.ended = true;
	});
	return state;
}

interface H2Service {
	readonly port: number;
	/** Extended CONNECTs that arrived. */
	next(): Promise<[ServerHttp2Stream, IncomingHttpHeaders]>;
}

/** An HTTP/2 service that leaves every stream to the test. */
async function h2Service(
	context: TestContext,
	server: Http2Server = createServer({ settings: { enableConnectProtocol: true } }),
): Promise<H2Service> {
	const arrived: Array<[ServerHttp2Stream, IncomingHttpHeaders]> = [];
	const waiting: Array<(pair: [ServerHttp2Stream, IncomingHttpHeaders]) => void> = [];
	server.on('stream', (stream, headers) => {
		stream.on('error', () => undefined);
		const first = waiting.shift();
		if (first) first([stream, headers]);
		else arrived.push([stream, headers]);
	});
	server.on('session', (session) => context.after(() => session.destroy()));
	const port = await listenOn(context, server);
	return {
		port,
		next: async () => {
			const pair = arrived.shift();
			return pair ?? new Promise((resolve) => waiting.push(resolve));
		},
	};
}

test('an HTTP/2 app opens a WebSocket by extended CONNECT', async (t) => {
	const service = await echoService(t, { handleProtocols: () => 'chat' });
	const { port, hub, log } = await stack(t, [service.address]);
	const stream = connecting(await h2App(t, port), {
		':path': '/room?1',
		'sec-websocket-protocol': 'chat',
		'sec-websocket-key': 'must not pass',
	});
	const headers = await opened(stream);
	assert.equal(headers['sec-websocket-protocol'], 'chat');
	assert.equal(headers['sec-websocket-accept'], undefined);
	assert.equal(headers.upgrade, undefined);
	assert.match(String(headers['slime-agent-id']), /^agent-/);
	const state = reading(stream);
	// A masked text frame "Hello" and an unmasked one: the example of RFC 6455 section 5.7.
	stream.write(Buffer.from([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]));
	await eventually('the echo', () => state.text === '\x81\x05Hello');
	const request = service.requests[0];
	assert.equal(request?.url, '/room?1');
	assert.equal(request?.headers['x-forwarded-host'], 'app.example');
	assert.equal(request?.headers.via, '2.0 slime');
	assert.equal(hub.leased, 1);
	// A close frame, which is answered with another one and the end.
	stream.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
	await eventually('the end', () => state.ended);
	assert.equal(state.text, '\x81\x05Hello\x88\x00');
	stream.end();
	await once(stream, 'close');
	assert.equal(stream.rstCode, NGHTTP2_NO_ERROR);
	const logged = () => log.lines.find(({ msg, outcome }) => msg === 'request' && outcome !== undefined);
	await eventually('it is logged', () => logged() !== undefined);
	assert.equal(logged()?.outcome, 'complete');
	await workerFree(hub);
});

test('several WebSockets share one connection of an app, beside ordinary requests', async (t) => {
	const service = await webSocketService(t);
	service.server.on('request', (_req, res) => res.end('ordinary'));
	const { port } = await stack(t, [service.address], { agent: { numWorker: 4 } });
	const session = await h2App(t, port);
	const streams = [1, 2, 3].map((n) => connecting(session, { ':path': `/${n}` }));
	const states = streams.map(reading);
	await Promise.all(streams.map(opened));
	for (const _ of streams) {
		const far = await service.next();
		far.send('hello');
	}
	await eventually('each has its own', () => states.every(({ text }) => text === '\x81\x05hello'));
	const answer = await h2Answer(session.request({ ':path': '/ordinary' }));
	assert.equal(answer.body, 'ordinary');
});

test('an HTTP/2 app is refused with the body of the upstream, or of the hub', async (t) => {
	const service = await webSocketService(t, { verifyClient: (_info, done) => done(false, 403, 'not you') });
	const { port, hub } = await stack(t, [service.address], { hub: { appPassword: 'open sesame' } });
	const session = await h2App(t, port);
	const strange = await h2Answer(connecting(session));
	assert.equal(strange.status, 401);
	assert.equal(JSON.parse(strange.body).error.code, 'unauthorized');
	const refused = await h2Answer(connecting(session, { 'slime-app-password': 'open sesame' }));
	assert.equal(refused.status, 403);
	assert.equal(refused.body, 'not you');
	assert.equal(refused.headers['slime-error'], undefined);
	assert.equal(refused.code, NGHTTP2_NO_ERROR);
	await workerFree(hub);
});

test('an extended CONNECT for a protocol that is not served is 501, an ordinary CONNECT 405', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address]);
	const session = await h2App(t, port);
	const other = await h2Answer(connecting(session, { ':protocol': 'connect-udp' }));
	assert.equal(`${other.status} ${other.headers['slime-error']}`, '501 not_implemented');
	const plain = session.request({ ':method': 'CONNECT', ':authority': 'elsewhere:443' });
	const answer = await h2Answer(plain);
	assert.equal(`${answer.status} ${answer.headers['slime-error']}`, '405 method_not_allowed');
	assert.equal(service.requests.length, 0);
});

test('each direction of an HTTP/2 app ends on its own', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const session = await h2App(t, port);
	for (const [first, second] of [
		['app', 'upstream'],
		['upstream', 'app'],
	]) {
		const stream = connecting(session, WAIT);
		const [far] = await service.next();
		far.respond({ ':status': 200 });
		await opened(stream);
		const [near, there] = [reading(stream), reading(far)];
		const ends = { app: [stream, there], upstream: [far, near] } as const;
		const [begins, sees] = ends[first as 'app'];
		const [follows, hears] = ends[second as 'app'];
		begins.end('last words');
		await eventually(`the other end sees that the ${first} has ended`, () => sees.ended);
		assert.equal(sees.text, 'last words');
		assert.equal(hears.ended, false);
		follows.write('still ');
		await eventually('the other direction goes on', () => hears.text === 'still ');
		assert.equal(hub.leased, 1);
		follows.end('here');
		await eventually(`then the ${second} ends`, () => hears.ended);
		assert.equal(hears.text, 'still here');
		await workerFree(hub);
	}
});

test('a cut of an upstream is RST_STREAM(CANCEL) at an HTTP/2 app, and the other way round', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const session = await h2App(t, port);
	for (const cut of ['upstream', 'app']) {
		const stream = connecting(session, WAIT);
		const [far] = await service.next();
		far.respond({ ':status': 200 });
		far.write('half');
		await opened(stream);
		const [near, there] = [reading(stream), reading(far)];
		await eventually('it is open', () => near.text === 'half');
		const closed = [once(stream, 'close').catch(() => undefined), once(far, 'close').catch(() => undefined)];
		// Node's server would send END_STREAM before the RST_STREAM of close().
		if (cut === 'upstream') far.destroy(new Error('cut'));
		else stream.close(NGHTTP2_CANCEL);
		await Promise.all(closed);
		const told = cut === 'upstream' ? stream : far;
		assert.equal(told.rstCode, NGHTTP2_CANCEL, cut);
		assert.equal(there.text, '');
		await workerFree(hub);
	}
});

test('an h2c upstream is asked by extended CONNECT, and chooses a subprotocol', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const waiting = openWebSocket(t, port, '/chat', { protocols: ['a', 'b'] });
	const [far, headers] = await service.next();
	assert.equal(headers[':method'], 'CONNECT');
	assert.equal(headers[':protocol'], 'websocket');
	assert.equal(headers[':path'], '/chat');
	assert.equal(headers[':scheme'], 'http');
	assert.equal(headers[':authority'], `127.0.0.1:${service.port}`);
	assert.equal(headers['sec-websocket-protocol'], 'a,b');
	assert.equal(headers['sec-websocket-version'], '13');
	assert.equal(headers['sec-websocket-key'], undefined);
	assert.equal(headers.upgrade, undefined);
	far.respond({ ':status': 200, 'sec-websocket-protocol': 'b' });
	const socket = await waiting;
	assert.equal(socket.protocol, 'b');
	const hello = message(socket);
	far.write(Buffer.from('\x81\x05hello', 'latin1'));
	assert.equal(await hello, 'hello');
	const state = reading(far);
	socket.terminate();
	await eventually('the upstream sees the end of the app', () => state.ended);
	far.end();
	await workerFree(hub);
});

test('an h2c upstream that refuses, chooses what was not offered, or ends, is told of as such', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const refused = await RawClient.open(t, port);
	refused.send(handshake());
	const [first] = await service.next();
	first.respond({ ':status': 404 });
	first.end('no room');
	assert.match(await refused.all(), /^HTTP\/1\.1 404 Not Found\r\n[\s\S]*\r\n7\r\nno room\r\n0\r\n\r\n$/);

	const unasked = await RawClient.open(t, port);
	unasked.send(handshake('Slime-Block: 1\r\n'));
	const [second] = await service.next();
	second.respond({ ':status': 200, 'sec-websocket-protocol': 'unasked' });
	assert.match(await unasked.all(), /^HTTP\/1\.1 502 [\s\S]*slime-error: upstream_protocol/i);
	await workerFree(hub);

	const waiting = openRaw(t, port, 'Slime-Block: 1\r\n');
	const [third] = await service.next();
	third.respond({ ':status': 200 });
	const cut = await waiting;
	third.session?.destroy();
	await cut.all();
	assert.equal(cut.ended, 'reset');
	await workerFree(hub);
});

test('an h2c upstream that ends and wants no more ends the WebSocket, though the app has not', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const waiting = openRaw(t, port);
	const [far] = await service.next();
	far.respond({ ':status': 200 });
	const client = await waiting;
	far.end('the end', () => far.close(NGHTTP2_NO_ERROR));
	assert.match(await client.all(), /\r\n\r\nthe end$/);
	assert.equal(client.ended, 'fin');
	await workerFree(hub);
});

test('what an app sent before it ended both directions all arrives, though the app is gone', async (t) => {
	const service = await h2Service(t);
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	// What waits where while the upstream does not read is not for a test to see: some of these sizes end in the hub.
	for (let size = 64 * 1024; size <= 512 * 1024; size += 16 * 1024) {
		const waiting = openRaw(t, port, 'Slime-Block: 1\r\n');
		const [far] = await service.next();
		far.pause();
		far.respond({ ':status': 200 });
		far.end();
		const client = await waiting;
		await eventually('the app sees the end', () => client.ended === 'fin');
		client.socket.end(Buffer.alloc(size, 'x'));
		const gone = new Promise((resolve) => client.socket.once('close', resolve));
		await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 50))]);
		const state = reading(far);
		far.resume();
		await once(far, 'end');
		assert.equal(state.text.length, size);
		await gone;
		await workerFree(hub);
	}
});

test('an h2c upstream never sees what the app sent before it had switched', async (t) => {
	const service = await h2Service(t);
	const { port } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const client = await RawClient.open(t, port);
	client.send(`${handshake()}early`);
	const [far] = await service.next();
	const state = reading(far);
	far.additionalHeaders({ ':status': 103, link: '</a>' });
	await client.sees('103 Early Hints');
	assert.equal(state.text, '');
	far.respond({ ':status': 200 });
	await eventually('then it does', () => state.text === 'early');
});

test('an h2c upstream that takes no extended CONNECT is 502 upstream_protocol', async (t) => {
	const service = await h2Service(t, createServer());
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const client = await RawClient.open(t, port);
	client.send(handshake());
	assert.match(await client.all(), /^HTTP\/1\.1 502 [\s\S]*slime-error: upstream_protocol/i);
	await workerFree(hub);
});

test('an https upstream is asked over HTTP/2 if it takes that, else over HTTP/1.1', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-ws-'));
	t.after(() => rm(folder, { recursive: true }));
	const files = await writeCertificates(folder);
	const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)]);
	const agent = { ca: files.ca };

	const settings = { enableConnectProtocol: true };
	const h2 = await h2Service(t, createSecureServer({ cert, key, settings }));
	const first = await stack(t, [`https://localhost:${h2.port}`], { agent });
	const opening = openWebSocket(t, first.port);
	const [far, headers] = await h2.next();
	assert.equal(headers[':scheme'], 'https');
	far.respond({ ':status': 200 });
	const socket = await opening;
	const hello = message(socket);
	far.write(Buffer.from('\x81\x05hello', 'latin1'));
	assert.equal(await hello, 'hello');

	// One that speaks both, but WebSocket over HTTP/1.1 only, as most do.
	const both = createSecureServer({ cert, key, allowHTTP1: true }, (_req, res) => void res.end('over HTTP/2'));
	const service = await webSocketService(t, {}, { server: both as never });
	const second = await stack(t, [`https://localhost:${service.port}`], { agent });
	assert.equal((await ask(second.port)).body, 'over HTTP/2');
	const other = await openWebSocket(t, second.port);
	(await service.next()).send('over HTTP/1.1');
	assert.equal(await message(other), 'over HTTP/1.1');
	assert.equal(service.requests[0]?.httpVersion, '1.1');

	const old = await webSocketService(t, {}, { server: createTlsServer({ cert, key }) });
	const third = await stack(t, [`https://localhost:${old.port}`], { agent });
	const last = await openWebSocket(t, third.port);
	const end = await old.next();
	end.send('HTTP/1.1 alone');
	assert.equal(await message(last), 'HTTP/1.1 alone');
	const closed = once(last, 'close');
	end.close(1000);
	assert.equal((await closed)[0], 1000);
	await workerFree(third.hub);
});

test('a WebSocket passes through a hub with TLS', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-ws-'));
	t.after(() => rm(folder, { recursive: true }));
	const { cert, key, ca } = await writeCertificates(folder);
	const service = await echoService(t);
	const { port, hub } = await stack(t, [service.address], { hub: { tls: { cert, key } }, agent: { ca } });
	const { WebSocket } = await import('ws');
	const socket = new WebSocket(`wss://localhost:${port}/`, { ca: await readFile(ca) });
	t.after(() => socket.terminate());
	await once(socket, 'open');
	socket.send('by TLS');
	assert.equal(await message(socket), 'by TLS');
	assert.equal(service.requests[0]?.headers['x-forwarded-proto'], 'https');
	socket.close(1000);
	assert.equal((await once(socket, 'close'))[0], 1000);
	await workerFree(hub);
});

test('an app that does not read its stream stalls the upstream, and goes on when it reads', async (t) => {
	const service = await h2Service(t);
	const { port } = await stack(t, [`h2c://127.0.0.1:${service.port}`]);
	const stream = connecting(await h2App(t, port));
	const [far] = await service.next();
	far.respond({ ':status': 200 });
	await opened(stream);
	const chunk = Buffer.alloc(64 * 1024, 'x');
	let sent = 0;
	for (;;) {
		while (!far.writableNeedDrain && sent < 256 * 1024 * 1024) {
			far.write(chunk);
			sent += chunk.length;
		}
		const stalled = new Promise<'stalled'>((resolve) => setTimeout(resolve, 500, 'stalled'));
		if ((await Promise.race([once(far, 'drain'), stalled])) === 'stalled') break;
	}
	assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes went nowhere`);
	far.end();
	let received = 0;
	stream.on('data', (data: Buffer) => {
		received += data.length;
	});
	await once(stream, 'end');
	assert.equal(received, sent);
});

/** Apps that are slow to say anything, in every phase of a connection, and connections that have served enough. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { GivenHubOptions } from '../../src/index.ts';
import { writeCertificates } from '../helpers/certificates.ts';
import { h2Answer, h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { Arrivals, eventually, RawClient, type Stack, stack, upstream } from '../helpers/stack.ts';

/** Milliseconds: short enough to wait for, long enough for every honest step of these tests. */
const SHORT = 1000;
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** SETTINGS without any. */
const SETTINGS = '\0\0\0\x04\0\0\0\0\0';

type Phase = keyof Stack['hub']['ended'];

/** A hub whose named limits are short, with an upstream that answers at once. */
async function scene(t: TestContext, hub: Partial<GivenHubOptions>): Promise<Stack> {
	const service = await upstream(t, (req, res) => {
		req.resume();
		req.on('end', () => res.end('served'));
	});
	return stack(t, [service.address], { hub });
}

/** The one connection that was ended was counted in this phase, with whom it was, and logged. */
function assertEnded({ hub, log }: Stack, phase: Phase, times = 1): void {
	const counted = Object.entries(hub.ended).filter(([, count]) => count > 0);
	assert.deepEqual(counted, [[phase, times]]);
	const lines = log.lines.filter((line) => line.msg === 'a connection was ended');
	assert.equal(lines.length, times);
	for (const line of lines) assert.deepEqual([line.level, line.phase, line.address], ['debug', phase, '127.0.0.1']);
}

test('a connection that says nothing is ended', async (t) => {
	const served = await scene(t, { headersTimeout: SHORT });
	const client = await RawClient.open(t, served.port);
	assert.equal(await client.all(), '');
	assertEnded(served, 'first_byte');
});

test('a connection that begins the preface of HTTP/2 and does not go on is ended', async (t) => {
	const served = await scene(t, { headersTimeout: SHORT });
	const client = await RawClient.open(t, served.port);
	client.send(PREFACE.slice(0, 20));
	assert.equal(await client.all(), '');
	assertEnded(served, 'preface');
});

test('a connection that sends the preface and no SETTINGS, or no request after them, is ended', async (t) => {
	const served = await scene(t, { headersTimeout: SHORT, keepAliveTimeout: SHORT });
	const mute = await RawClient.open(t, served.port);
	mute.send(PREFACE);
	await mute.all();
	assertEnded(served, 'frame');
	const idle = await RawClient.open(t, served.port);
	idle.send(PREFACE + SETTINGS);
	// It is told by GOAWAY, and cut although it never answers.
	await idle.all();
	assert.equal(served.hub.ended.keep_alive, 1);
});

test('an HTTP/2 connection whose header block does not end is ended', async (t) => {
	const served = await scene(t, { headersTimeout: SHORT });
	const client = await RawClient.open(t, served.port);
	// HEADERS of stream 1 with one octet, without END_HEADERS.
	client.send(`${PREFACE}${SETTINGS}\0\0\x01\x01\x01\0\0\0\x01\x82`);
	await client.all();
	assertEnded(served, 'frame');
});

test('a request whose headers do not end is answered 408, on the first and on a later one of a connection', async (t) => {
	const served = await scene(t, { headersTimeout: SHORT });
	const first = await RawClient.open(t, served.port);
	first.send('GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ');
	assert.match(await first.all(), /^HTTP\/1\.1 408 .*slime-error: request_timeout/is);
	assertEnded(served, 'headers');
	const later = await RawClient.open(t, served.port);
	later.send(GET);
	await later.sees('served');
	later.send('GET / HT');
	assert.match(await later.all(), /served.*HTTP\/1\.1 408 /s);
	assertEnded(served, 'headers', 2);
});

test('an idle connection that was kept alive is ended, by HTTP/1.1 and by HTTP/2', async (t) => {
	const served = await scene(t, { keepAliveTimeout: SHORT });
	const client = await RawClient.open(t, served.port);
	client.send(GET);
	assert.match(await client.all(), /200 OK.*served/s);
	assertEnded(served, 'keep_alive');
	const session = await h2Connect(t, `http://127.0.0.1:${served.port}`);
	const closed = once(session, 'close');
	assert.equal((await h2Ask(session)).body, 'served');
	await closed;
	assertEnded(served, 'keep_alive', 2);
});

test('a TLS handshake that does not go on is ended', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-slow-'));
	t.after(() => rm(folder, { recursive: true }));
	const { cert, key, ca } = await writeCertificates(folder);
	const served = await stack(t, [], { hub: { tls: { cert, key }, handshakeTimeout: 2 * SHORT } });
	const silent = await RawClient.open(t, served.port);
	assert.equal(await silent.all(), '');
	const begun = await RawClient.open(t, served.port);
	// A record of a ClientHello that goes on for 512 octets.
	begun.send('\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03');
	assert.equal(await begun.all(), '');
	const counted = Object.entries(served.hub.ended).filter(([, count]) => count > 0);
	assert.deepEqual(counted, [['tls_handshake', 2]]);
	// What is no TLS at all is ended at once, and no fault of time.
	const plain = await RawClient.open(t, served.port);
	plain.send(GET);
	await plain.all();
	assert.equal(served.hub.ended.tls_handshake, 2);
	await secured(t, served.port, await readFile(ca));
});

async function secured(t: TestContext, port: number, ca: Buffer, ALPNProtocols = ['http/1.1']): Promise<TLSSocket> {
	const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols });
	t.after(() => socket.destroy());
	await once(socket, 'secureConnect');
	return socket;
}

test('after a TLS handshake a connection that says nothing is ended, whichever version it chose', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-slow-'));
	t.after(() => rm(folder, { recursive: true }));
	const { cert, key, ca } = await writeCertificates(folder);
	const served = await stack(t, [], { hub: { tls: { cert, key }, headersTimeout: SHORT } });
	const pem = await readFile(ca);
	for (const protocol of ['http/1.1', 'h2']) {
		const socket = await secured(t, served.port, pem, [protocol]);
		socket.resume();
		await once(socket, 'close');
	}
	assert.equal(served.hub.ended.first_byte, 1);
	assert.equal(served.hub.ended.frame, 1);
});

test('a body may take as long as it likes, and so may a response', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const served = await stack(t, [service.address], { hub: { headersTimeout: SHORT, keepAliveTimeout: SHORT } });
	const client = await RawClient.open(t, served.port);
	client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel');
	const [req, res] = await arrivals.next();
	assert.equal(String((await once(req, 'data'))[0]), 'hel');
	// Until connections of others, which began later, were ended for the same limits three times.
	for (let i = 0; i < 3; i++) assert.equal(await (await RawClient.open(t, served.port)).all(), '');
	client.send('lo\r\n0\r\n\r\n');
	assert.equal(String((await once(req, 'data'))[0]), 'lo');
	res.write('half');
	await client.sees('half');
	for (let i = 0; i < 3; i++) assert.equal(await (await RawClient.open(t, served.port)).all(), '');
	res.end('whole');
	await client.sees('whole');
	assertEnded(served, 'first_byte', 6);
});

test('the last request that a connection may bring is answered with Connection: close', async (t) => {
	const { port } = await scene(t, { maxRequestsPerConnection: 3 });
	const client = await RawClient.open(t, port);
	// The fourth, although it is there already, is not served.
	client.send(GET.repeat(4));
	const text = await client.all();
	assert.equal(text.split('200 OK').length - 1, 3);
	assert.equal(text.split(/connection: close/i).length - 1, 1);
	assert.match(text.slice(text.lastIndexOf('HTTP/1.1')), /connection: close.*served/is);
});

test('errors of the hub count as requests, too', async (t) => {
	const { port } = await stack(t, [], { hub: { maxRequestsPerConnection: 2 } });
	const client = await RawClient.open(t, port);
	client.send(GET.repeat(3));
	const text = await client.all();
	assert.equal(text.split('503 Service').length - 1, 2);
});

test('an HTTP/2 connection is told to go away with its last request, and serves all that were under way', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address], { hub: { maxRequestsPerConnection: 3 }, agent: { numWorker: 8 } });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const goaway = once(session, 'goaway');
	const streams = Array.from({ length: 3 }, (_, i) => session.request({ ':path': `/${i}` }));
	await goaway;
	const answers = streams.map(h2Answer);
	for (const _ of streams) (await arrivals.next())[1].end('served');
	for (const answer of await Promise.all(answers)) assert.equal(answer.body, 'served');
	await eventually('the session is over', () => session.destroyed);
	const another = await h2Connect(t, `http://127.0.0.1:${port}`);
	const again = h2Ask(another);
	(await arrivals.next())[1].end('served');
	assert.equal((await again).body, 'served');
});

test('an HTTP/2 connection that does not care to be told is refused further streams', async (t) => {
	const { port } = await stack(t, [], { hub: { maxRequestsPerConnection: 2 } });
	// Node's own client opens no stream after a GOAWAY.
	const socket = connect(port, '127.0.0.1');
	t.after(() => socket.destroy());
	await once(socket, 'connect');
	const refused: number[] = [];
	let answered = 0;
	let buffered = Buffer.alloc(0);
	socket.on('data', (chunk) => {
		buffered = Buffer.concat([buffered, chunk]);
		while (buffered.length >= 9) {
			const length = buffered.readUIntBE(0, 3);
			if (buffered.length < 9 + length) break;
			const [type, flags, id] = [buffered[3], buffered[4], buffered.readUInt32BE(5)];
			// RST_STREAM with REFUSED_STREAM; END_STREAM of a stream's DATA.
			if (type === 3 && buffered.readUInt32BE(9) === 7) refused.push(id);
			if (type === 0 && ((flags ?? 0) & 1) === 1) answered++;
			buffered = buffered.subarray(9 + length);
		}
	});
	socket.write(PREFACE + SETTINGS, 'latin1');
	// :method GET, :scheme http, :path /, :authority h
	const block = Buffer.from([0x82, 0x86, 0x84, 0x01, 0x01, 0x68]);
	for (let sent = 1; sent <= 300; sent++) {
		const id = 2 * sent - 1;
		socket.write(Buffer.concat([Buffer.from([0, 0, block.length, 1, 5, 0, 0, id >> 8, id & 0xff]), block]));
		// One at a time, so that there are never too many at once.
		await eventually('an answer', () => answered + refused.length === sent);
	}
	// Two, and as many as may have been on their way.
	assert.equal(answered, 2 + 256);
	assert.equal(refused[0], 2 * (2 + 256) + 1);
});

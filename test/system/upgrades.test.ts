/** Which offers to switch protocols are taken, which are ignored, and which are refused, before an agent hears of them. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Session } from '../../src/h2/session.ts';
import type { Stream } from '../../src/h2/stream.ts';
import { parseHubAddress } from '../../src/tunnel/address.ts';
import { dialTunnel } from '../../src/tunnel/dial.ts';
import { Arrivals, eventually, RawClient, rawUpstream, stack, token, upstream, workerFree } from '../helpers/stack.ts';
import { ACCEPT, handshake, KEY, switching, webSocketService } from '../helpers/websocket.ts';

const OFFER = 'Connection: Upgrade\r\nUpgrade: own/2\r\n';

test('a protocol that hub.upgrades names is switched to and passes both ways', async (t) => {
	let request = '';
	const address = await rawUpstream(
		t,
		switching((socket, text) => {
			request = text;
			socket.pipe(socket);
		}),
	);
	const { port, hub } = await stack(t, [address], { hub: { upgrades: ['other', 'Own/2'] } });
	const client = await RawClient.open(t, port, true);
	client.send(`GET /a?b HTTP/1.1\r\nHost: a\r\n${OFFER}X-Own: 1\r\n\r\n`);
	await client.sees('\r\n\r\n');
	assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
	assert.match(client.received, /\r\nupgrade: Own\/2\r\n/i);
	assert.doesNotMatch(client.received, /sec-websocket/i);
	client.send('\x00\xffbytes');
	await client.sees('\x00\xffbytes');
	assert.match(request, /^GET \/a\?b HTTP\/1\.1\r\n/);
	assert.match(request, /\r\nupgrade: Own\/2\r\n/i);
	assert.match(request, /\r\nx-own: 1\r\n/i);
	assert.doesNotMatch(request, /sec-websocket|content-length|transfer-encoding/i);
	assert.equal(hub.leased, 1);
	client.socket.end();
	await client.all();
	assert.equal(client.ended, 'fin');
	await workerFree(hub);
});

test('of several offers the first that is served is taken, in one field or in several', async (t) => {
	const tokens: unknown[] = [];
	const service = await webSocketService(t);
	service.server.on('upgrade', (req) => tokens.push(req.headers.upgrade));
	const { port } = await stack(t, [service.address], { hub: { upgrades: ['own'] }, agent: { numWorker: 2 } });
	for (const offer of ['Upgrade: h2c, foo/1, WebSocket, own\r\n', 'Upgrade: foo\r\nUpgrade: websocket\r\n']) {
		const client = await RawClient.open(t, port);
		client.send(handshake().replace('Upgrade: websocket\r\n', offer));
		await client.sees('101 Switching Protocols');
		assert.match(client.received, new RegExp(`sec-websocket-accept: ${ACCEPT.replaceAll('+', '\\+')}`, 'i'));
	}
	assert.deepEqual(tokens, ['websocket', 'websocket']);
});

test('an offer that is not named is ignored, and its request served', async (t) => {
	const service = await upstream(t, async (req, res) => {
		let body = '';
		for await (const chunk of req) body += chunk;
		res.end(`${req.method} ${req.url} ${body} ${req.headers.upgrade} ${req.headers['http2-settings']}`);
	});
	const { port } = await stack(t, [service.address], { hub: { upgrades: ['other'] } });
	const client = await RawClient.open(t, port);
	client.send(`GET /not-named HTTP/1.1\r\nHost: a\r\n${OFFER}\r\n`);
	await client.sees('GET /not-named  undefined undefined');
	const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n';
	client.send(`POST /h2c HTTP/1.1\r\nHost: a\r\n${h2c}Content-Length: 4\r\n\r\nbody`);
	await client.sees('POST /h2c body undefined undefined');
	client.send(handshake().replace('Connection: Upgrade\r\n', ''));
	await client.sees('GET /  undefined undefined');
});

test('an offer with a body, or of another method than GET, or by HTTP/1.0, is ignored', async (t) => {
	const service = await upstream(t, async (req, res) => {
		let body = '';
		for await (const chunk of req) body += chunk;
		res.end(`${req.method} ${body} ${req.headers.upgrade}`);
	});
	const { port } = await stack(t, [service.address], { hub: { upgrades: ['own/2'] }, agent: { numWorker: 4 } });
	const client = await RawClient.open(t, port);
	client.send(`GET / HTTP/1.1\r\nHost: a\r\n${OFFER}Content-Length: 4\r\n\r\nbody`);
	await client.sees('GET body undefined');
	client.send(`PUT / HTTP/1.1\r\nHost: a\r\n${OFFER}Transfer-Encoding: chunked\r\n\r\n3\r\nput\r\n0\r\n\r\n`);
	await client.sees('PUT put undefined');
	client.send(`DELETE / HTTP/1.1\r\nHost: a\r\n${OFFER}\r\n`);
	await client.sees('DELETE  undefined');
	const old = await RawClient.open(t, port);
	old.send(handshake().replace('HTTP/1.1', 'HTTP/1.0'));
	assert.match(await old.all(), /^HTTP\/1\.1 200 [\s\S]*GET {2}undefined$/);
});

test('an opening handshake of WebSocket that is wrong gets 400, and nothing is sent on', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address], { agent: { numWorker: 8 } });
	const key = `Sec-WebSocket-Key: ${KEY}\r\n`;
	const wrong: Record<string, string> = {
		'no key': handshake().replace(key, ''),
		'an empty key': handshake().replace(KEY, ''),
		'a short key': handshake().replace(KEY, 'c2hvcnQ='),
		'a long key': handshake().replace(KEY, Buffer.alloc(17).toString('base64')),
		'a key that is no base64': handshake().replace(KEY, `!${KEY.slice(1)}`),
		'two keys': handshake(key),
		'another method': handshake().replace('GET', 'POST'),
		'a body': `${handshake('Content-Length: 4\r\n')}body`,
		'a chunked body': `${handshake('Transfer-Encoding: chunked\r\n')}0\r\n\r\n`,
		'no Host': handshake().replace('Host: a\r\n', ''),
		'an empty Host': handshake().replace('Host: a\r\n', 'Host:\r\n'),
		'two Hosts': handshake('Host: b\r\n'),
		'a fragment': handshake('', '/#x'),
	};
	for (const [what, bytes] of Object.entries(wrong)) {
		const client = await RawClient.open(t, port);
		client.send(bytes);
		const text = await client.all();
		assert.match(text, /^HTTP\/1\.1 400 /, `${what}: ${text.slice(0, 200)}`);
		assert.match(text, /\r\nslime-error: bad_request\r\n/i, what);
		assert.match(text, /"code":"bad_request"/, what);
		assert.equal(client.ended, 'fin', what);
	}
	assert.equal(service.requests.length, 0);
});

test('another version of WebSocket is the upstream to answer, which says 426', async (t) => {
	const address = await rawUpstream(t, (socket) => {
		socket.on('data', (chunk) => {
			const version = /^sec-websocket-version: (.*)\r$/im.exec(chunk.toString('latin1'))?.[1];
			socket.write(
				`HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: ${version?.length}\r\n\r\n${version}`,
			);
		});
	});
	const { port } = await stack(t, [address]);
	const client = await RawClient.open(t, port);
	client.send(handshake().replace('Version: 13', 'Version: 99'));
	assert.match(
		await client.all(),
		/^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*sec-websocket-version: 13\r\n[\s\S]*99/i,
	);
});

test('an upgrade behind pipelined requests waits for their responses', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	service.server.on('upgrade', (_req, socket: Socket) => {
		socket.on('error', () => socket.destroy());
		socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\nswitched');
	});
	const { port } = await stack(t, [service.address], { hub: { upgrades: ['own'] }, agent: { numWorker: 4 } });
	const client = await RawClient.open(t, port);
	const plain = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
	client.send(`${plain}${plain}GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n`);
	for (const body of ['first', 'second']) {
		const [, res] = await arrivals.next();
		assert.doesNotMatch(client.received, /101/);
		res.end(body);
	}
	await client.sees('switched');
	assert.match(
		client.received,
		/^HTTP\/1\.1 200 [\s\S]*first[\s\S]*HTTP\/1\.1 200 [\s\S]*second[\s\S]*HTTP\/1\.1 101 /,
	);
});

test('an agent that does not announce extended CONNECT is not asked for an upgrade, which is 501', async (t) => {
	const service = await webSocketService(t);
	const { port, hub, join } = await stack(t);
	await joinWithoutUpgrades(t, hub.url);
	const client = await RawClient.open(t, port);
	await eventually('the agent joined', () => hub.agents === 1);
	client.send(handshake());
	assert.match(await client.all(), /^HTTP\/1\.1 501 [\s\S]*slime-error: not_implemented/i);
	await join(service.address);
	// Whichever of both it is given first, it comes to the one that serves it.
	for (let i = 0; i < 4; i++) {
		const next = await RawClient.open(t, port);
		next.send(handshake());
		await next.sees('101 Switching Protocols');
		next.socket.destroy();
		await workerFree(hub);
	}
});

/** An agent of somebody else's. */
async function joinWithoutUpgrades(context: TestContext, url: string): Promise<void> {
	const { socket, head } = await dialTunnel({
		hub: parseHubAddress(url),
		token: await token(),
		agentId: 'without-upgrades',
		info: {},
		connectTimeout: 10_000,
	});
	const refuse = (stream: Stream) => {
		stream.reset();
		return null;
	};
	const settings = { maxConcurrentStreams: 8 };
	const session = new Session({ socket, head, role: 'server', settings, handler: { stream: refuse, closed() {} } });
	context.after(() => session.destroy());
}

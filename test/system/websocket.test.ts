/** WebSocket from HTTP/1.1 apps to HTTP/1.1 upstreams: what is negotiated end to end, what passes, what a refusal looks like. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { test } from 'node:test';
import { closedPort } from '../helpers/ports.ts';
import { answering, eventually, listenOn, RawClient, rawUpstream, stack } from '../helpers/stack.ts';
import {
	ACCEPT,
	closing,
	echoService,
	handshake,
	KEY,
	message,
	openRaw,
	openWebSocket,
	refusedWebSocket,
	switching,
	webSocketService,
} from '../helpers/websocket.ts';

test('a WebSocket passes messages of text and bytes both ways', async (t) => {
	const service = await echoService(t);
	const { port } = await stack(t, [service.address]);
	const socket = await openWebSocket(t, port, '/chat?room=1');
	socket.send('héllo');
	assert.equal(await message(socket), 'héllo');
	const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
	socket.send(bytes);
	const [data, isBinary] = await once(socket, 'message');
	assert.equal(isBinary, true);
	assert.deepEqual(data, bytes);
	assert.equal(service.requests[0]?.url, '/chat?room=1');
});

test('a WebSocket reaches an upstream on a Unix domain socket, and one with a prefix', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-ws-'));
	t.after(() => rm(folder, { recursive: true }));
	const local = await webSocketService(t, {}, { at: joinPath(folder, 's') });
	const first = await stack(t, [local.address]);
	const socket = await openWebSocket(t, first.port);
	(await local.next()).send('from a Unix domain socket');
	assert.equal(await message(socket), 'from a Unix domain socket');

	const service = await webSocketService(t);
	const second = await stack(t, [`http://127.0.0.1:${service.port}/below/it`]);
	await openWebSocket(t, second.port, '/chat');
	assert.equal(service.requests[0]?.url, '/below/it/chat');
});

test('a subprotocol is chosen by the upstream, and an app that offered none gets none', async (t) => {
	const service = await webSocketService(t, { handleProtocols: (offered) => [...offered].at(-1) ?? false });
	const { port } = await stack(t, [service.address], { agent: { numWorker: 2 } });
	const socket = await openWebSocket(t, port, '/', { protocols: ['mqtt', 'graphql-ws', 'wamp'] });
	assert.equal(socket.protocol, 'wamp');
	assert.equal((await service.next()).protocol, 'wamp');
	assert.equal(service.requests[0]?.headers['sec-websocket-protocol'], 'mqtt,graphql-ws,wamp');
	assert.equal((await openWebSocket(t, port)).protocol, '');
});

test('permessage-deflate is negotiated end to end, and its frames pass as they are', async (t) => {
	const service = await echoService(t, { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } });
	const { port } = await stack(t, [service.address], { agent: { numWorker: 3 } });
	const socket = await openWebSocket(t, port, '/', { perMessageDeflate: { threshold: 0 } });
	assert.match(socket.extensions, /^permessage-deflate/);
	const text = 'the same again and again. '.repeat(4000);
	socket.send(text);
	assert.equal(await message(socket), text);
	const client = await openRaw(t, port, 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n');
	assert.match(client.received, /\r\nsec-websocket-extensions: permessage-deflate; server_no_context_takeover/i);
	const without = await openRaw(t, port);
	assert.doesNotMatch(without.received, /sec-websocket-extensions/i);
});

test('ping and pong pass untouched, each end answering the other', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address]);
	const socket = await openWebSocket(t, port);
	const far = await service.next();
	socket.ping('from the app');
	assert.equal(String((await once(far, 'ping'))[0]), 'from the app');
	far.ping('from the upstream');
	assert.equal(String((await once(socket, 'ping'))[0]), 'from the upstream');
	const answered = once(socket, 'pong');
	socket.ping('again');
	assert.equal(String((await answered)[0]), 'again');
});

test('close codes and reasons pass in both directions', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address], { agent: { numWorker: 2 } });
	const first = await openWebSocket(t, port);
	const far = await service.next();
	const told = closing(far);
	first.close(4321, 'the app is done');
	assert.equal(await closing(first), '4321 the app is done');
	assert.equal(await told, '4321 the app is done');

	const second = await openWebSocket(t, port);
	const closed = closing(second);
	(await service.next()).close(1011, 'the model is gone');
	assert.equal(await closed, '1011 the model is gone');
});

test("the 101 answers the app's own key, the upstream is asked with another", async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send(handshake('Origin: https://app.example\r\nCookie: a=b\r\nX-Own: 1\r\n'));
	await client.sees('\r\n\r\n');
	assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
	assert.match(client.received, /\r\nupgrade: websocket\r\n/i);
	assert.match(client.received, /\r\nconnection: Upgrade\r\n/i);
	assert.equal(client.received.match(/sec-websocket-accept: (.*)\r\n/i)?.[1], ACCEPT);
	assert.match(client.received, /\r\nslime-agent-id: agent-/i);
	assert.doesNotMatch(client.received, /content-length|transfer-encoding/i);
	const headers = service.requests[0]?.headers ?? {};
	assert.notEqual(headers['sec-websocket-key'], KEY);
	assert.equal(headers.host, service.address);
	assert.equal(headers.origin, 'https://app.example');
	assert.equal(headers.cookie, 'a=b');
	assert.equal(headers['x-own'], '1');
	assert.equal(headers['x-forwarded-host'], 'a');
	assert.equal(headers.via, '1.1 slime');
});

test('the app password is asked for, and does not reach the upstream', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address], { hub: { appPassword: 'open sesame' } });
	const refusal = await refusedWebSocket(port, '/', { headers: { authorization: 'Bearer wrong' } });
	assert.equal(refusal.status, 401);
	assert.equal(refusal.headers['slime-error'], 'unauthorized');
	assert.equal(JSON.parse(refusal.body).error.code, 'unauthorized');
	assert.equal(service.requests.length, 0);
	const socket = await openWebSocket(t, port, '/', { headers: { authorization: 'Bearer open sesame' } });
	socket.terminate();
	assert.equal(service.requests[0]?.headers.authorization, undefined);
});

test("the agent's own credentials take the place of the app's", async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address], { agent: { upstreamToken: 'of-the-agent' } });
	await openWebSocket(t, port, '/', { headers: { authorization: 'Bearer of-the-app' } });
	assert.equal(service.requests[0]?.headers.authorization, 'Bearer of-the-agent');
});

test('a refusal passes on with its status, fields and body, and its connection ends', async (t) => {
	const server = createServer();
	server.on('upgrade', (req, socket) => {
		const status = req.url?.slice(1);
		if (status === '404') {
			socket.end(
				'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-Why: gone\r\n\r\n4\r\nno r\r\n3\r\noom\r\n0\r\n\r\n',
			);
		} else {
			const body = `refused with ${status}`;
			socket.end(`HTTP/1.1 ${status} Whatever\r\nContent-Length: ${body.length}\r\nX-Why: ${status}\r\n\r\n${body}`);
		}
	});
	const { port, hub } = await stack(t, [`127.0.0.1:${await listenOn(t, server)}`]);
	for (const status of [401, 403, 426, 503, 302]) {
		const refusal = await refusedWebSocket(port, `/${status}`);
		assert.equal(refusal.status, status);
		assert.equal(refusal.headers['x-why'], String(status));
		assert.equal(refusal.body, `refused with ${status}`);
		assert.equal(refusal.headers['slime-error'], undefined);
		assert.match(refusal.headers['slime-agent-id'] as string, /^agent-/);
	}
	const client = await RawClient.open(t, port);
	client.send(handshake('', '/404'));
	const text = await client.all();
	assert.match(text, /^HTTP\/1\.1 404 Not Found\r\n/);
	assert.match(text, /\r\nx-why: gone\r\n/i);
	assert.match(text, /\r\nconnection: close\r\n/i);
	assert.match(text, /\r\n0\r\n\r\n$/);
	assert.equal(client.ended, 'fin');
	assert.equal(hub.leased, 0);
});

test('a refusal that is cut never looks complete', async (t) => {
	const address = await rawUpstream(t, (socket) => {
		answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf', (open) => open.end())(socket);
	});
	const { port } = await stack(t, [address]);
	const client = await RawClient.open(t, port);
	client.send(handshake());
	assert.doesNotMatch(await client.all(), /\r\n0\r\n\r\n$/);
	assert.equal(client.ended, 'reset');
});

test('an upstream that switches wrongly, or does not know how, is 502 upstream_protocol', async (t) => {
	const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n';
	const wrong: Record<string, string> = {
		'a wrong Accept': `${switched}Upgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
		'no Accept': `${switched}Upgrade: websocket\r\n\r\n`,
		'another protocol': `${switched}Upgrade: other\r\n\r\n`,
		'no protocol': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
		'an ordinary response': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
		'no HTTP': 'hello\r\n\r\n',
	};
	for (const [what, bytes] of Object.entries(wrong)) {
		const { port, hub } = await stack(t, [await rawUpstream(t, answering(bytes))]);
		const refusal = await refusedWebSocket(port);
		assert.equal(`${refusal.status} ${refusal.headers['slime-error']}`, '502 upstream_protocol', what);
		await eventually(`${what}: the worker is free`, () => hub.leased === 0);
	}
	for (const field of ['Sec-WebSocket-Protocol: unasked', 'Sec-WebSocket-Extensions: permessage-deflate; a="b, c"']) {
		const address = await rawUpstream(t, (socket) => {
			const { write } = socket;
			socket.write = ((text: string) =>
				write.call(socket, text.replace(/\r\n\r\n$/, `\r\n${field}\r\n\r\n`))) as typeof write;
			switching(() => undefined)(socket);
		});
		const { port } = await stack(t, [address]);
		const refusal = await refusedWebSocket(port, '/', { perMessageDeflate: false });
		assert.equal(`${refusal.status} ${refusal.headers['slime-error']}`, '502 upstream_protocol', field);
		assert.match(refusal.body, new RegExp(field.split(':', 1)[0] ?? ''));
	}
});

test('an upstream that cannot be reached, or closes without an answer, is 502 upstream_unreachable', async (t) => {
	const closes = await rawUpstream(t, (socket) => socket.once('data', () => socket.end()));
	for (const address of [`127.0.0.1:${await closedPort()}`, closes]) {
		const { port } = await stack(t, [address]);
		const refusal = await refusedWebSocket(port);
		assert.equal(`${refusal.status} ${refusal.headers['slime-error']}`, '502 upstream_unreachable');
	}
});

test('without an agent a WebSocket is refused with no_agent, below /.slime/ with not_found', async (t) => {
	const { port } = await stack(t);
	assert.equal((await refusedWebSocket(port)).headers['slime-error'], 'no_agent');
	assert.equal((await refusedWebSocket(port, '/.slime/tunnel')).headers['slime-error'], 'not_found');
});

test('bytes that come along with the 101 belong to the WebSocket, on both sides', async (t) => {
	const address = await rawUpstream(t, (socket) => {
		// In one write with the 101.
		socket.cork();
		switching((open) => {
			open.write('\x81\x05first', 'latin1');
			open.uncork();
			open.on('data', (chunk) => open.write(chunk));
			open.resume();
		})(socket);
	});
	const { port } = await stack(t, [address]);
	const client = await RawClient.open(t, port);
	// Frames sent without waiting for the 101 are kept until there is one.
	client.send(`${handshake()}\x81\x05early`);
	await client.sees('\x81\x05first');
	await client.sees('\x81\x05early');
	assert.equal(client.received.split('\r\n\r\n')[1], '\x81\x05first\x81\x05early');
});

test('an upstream that refuses never sees what the app sent behind its handshake', async (t) => {
	let received = '';
	const address = await rawUpstream(t, (socket) => {
		socket.on('data', (chunk) => {
			received += chunk.toString('latin1');
			if (!received.endsWith('\r\n\r\n')) return;
			// Time for what must not come: one round trip to the app, which has sent all it has.
			socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
		});
	});
	const { port } = await stack(t, [address], { hub: { firstByteTimeout: 10_000 } });
	const client = await RawClient.open(t, port);
	client.send(handshake());
	await client.sees('HTTP/1.1 103 Early Hints');
	client.send('GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
	const ordinary = await RawClient.open(t, port);
	ordinary.send('GET /busy HTTP/1.1\r\nHost: a\r\n\r\n');
	await ordinary.sees('503');
	client.socket.resetAndDestroy();
	await ordinary.sees('busy');
	assert.equal(received.split('HTTP/1.1').length, 2, received);
});

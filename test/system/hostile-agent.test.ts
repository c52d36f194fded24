/** A hub that an agent with a valid token attacks: that tunnel or that one response ends; other agents' requests go on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../src/h2/protocol.ts';
import { codeOf, frame, OK, type RawPeer, settingsFrame, uint32 } from '../helpers/h2-peer.ts';
import { bytesInUse, MiB, times } from '../helpers/hostile.ts';
import { fakeAgent } from '../helpers/hostile-tunnel.ts';
import { slowClock } from '../helpers/slow-clock.ts';
import { ask, assertError, eventually, RawClient, type Stack, stack, token, upstream } from '../helpers/stack.ts';

const { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR } = ErrorCode;
const EVIL = { 'slime-scope': 'evil', 'slime-block': '1' };

interface Attacked extends Stack {
	readonly peer: RawPeer;
}

async function attacked(t: TestContext): Promise<Attacked> {
	const service = await upstream(t, (_req, res) => res.end('fine'));
	const honest = await stack(t);
	await honest.join(service.address, { scopes: ['good'], numWorker: 4 });
	const peer = await fakeAgent(t, honest.port, await token({ scopes: ['evil'] }), 4);
	await eventually('both are there', () => honest.hub.agents === 2);
	return { ...honest, peer };
}

async function othersGoOn({ port }: Stack): Promise<void> {
	const answer = await ask(port, '/', { headers: { 'slime-scope': 'good', 'slime-block': '1' } });
	assert.deepEqual([answer.status, answer.body], [200, 'fine']);
}

const floods: Array<[string, () => Buffer]> = [
	['asks with PING', () => times(500, frame(FrameType.PING, 0, 0, Buffer.alloc(8)))],
	['changes its limit', () => Buffer.concat([times(250, Buffer.concat([settingsFrame(3, 4), settingsFrame(3, 5)]))])],
	['says GOAWAY', () => times(500, frame(FrameType.GOAWAY, 0, 0, uint32(0x7fff_ffff, 0)))],
	['opens windows by a byte', () => times(500, frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1)))],
	['sends empty DATA', () => times(500, frame(FrameType.DATA, 0, 1))],
	['never ends a header block', () => times(10, frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(10)))],
];

for (const [what, piece] of floods) {
	test(`an agent that ${what} without end is cut, its request is an error, others go on`, {
		timeout: 60_000,
	}, async (t) => {
		slowClock(t);
		const it = await attacked(t);
		const { peer, port, log } = it;
		const victim = ask(port, '/', { headers: EVIL });
		const request = await peer.next(FrameType.HEADERS);
		assert.equal(request.streamId, 1);
		if (what !== 'never ends a header block') peer.send(peer.headers(1, OK, false));
		else peer.send(frame(FrameType.HEADERS, 0, 1));
		const before = bytesInUse();
		const logged = log.lines.length;
		const began = performance.now();
		for (let i = 0; i < 3000 && !peer.ended; i++) {
			peer.send(piece());
			if (i % 20 === 0) await othersGoOn(it);
			await peer.room();
		}
		await peer.closed();
		assert.deepEqual(peer.of(FrameType.GOAWAY).map(codeOf), [ENHANCE_YOUR_CALM]);
		const answer = await victim;
		assert.ok(!answer.complete || answer.status === 502, String(answer.status));
		await eventually('the hub knows that it is gone', () => it.hub.agents === 1 && it.hub.leased === 0);
		const seconds = (performance.now() - began) / 1000;
		const told = log.lines.slice(logged).filter(({ msg }) => /agent/.test(String(msg))).length;
		assert.ok(told >= 1 && told <= 3 + seconds, `${told} lines`);
		await othersGoOn(it);
		await peer.discard();
		const growth = bytesInUse() - before;
		assert.ok(growth < 16 * MiB, `${growth} bytes`);
	});
}

const lies: Array<[string, (peer: RawPeer, id: number) => Buffer]> = [
	['a control character in a field', (peer, id) => peer.headers(id, [...OK, 'x', 'a\x01b'])],
	[
		'DEL in a field, with a body',
		(peer, id) => Buffer.concat([peer.headers(id, [...OK, 'x', '\x7f'], false), peer.data(id, 'x', true)]),
	],
	['a line break in a field', (peer, id) => peer.headers(id, [...OK, 'x', 'a\r\nset-cookie: y'])],
	['no :status', (peer, id) => peer.headers(id, ['x', 'y'])],
	['status 99', (peer, id) => peer.headers(id, [':status', '099'])],
	['Transfer-Encoding', (peer, id) => peer.headers(id, [...OK, 'transfer-encoding', 'chunked'], false)],
	['two Content-Lengths', (peer, id) => peer.headers(id, [...OK, 'content-length', '1', 'content-length', '2'], false)],
	['DATA before HEADERS', (peer, id) => peer.data(id, 'x')],
];

for (const [what, lie] of lies) {
	test(`a response with ${what} is 502 upstream_protocol and its tunnel goes on`, async (t) => {
		const it = await attacked(t);
		const { peer, port } = it;
		const victim = ask(port, '/', { headers: EVIL });
		const request = await peer.next(FrameType.HEADERS);
		peer.send(lie(peer, request.streamId));
		assertError(await victim, 502, 'upstream_protocol');
		const next = ask(port, '/', { headers: EVIL });
		const { streamId } = await peer.next(FrameType.HEADERS);
		peer.send(peer.headers(streamId, OK, false), peer.data(streamId, 'still here', true));
		assert.equal((await next).body, 'still here');
		assert.equal(peer.ended, false);
		await othersGoOn(it);
	});
}

for (const [what, code, rest] of [
	[
		'a body longer than its Content-Length',
		ErrorCode.PROTOCOL_ERROR,
		(peer: RawPeer) => peer.data(1, Buffer.alloc(20), true),
	],
	['a body shorter than its Content-Length', ErrorCode.PROTOCOL_ERROR, (peer: RawPeer) => peer.data(1, 'x', true)],
	[
		'trailers with a pseudo-header field',
		ErrorCode.PROTOCOL_ERROR,
		(peer: RawPeer) => peer.headers(1, [':status', '200']),
	],
	[
		'more than its window',
		FLOW_CONTROL_ERROR,
		(peer: RawPeer) => Buffer.concat(Array.from({ length: 600 }, () => peer.data(1, Buffer.alloc(16_000)))),
	],
] as const) {
	test(`a response that has begun and goes on with ${what} is cut, and its tunnel goes on`, async (t) => {
		const it = await attacked(t);
		const { peer, port } = it;
		const client = await RawClient.open(t, port);
		client.send('GET / HTTP/1.1\r\nHost: a\r\nSlime-Scope: evil\r\n\r\n');
		await peer.next(FrameType.HEADERS);
		const length = code === FLOW_CONTROL_ERROR ? '100000000' : '10';
		peer.send(peer.headers(1, [...OK, 'content-length', length], false));
		await client.sees('200 OK');
		if (code === FLOW_CONTROL_ERROR) client.socket.pause();
		peer.send(rest(peer));
		const reset = await peer.next(FrameType.RST_STREAM);
		assert.equal(codeOf(reset), code);
		client.socket.resume();
		const all = await client.all();
		assert.ok(all.length - all.indexOf('\r\n\r\n') - 4 < Number(length));
		await peer.settle();
		assert.equal(peer.ended, false);
		await othersGoOn(it);
	});
}

const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

for (const [what, more] of [
	['an app that does not read', ''],
	['an app that asks for a WebSocket and does not read', WEBSOCKET],
] as const) {
	test(`1xx responses without end are not kept for ${what}`, { timeout: 60_000 }, async (t) => {
		const it = await attacked(t);
		const { peer, port } = it;
		// SETTINGS_ENABLE_CONNECT_PROTOCOL
		peer.send(settingsFrame(8, 1));
		await peer.settle();
		const client = await RawClient.open(t, port);
		client.send(`GET / HTTP/1.1\r\nHost: a\r\nSlime-Scope: evil\r\n${more}\r\n`);
		await peer.next(FrameType.HEADERS);
		client.socket.pause();
		const before = bytesInUse();
		for (let i = 0; i < 100; i++) {
			peer.send(
				...Array.from({ length: 1000 }, () => peer.headers(1, [':status', '103', 'link', 'l'.repeat(1000)], false)),
			);
			await peer.settle();
		}
		const growth = bytesInUse() - before;
		assert.ok(growth < 16 * MiB, `${growth} bytes of 100 MB`);
		peer.send(peer.headers(1, [':status', '404', 'content-length', '4'], false), peer.data(1, 'done', true));
		client.socket.resume();
		await client.sees('done');
		await othersGoOn(it);
	});
}

test('a 100 that no app waits for reaches none, and one that waits is told once', async (t) => {
	const { peer, port } = await attacked(t);
	const body = 'Content-Length: 1\r\n';
	for (const [streamId, fields, told] of [
		[1, body, 0],
		[3, `${body}Expect: 100-continue\r\n`, 1],
	] as const) {
		const client = await RawClient.open(t, port);
		client.send(`POST / HTTP/1.1\r\nHost: a\r\nSlime-Scope: evil\r\n${fields}\r\n`);
		await peer.next(FrameType.HEADERS);
		const goOn = () => peer.headers(streamId, [':status', '100'], false);
		peer.send(goOn(), goOn(), peer.headers(streamId, [...OK, 'content-length', '0'], true));
		await client.sees('200 OK');
		assert.equal(client.received.split('100 Continue').length - 1, told);
	}
});

test('an app that does not read holds up its own response alone, in a bounded window', {
	timeout: 60_000,
}, async (t) => {
	const it = await attacked(t);
	const { peer, port } = it;
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\nSlime-Scope: evil\r\n\r\n');
	await peer.next(FrameType.HEADERS);
	client.socket.pause();
	peer.send(peer.headers(1, OK, false));
	await peer.settle();
	const before = bytesInUse();
	// An agent that obeys: 1 MiB, and what credit comes.
	peer.send(...Array.from({ length: 64 }, () => peer.data(1, Buffer.alloc(16_000))));
	await peer.settle();
	const growth = bytesInUse() - before;
	assert.ok(growth < 8 * MiB, `${growth} bytes`);
	const next = ask(port, '/', { headers: EVIL });
	await peer.next(FrameType.HEADERS);
	peer.send(peer.headers(3, OK, false), peer.data(3, 'beside it', true));
	assert.equal((await next).body, 'beside it');
	await othersGoOn(it);
});

test('PUSH_PROMISE, streams of its own and a reset of nothing end the tunnel of an agent, not the hub', async (t) => {
	for (const bytes of [
		frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, uint32(2)),
		frame(FrameType.HEADERS, Flag.END_HEADERS, 2, Buffer.from([0x88])),
		frame(FrameType.RST_STREAM, 0, 7, uint32(8)),
	]) {
		const it = await attacked(t);
		it.peer.send(bytes);
		await it.peer.closed();
		assert.deepEqual(it.peer.of(FrameType.GOAWAY).map(codeOf), [ErrorCode.PROTOCOL_ERROR]);
		await eventually('the hub knows', () => it.hub.agents === 1);
		await othersGoOn(it);
	}
});

test('strangers with bad tokens are refused each, and told of once a second', async (t) => {
	const it = await attacked(t);
	const began = performance.now();
	for (let i = 0; i < 50; i++) {
		const headers = {
			connection: 'Upgrade',
			upgrade: 'h2c-reverse',
			authorization: 'Bearer v3.local.AAAA',
			'slime-agent-id': 'x',
		};
		const client = await RawClient.open(t, it.port);
		client.send(
			`GET /.slime/tunnel HTTP/1.1\r\nHost: a\r\n${Object.entries(headers)
				.map(([name, value]) => `${name}: ${value}\r\n`)
				.join('')}\r\n`,
		);
		assert.match(await client.all(), /^HTTP\/1\.1 401 /);
	}
	const told = it.log.lines.filter(({ msg }) => msg === 'agent refused').length;
	assert.ok(told >= 1 && told <= 2 + (performance.now() - began) / 1000, String(told));
	await othersGoOn(it);
});

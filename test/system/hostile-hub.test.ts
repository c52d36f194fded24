/** An agent whose hub attacks it: that tunnel ends, or bears it, while requests of the agent's other hub go on. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../src/h2/protocol.ts';
import { createAgent } from '../../src/index.ts';
import { codeOf, frame, GET, POST, type RawPeer, settingsFrame, uint32 } from '../helpers/h2-peer.ts';
import { bytesInUse, MiB, times } from '../helpers/hostile.ts';
import { FakeHub } from '../helpers/hostile-tunnel.ts';
import { protocolUpstream } from '../helpers/protocol-upstream.ts';
import { slowClock } from '../helpers/slow-clock.ts';
import {
	type AgentWish,
	ask,
	eventually,
	type Stack,
	stack,
	token,
	type Upstream,
	upstream,
} from '../helpers/stack.ts';

const { ENHANCE_YOUR_CALM, CANCEL } = ErrorCode;

interface Attacked extends Stack {
	/** The attacker's end of its tunnel. */
	readonly peer: RawPeer;
	readonly service: Upstream;
}

/** One agent, four workers, an honest hub and a hostile one. */
async function attacked(t: TestContext, wish: AgentWish = {}): Promise<Attacked> {
	const fake = await FakeHub.open(t);
	const service = await upstream(t, (req, res) => {
		req.resume();
		if (req.url === '/endless') {
			const more = () => {
				while (res.write(Buffer.alloc(64 * 1024)));
			};
			res.on('drain', more);
			more();
		} else if (req.url !== '/wait') {
			res.end('fine');
		}
	});
	const honest = await stack(t);
	await honest.join(service.address, {
		hubs: [honest.hub.url, fake.url],
		numWorker: 4,
		...wish,
	});
	return { ...honest, peer: await fake.tunnel(), service };
}

const path = (target: string) => [...GET.slice(0, -1), target];
const lines = ({ log }: Stack, ...levels: string[]) => log.lines.filter(({ level }) => levels.includes(String(level)));

/** Sends pieces until the tunnel is over, asking for a page through the honest hub all the while; how many pieces it took. */
async function floodUntilOver({ peer, port }: Attacked, most: number, piece: (i: number) => Buffer): Promise<number> {
	let sent = 0;
	while (sent < most && !peer.ended) {
		peer.send(piece(sent++));
		if (sent % 20 === 0) {
			const { status, body } = await ask(port, '/', { headers: { 'slime-block': '1' } });
			assert.deepEqual([status, body], [200, 'fine']);
		}
		await peer.room();
	}
	return sent;
}

const floods: Array<[string, (peer: RawPeer, i: number) => Buffer]> = [
	[
		'cancels requests as fast as it makes them',
		(peer, i) =>
			Buffer.concat(
				Array.from({ length: 500 }, (_, k) => {
					const id = 1000 * i + 2 * k + 1;
					return Buffer.concat([peer.headers(id, GET), frame(FrameType.RST_STREAM, 0, id, uint32(CANCEL))]);
				}),
			),
	],
	[
		'makes the agent reset its requests',
		(peer, i) =>
			Buffer.concat(
				Array.from({ length: 500 }, (_, k) => {
					const id = 1000 * i + 2 * k + 1;
					return Buffer.concat([peer.headers(id, POST, false), frame(FrameType.WINDOW_UPDATE, 0, id, uint32(0))]);
				}),
			),
	],
	['asks with PING', () => times(500, frame(FrameType.PING, 0, 0, Buffer.alloc(8)))],
	['changes its SETTINGS', () => times(500, settingsFrame(4, 65_535))],
	['says GOAWAY', () => times(500, frame(FrameType.GOAWAY, 0, 0, uint32(0x7fff_ffff, 0)))],
	['sends PRIORITY', () => times(500, frame(FrameType.PRIORITY, 0, 9, Buffer.from([0, 0, 0, 1, 1])))],
	['never ends a header block', () => frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(10))],
	['sends header blocks that grow in the agent', (peer, i) => bomb(peer, i)],
];

/** Blocks of 8,000 references each to a field of 1,000 bytes, which the first request puts into the table. */
function bomb(peer: RawPeer, i: number): Buffer {
	if (i === 0) {
		const value = Buffer.concat([Buffer.from([0x40, 1, 0x62, 0x7f, 0xe9, 0x06]), Buffer.alloc(1000, 'b')]);
		const block = Buffer.concat([peer.encoder.encode(GET), value]);
		return frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, block);
	}
	const blocks = Array.from({ length: 200 }, (_, k) => {
		return frame(
			FrameType.HEADERS,
			Flag.END_HEADERS | Flag.END_STREAM,
			400 * i + 2 * k + 1,
			Buffer.alloc(8000, 0x80 | 62),
		);
	});
	return Buffer.concat(blocks);
}

for (const [what, piece] of floods) {
	test(`a hub that ${what} without end is left, and the other hub notices nothing`, { timeout: 60_000 }, async (t) => {
		slowClock(t);
		const it = await attacked(t);
		const { peer, log, service } = it;
		const before = bytesInUse();
		const logged = log.lines.length;
		const began = performance.now();
		if (what === 'never ends a header block') {
			// An answer to anything would end it.
			peer.polite = false;
			peer.send(frame(FrameType.HEADERS, 0, 1));
		}
		const sent = await floodUntilOver(it, 3000, (i) => piece(peer, i));
		assert.ok(peer.ended, `still open after ${sent}`);
		assert.deepEqual(peer.of(FrameType.GOAWAY).map(codeOf), [ENHANCE_YOUR_CALM]);
		await eventually('the agent says so', () => log.has('disconnected:') || log.has('the hub is leaving'));
		const seconds = (performance.now() - began) / 1000;
		const told = log.lines.slice(logged).filter(({ level }) => level !== 'debug' && level !== 'info').length;
		assert.ok(told <= 3 + seconds, `${told} lines in ${seconds} s`);
		assert.equal((await ask(it.port, '/', { headers: { 'slime-block': '1' } })).body, 'fine');
		assert.ok(service.peak <= 4, String(service.peak));
		await peer.discard();
		const growth = bytesInUse() - before;
		assert.ok(growth < 16 * MiB, `${growth} bytes`);
	});
}

test('a hub that cancels 5,000 requests in ten seconds is honest: its tunnel stays', { timeout: 60_000 }, async (t) => {
	const { peer, service, port } = await attacked(t);
	for (let round = 0; round < 50; round++) {
		for (let i = 0; i < 100; i++) {
			const id = 200 * round + 2 * i + 1;
			peer.send(peer.headers(id, path('/wait')), frame(FrameType.RST_STREAM, 0, id, uint32(CANCEL)));
		}
		await peer.settle();
	}
	assert.equal(peer.ended, false);
	await eventually('nothing is left at the upstream', () => service.active === 0);
	assert.ok(service.peak <= 4);
	assert.equal((await ask(port)).body, 'fine');
});

test('a hub that holds its windows shut pauses the upstream, and the other hub is served', {
	timeout: 60_000,
}, async (t) => {
	const it = await attacked(t);
	const { peer, port } = it;
	peer.send(settingsFrame(4, 0));
	await peer.settle();
	const before = bytesInUse();
	for (const id of [1, 3, 5]) peer.send(peer.headers(id, path('/endless')));
	for (const id of [1, 3, 5]) await peer.next(FrameType.HEADERS, (headers) => headers.streamId === id);
	for (let i = 0; i < 20; i++) {
		assert.equal((await ask(port, '/', { headers: { 'slime-block': '1' } })).body, 'fine');
		await peer.settle();
	}
	const growth = bytesInUse() - before;
	// Three streams, each with a queue in the agent and what two sockets of one connection hold.
	assert.ok(growth < 24 * MiB, `${growth} bytes`);
	assert.equal(peer.of(FrameType.DATA).length, 0);
	for (const id of [1, 3, 5]) peer.send(frame(FrameType.RST_STREAM, 0, id, uint32(CANCEL)));
	await eventually('the upstream is left', () => it.service.active === 0);
});

test('a hub that begins a frame and goes silent is found by the heartbeat', { timeout: 30_000 }, async (t) => {
	const { peer, port, log } = await attacked(t, { heartbeat: { interval: 200, timeout: 1000 } });
	peer.send(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(100)).subarray(0, 20));
	peer.polite = false;
	await peer.closed();
	assert.ok(log.has('the hub does not answer any more'));
	assert.equal((await ask(port)).body, 'fine');
});

test('a hub whose requests no upstream can be sent gets 400 for each, and one line a second is logged', async (t) => {
	const it = await attacked(t);
	const { peer, port } = it;
	const bad = ['/a b', '/\x01', '/a\tHTTP/1.0'];
	const began = performance.now();
	for (let i = 0; i < 300; i++) {
		peer.send(peer.headers(2 * i + 1, path(bad[i % 3] as string)));
		const answer = await peer.next(FrameType.HEADERS);
		const fields = peer.fields(answer);
		assert.equal(fields[1], '400', fields.join());
	}
	const seconds = (performance.now() - began) / 1000;
	const told = lines(it, 'warn', 'error').length;
	assert.ok(told >= 1 && told <= 2 + seconds, `${told} lines`);
	assert.equal((await ask(port)).body, 'fine');
	assert.equal(peer.ended, false);
});

test('what cannot be sent is 400 also where the way to the upstream is found out late', async (t) => {
	const fake = await FakeHub.open(t);
	const service = await protocolUpstream(t, 'https with http/1.1 alone', (_req, res) => {
		(res as ServerResponse).end('fine');
	});
	const agent = await createAgent({
		token: await token(),
		hubs: [fake.url],
		upstreams: [service.address],
		ca: service.ca,
		numWorker: 8,
		reportHardware: false,
	});
	t.after(() => agent.close());
	const peer = await fake.tunnel();
	const connect = [':method', 'CONNECT', ':protocol', 'websocket', ...GET.slice(2, -1)];
	const unsendable = [
		[...POST.slice(0, -1), '/a b'],
		[...POST, 'trailer', 'x-t', 'x', 'a\x01b'],
		[...POST, 'expect', '100-continue', 'x', 'a\x01b'],
		[...connect, '/a b'],
	];
	// Asks for the protocol at first, and knows it then.
	for (const [i, section] of [...unsendable, ...unsendable].entries()) {
		peer.send(peer.headers(2 * i + 1, section, false));
		const fields = peer.fields(await peer.next(FrameType.HEADERS));
		assert.equal(fields[1], '400', `${i}: ${fields.join()}`);
	}
	peer.send(peer.headers(99, GET));
	assert.equal(peer.fields(await peer.next(FrameType.HEADERS))[1], '200');
	assert.equal(service.served, 1);
});

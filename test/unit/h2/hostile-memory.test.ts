/** Peers that want us to hold bytes: header bombs, frames without an end, windows that never open. Held is little, and not for ever. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLIENT_PREFACE, ErrorCode, Flag, FrameType } from '../../../src/h2/protocol.ts';
import { Session } from '../../../src/h2/session.ts';
import { duplexPair } from '../../helpers/h2-duplex.ts';
import {
	connect,
	connectClient,
	frame,
	GET,
	OK,
	POST,
	Recorder,
	settingsFrame,
	uint32,
} from '../../helpers/h2-peer.ts';
import { bytesInUse, endsWith, MiB, times } from '../../helpers/hostile.ts';

const { ENHANCE_YOUR_CALM, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, CANCEL } = ErrorCode;
const { END_HEADERS, END_STREAM } = Flag;
const literal = (name: string, value: Buffer) =>
	Buffer.concat([Buffer.from([0x40, name.length]), Buffer.from(name), hpackLength(value.length), value]);

function hpackLength(length: number): Buffer {
	if (length < 0x7f) return Buffer.from([length]);
	const bytes = [0x7f];
	let rest = length - 0x7f;
	for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
	return Buffer.from([...bytes, rest]);
}

/** A header block cut into frames of at most 16 KiB. */
function headerFrames(id: number, block: Buffer): Buffer {
	const frames: Buffer[] = [];
	for (let at = 0; at < block.length; at += 16_384) {
		const flags = (at === 0 ? END_STREAM : 0) | (at + 16_384 >= block.length ? END_HEADERS : 0);
		frames.push(
			frame(at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, flags, id, block.subarray(at, at + 16_384)),
		);
	}
	return Buffer.concat(frames);
}

describe('a header bomb', () => {
	it('of references to one large field is 431, costs no memory, and its neighbours go on', async () => {
		const { peer, session, accepted, near, far } = connect('server');
		await peer.settle();
		peer.send(
			frame(
				FrameType.HEADERS,
				END_HEADERS | END_STREAM,
				1,
				Buffer.concat([peer.encoder.encode(GET), literal('bomb', Buffer.alloc(4000, 'b'))]),
			),
		);
		await peer.settle();
		assert.equal(accepted.length, 1);
		const before = bytesInUse();
		for (let i = 0; i < 20; i++) {
			// Index 62 is the entry above: 60,000 times 4 KB, 240 MB in 60 KB.
			peer.send(headerFrames(3 + 2 * i, Buffer.alloc(60_000, 0x80 | 62)));
			await peer.settle();
		}
		// What the test itself keeps of what was sent.
		near.writes.length = far.writes.length = 0;
		const growth = bytesInUse() - before;
		assert.ok(growth < 2 * MiB, `${growth} bytes`);
		assert.equal(peer.of(FrameType.HEADERS).length, 20);
		assert.equal(session.closed, false);
		assert.equal(session.openStreams, 1);
	});

	it('is paid for by its bytes: a few large ones cost a connection as much as many resets', async () => {
		const connection = connect('server', { options: { resetBudget: { burst: 150, perSecond: 0 } } });
		const { peer, session } = connection;
		const block = () => Buffer.concat([peer.encoder.encode(GET), Buffer.alloc(60_000, 0x80 | 1)]);
		for (const id of [1, 3]) {
			peer.send(headerFrames(id, block()));
			await peer.settle();
		}
		assert.equal(session.closed, false);
		peer.send(headerFrames(5, block()));
		await endsWith(connection, ENHANCE_YOUR_CALM);
	});

	it('of one field larger than the list is 431 whether it is Huffman coded or not', async () => {
		const { peer, session } = connect('server', { options: { settings: { maxHeaderListSize: 64 * 1024 } } });
		const plain = literal('x', Buffer.alloc(100_000, 'a'));
		const huffman = Buffer.concat([
			Buffer.from([0x40, 1]),
			Buffer.from('x'),
			Buffer.from([0xff, ...hpackLength(62_500).subarray(1)]),
			// '0' is five zero bits.
			Buffer.alloc(62_500),
		]);
		peer.send(headerFrames(1, plain));
		assert.deepEqual(peer.fields(await peer.next(FrameType.HEADERS)), [':status', '431']);
		peer.send(headerFrames(3, huffman));
		assert.deepEqual(peer.fields(await peer.next(FrameType.HEADERS)), [':status', '431']);
		assert.equal(session.closed, false);
	});

	it('of CONTINUATION frames with bytes ends the connection at four times the list size', async () => {
		const connection = connect('server', { options: { settings: { maxHeaderListSize: 16 * 1024 } } });
		const { peer } = connection;
		const before = bytesInUse();
		peer.send(frame(FrameType.HEADERS, 0, 1, Buffer.alloc(16_384)));
		for (let i = 0; i < 100; i++) peer.send(frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16_384)));
		await endsWith(connection, ENHANCE_YOUR_CALM);
		assert.ok(bytesInUse() - before < 4 * MiB);
	});

	it('of table size updates above the limit ends the connection', async () => {
		const connection = connect('server');
		connection.peer.send(frame(FrameType.HEADERS, 5, 1, Buffer.from([0x3f, 0xe2, 0x1f, 0x82])));
		await endsWith(connection, COMPRESSION_ERROR);
	});

	it('in a response resets its stream alone', async () => {
		const { peer, session } = await connectClient();
		const bombed = new Recorder();
		const other = new Recorder();
		session.request(GET, true, bombed);
		session.request(GET, true, other);
		await peer.settle();
		peer.send(headerFrames(1, Buffer.concat([Buffer.from([0x88]), literal('x', Buffer.alloc(70_000, 'y'))])));
		peer.send(peer.headers(3, OK));
		await Promise.all([bombed.over, other.over]);
		assert.deepEqual(bombed.calls, ['failed', 'closed']);
		assert.equal(bombed.failure?.code, ENHANCE_YOUR_CALM);
		assert.deepEqual(other.calls, ['headers', 'end', 'closed']);
	});
});

describe('what is never finished', () => {
	const cases: Array<[string, Buffer]> = [
		['a header block', frame(FrameType.HEADERS, 0, 1, Buffer.from([0x82]))],
		['a frame whose payload never comes', frame(FrameType.PING, 0, 0, Buffer.alloc(8)).subarray(0, 9)],
		['a frame header', frame(FrameType.PING, 0, 0).subarray(0, 5)],
	];
	for (const [name, bytes] of cases) {
		it(`${name}, ends the connection in bounded time`, async () => {
			// Long enough for a slow machine to have read the preface before.
			const connection = connect('server', { options: { unfinishedTimeout: 500 } });
			await connection.peer.settle();
			connection.peer.send(bytes);
			await endsWith(connection, ENHANCE_YOUR_CALM);
		});
	}

	it('a frame of which a byte comes now and then, ends the connection too', async () => {
		const connection = connect('server', { options: { unfinishedTimeout: 500 } });
		const { peer, session } = connection;
		await peer.settle();
		peer.send(frame(0xbe, 0, 0, Buffer.alloc(10_000)).subarray(0, 9));
		const drip = setInterval(() => peer.send(Buffer.from([0])), 5);
		await connection.ended;
		clearInterval(drip);
		assert.equal((session.error as { code?: number } | null)?.code, ENHANCE_YOUR_CALM);
	});

	it('the preface, ends the connection of a peer that says nothing', async () => {
		const [socket, far] = duplexPair();
		const error = await new Promise<Error | null>((resolve) => {
			const handler = { closed: (_session: Session, reason: Error | null) => resolve(reason) };
			new Session({ socket, role: 'server', handler, unfinishedTimeout: 50 });
			far.write(CLIENT_PREFACE.subarray(0, 10));
		});
		assert.equal((error as { code?: number } | null)?.code, ENHANCE_YOUR_CALM);
	});

	it('a body may be, for any length of time', async () => {
		const connection = connect('server', { options: { unfinishedTimeout: 500 } });
		const { peer, session, accepted } = connection;
		peer.send(peer.headers(1, POST, false));
		await peer.settle();
		const data = peer.data(1, Buffer.alloc(1000), true);
		for (let at = 0; at < 50; at++) {
			peer.send(data.subarray(at === 0 ? 0 : 9 + at, 10 + at));
			await new Promise((resolve) => setTimeout(resolve, 15));
		}
		assert.equal(session.closed, false);
		peer.send(data.subarray(59));
		await accepted[0]?.recorder.received;
		assert.deepEqual(accepted[0]?.recorder.calls, ['data', 'end']);
	});

	it('is not taken for it while the process itself stands still', async () => {
		const { peer, session } = connect('server', { options: { unfinishedTimeout: 300 } });
		await peer.settle();
		const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8));
		peer.send(ping.subarray(0, 5));
		await new Promise((resolve) => setImmediate(resolve));
		peer.send(ping.subarray(5));
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
		await peer.settle();
		assert.equal(session.closed, false);
	});

	it('is told apart from many frames of which each ends', async () => {
		const connection = connect('server', { options: { unfinishedTimeout: 1000 } });
		const { peer, session } = connection;
		await peer.settle();
		// Each read ends in the middle of a frame, never the same one.
		const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8));
		peer.send(ping.subarray(0, 5));
		const until = performance.now() + 2500;
		while (performance.now() < until) {
			peer.send(Buffer.concat([ping.subarray(5), ping.subarray(0, 5)]));
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		assert.equal(session.closed, false);
	});
});

describe('windows that never open', () => {
	for (const [name, settings, credit] of [
		['of streams', [4, 0], 0x7fff_0000 - 65_535],
		['of the connection', [4, 0x7fff_ffff], 0],
	] as const) {
		it(`${name} hold little of many streams, whose writers are paused; the rest of the connection goes on`, async () => {
			const { peer, session, accepted } = connect('server', { peerSettings: settings });
			if (credit > 0) peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(credit)));
			for (let i = 0; i < 20; i++) peer.send(peer.headers(1 + 2 * i, GET));
			await peer.settle();
			for (const { stream } of accepted) {
				stream.respond(OK, false);
				while (stream.write(Buffer.alloc(64 * 1024)));
				assert.ok(stream.queued <= 512 * 1024, String(stream.queued));
			}
			const held = accepted.reduce((sum, { stream }) => sum + stream.queued, 0);
			assert.ok(held <= 4 * MiB + 20 * 128 * 1024, `${held} bytes`);
			await peer.settle();
			assert.equal(peer.of(FrameType.HEADERS).length, 20);
			const sent = peer.of(FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0);
			assert.equal(sent, credit > 0 ? 0 : 65_535);
			// What it holds goes with the streams.
			for (let i = 0; i < 20; i++) peer.send(frame(FrameType.RST_STREAM, 0, 1 + 2 * i, uint32(CANCEL)));
			await peer.settle();
			assert.ok(accepted.every(({ stream }) => stream.queued === 0 && stream.closed));
			assert.equal(session.openStreams, 0);
		});
	}

	it('and open by a byte at a time are served a byte at a time', async () => {
		const { peer, accepted, session } = connect('server', { peerSettings: [4, 0] });
		peer.send(peer.headers(1, GET));
		await peer.settle();
		accepted[0]?.stream.respond(OK, false);
		accepted[0]?.stream.write(Buffer.alloc(100));
		for (let i = 1; i <= 100; i++) {
			peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1)));
			await peer.settle();
			assert.equal(peer.bodyOf(1).length, i);
		}
		assert.equal(session.closed, false);
	});

	it('moved up and down by SETTINGS a thousand times, leave streams with what the last one says', async () => {
		const { peer, accepted } = connect('server');
		peer.send(peer.headers(1, GET));
		await peer.settle();
		peer.send(
			...Array.from({ length: 1000 }, (_, i) => settingsFrame(4, i % 2 === 0 ? 0x7fff_ffff : 0)),
			settingsFrame(4, 7),
		);
		await peer.settle();
		assert.equal(accepted[0]?.stream.sendWindow, 7);
		accepted[0]?.stream.respond(OK, false);
		accepted[0]?.stream.write(Buffer.alloc(100));
		await peer.settle();
		assert.equal(peer.bodyOf(1).length, 7);
	});
});

describe('a peer that never reads', () => {
	it('is handed 256 KiB and no more while its streams wait', async () => {
		const { peer, near, accepted, session } = connect('server', { peerSettings: [4, 0x7fff_ffff] });
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7000_0000)));
		for (let i = 0; i < 20; i++) peer.send(peer.headers(1 + 2 * i, GET));
		await peer.settle();
		near.hold();
		for (const { stream } of accepted) {
			stream.respond(OK, false);
			while (stream.write(Buffer.alloc(64 * 1024)));
		}
		for (let i = 0; i < 10; i++) {
			await new Promise((resolve) => setImmediate(resolve));
			assert.ok(near.writableLength < 300 * 1024, String(near.writableLength));
		}
		session.destroy();
		near.release();
	});
});

describe('a window that is overstepped', () => {
	it('by all of a stream at once costs that stream, and its bytes are held by nobody', async () => {
		const { peer, session, accepted } = connect('server', {
			reads: false,
			options: { settings: { initialWindowSize: 1000 } },
		});
		await peer.settle();
		peer.send(peer.headers(1, POST, false), peer.headers(3, POST, false), peer.data(1, Buffer.alloc(1001)));
		await peer.settle();
		assert.equal(accepted[0]?.recorder.failure?.code, FLOW_CONTROL_ERROR);
		assert.equal(accepted[0]?.recorder.body.length, 0);
		assert.equal(session.openStreams, 1);
	});

	it('of the connection by streams that are over costs the connection', async () => {
		const connection = connect('server', { options: { connectionWindow: 65_535 } });
		const { peer } = connection;
		peer.send(peer.headers(1, POST, false), frame(FrameType.RST_STREAM, 0, 1, uint32(CANCEL)));
		await peer.settle();
		// Credit comes back on receipt, so only a frame larger than what is left oversteps it.
		connection.session.updateSettings({ maxFrameSize: 200_000 });
		await peer.settle();
		peer.send(times(1, peer.data(1, Buffer.alloc(70_000))));
		await endsWith(connection, FLOW_CONTROL_ERROR);
	});
});

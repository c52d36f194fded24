/** Who may send how much and when: windows of both levels, turns between streams, order and size of socket writes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, FrameType, SettingId } from '../../../src/h2/protocol.ts';
import { WindowBudget } from '../../../src/h2/window.ts';
import {
	codeOf,
	connect,
	connectClient,
	creditOn,
	frame,
	GET,
	OK,
	POST,
	Recorder,
	type Setup,
	uint32,
} from '../../helpers/h2-peer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const large = [SettingId.INITIAL_WINDOW_SIZE, 1 << 24];
const openConnection = frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1 << 24));
const immediate = () => new Promise((resolve) => setImmediate(resolve));

/** A client engine with `count` open requests whose bodies are to be written. */
async function uploads(count: number, setup: Setup = {}) {
	const connection = await connectClient({ peerSettings: large, ...setup });
	const recorders = Array.from({ length: count }, () => new Recorder());
	const streams = recorders.map((recorder) => connection.session.request(POST, false, recorder));
	connection.peer.send(openConnection);
	await connection.peer.settle();
	return { ...connection, recorders, streams };
}

describe('receiving', () => {
	it('gives connection credit on receipt and stream credit only for what is read', async () => {
		const { peer, accepted } = connect('server', { reads: false, options: { connectionWindow: 100_000 } });
		await peer.settle();
		assert.equal(creditOn(peer, 0), 100_000 - 65_535);
		peer.send(peer.headers(1, POST, false), peer.headers(3, POST, false));
		for (let i = 0; i < 6; i++) peer.send(peer.data(1, Buffer.alloc(10_000)));
		await peer.settle();
		assert.ok(creditOn(peer, 0) >= 34_465 + 50_000);
		assert.equal(creditOn(peer, 1), 0);
		for (let i = 0; i < 6; i++) peer.send(peer.data(3, Buffer.alloc(10_000)));
		await peer.settle();
		assert.equal(accepted[1]?.recorder.body.length, 60_000);
		accepted[1]?.stream.consume(60_000);
		await peer.settle();
		assert.ok(creditOn(peer, 3) >= 60_000);
		assert.equal(creditOn(peer, 1), 0);
	});

	it('counts connection credit for streams that are over', async () => {
		const { peer, accepted } = connect('server', { options: { connectionWindow: 65_535 } });
		peer.send(peer.headers(1, POST, false));
		await peer.settle();
		accepted[0]?.stream.reset();
		for (let i = 0; i < 4; i++) peer.send(peer.data(1, Buffer.alloc(10_000)));
		await peer.settle();
		assert.ok(creditOn(peer, 0) >= 32_768);
	});

	it('resets a stream that oversteps its window', async () => {
		const { peer } = connect('server', { reads: false });
		peer.send(peer.headers(1, POST, false));
		for (let i = 0; i < 4; i++) peer.send(peer.data(1, Buffer.alloc(16_384)));
		const reset = await peer.next(FrameType.RST_STREAM);
		assert.equal(codeOf(reset), ErrorCode.FLOW_CONTROL_ERROR);
	});

	it('ends a connection that oversteps its window', async () => {
		const options = { connectionWindow: 65_535, settings: { maxFrameSize: 70_000 } };
		const { peer } = connect('server', { reads: false, options });
		peer.send(peer.headers(1, POST, false), peer.data(1, Buffer.alloc(65_536)));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ErrorCode.FLOW_CONTROL_ERROR);
	});

	it('opens the window of a stream to 1 MiB with the first credit', async () => {
		const { peer } = connect('server', { options: { maxStreamWindow: KiB * KiB } });
		peer.send(peer.headers(1, POST, false), peer.data(1, Buffer.alloc(10_000)));
		await peer.settle();
		assert.equal(creditOn(peer, 1), 0);
		for (let i = 0; i < 3; i++) peer.send(peer.data(1, Buffer.alloc(10_000)));
		await peer.settle();
		assert.equal(creditOn(peer, 1), KiB * KiB - 65_535 + 40_000);
	});

	it('grows the windows of reading streams within the budgets and gives all of it back', async () => {
		const processBudget = new WindowBudget(300_000);
		const { peer, accepted, ended, session } = connect('server', { options: { processBudget } });
		peer.send(peer.headers(1, POST, false));
		for (let i = 0; i < 20; i++) {
			peer.send(peer.data(1, Buffer.alloc(16_384)), peer.data(1, Buffer.alloc(16_384)));
			await peer.settle();
		}
		assert.ok((accepted[0]?.stream.receiveWindow.size ?? 0) > 65_535);
		assert.ok(processBudget.used > 0 && processBudget.used <= 300_000);
		peer.send(frame(FrameType.RST_STREAM, 0, 1, uint32(8)));
		await accepted[0]?.recorder.over;
		session.destroy();
		await ended;
		assert.equal(processBudget.used, 0);
	});
});

describe('sending', () => {
	it('stops at the connection window and goes on with it', async () => {
		const { peer, session } = await connectClient({ peerSettings: large });
		const streams = [1, 3].map(() => session.request(POST, false, new Recorder()));
		for (const stream of streams) stream.write(Buffer.alloc(50_000));
		const all = () => peer.bodyOf(1).length + peer.bodyOf(3).length;
		await peer.until(() => all() === 65_535);
		await peer.settle();
		assert.equal(all(), 65_535);
		peer.send(openConnection);
		await peer.until(() => all() === 100_000);
	});

	it('ends streams without bytes although the connection window is used up', async () => {
		const { peer, session } = await connectClient({ peerSettings: large });
		const [one, two] = [1, 3].map(() => session.request(POST, false, new Recorder()));
		one?.write(Buffer.alloc(70_000));
		await peer.until(() => peer.bodyOf(1).length === 65_535);
		two?.end();
		await peer.next(FrameType.DATA, (f) => f.streamId === 3 && f.flags === 1);
	});

	it('lets a stream with a used up window wait alone', async () => {
		const { peer, session } = await connectClient({ peerSettings: [SettingId.INITIAL_WINDOW_SIZE, 100] });
		const [one, two] = [1, 3].map(() => session.request(POST, false, new Recorder()));
		one?.write(Buffer.alloc(5000));
		two?.write(Buffer.alloc(80));
		two?.end();
		await peer.next(FrameType.DATA, (f) => f.streamId === 3 && f.flags === 1);
		assert.equal(peer.bodyOf(1).length, 100);
	});

	it('takes turns of 64 KiB between streams, whatever larger frames the peer allows', async () => {
		const { peer, streams } = await uploads(3, { peerSettings: [...large, SettingId.MAX_FRAME_SIZE, 1 << 20] });
		for (const stream of streams) stream.write(Buffer.alloc(256 * KiB));
		await peer.until(() => peer.of(FrameType.DATA).reduce((sum, f) => sum + f.payload.length, 0) === 768 * KiB);
		const order = peer.of(FrameType.DATA).map((f) => [f.streamId, f.payload.length / KiB]);
		assert.deepEqual(
			order.slice(0, 9),
			[1, 3, 5, 1, 3, 5, 1, 3, 5].map((id) => [id, 64]),
		);
	});

	it('lets a token go ahead of downloads, and a download ahead of endless tokens', async () => {
		const { near, peer, streams } = await uploads(3);
		const [download, tokens, more] = streams;
		near.hold();
		for (let i = 0; i < 4; i++) download?.write(Buffer.alloc(256 * KiB, 1));
		for (let i = 0; i < 5; i++) await immediate();
		const from = peer.frames.length;
		// The socket is full: all that is written now waits for its turn.
		for (let i = 0; i < 12; i++) tokens?.write(Buffer.alloc(KiB, 2));
		more?.write(Buffer.alloc(100, 3));
		near.release();
		await peer.until(() => peer.bodyOf(1).length === KiB * KiB);
		const order = peer.frames.slice(from).filter((f) => f.type === FrameType.DATA);
		const handedOver = order.findIndex((f) => f.streamId !== 1);
		const before = order.slice(0, handedOver).reduce((sum, f) => sum + f.payload.length, 0);
		assert.ok(before <= 256 * KiB, `${before} bytes went before a token`);
		assert.equal(order[handedOver + 1]?.streamId, 5);
		assert.equal(order[handedOver + 2]?.streamId, 1);
	});

	it('lets a stream end though no window is left for the others', async () => {
		const { peer, session } = await connectClient();
		const [one, two] = [1, 3].map(() => session.request(POST, false, new Recorder()));
		one?.write(Buffer.alloc(100_000));
		await peer.until(() => peer.bodyOf(1).length === 65_535);
		two?.end();
		const end = await peer.next(FrameType.DATA, (f) => f.streamId === 3);
		assert.equal(end.flags, 1);
	});

	it('lets out all writes of one tick in one socket write, and those of one stream in one frame', async () => {
		const { near, peer, streams, session } = await uploads(2);
		near.writes.length = 0;
		for (const stream of streams) for (const text of ['a', 'b', 'c']) stream.write(Buffer.from(text));
		session.ping();
		await peer.next(FrameType.PING, (f) => f.flags === 0);
		await peer.until(() => peer.of(FrameType.DATA).length === 2);
		assert.equal(near.writes.length, 1);
		assert.deepEqual(
			peer.of(FrameType.DATA).map((f) => f.payload.toString()),
			['abc', 'abc'],
		);
	});

	it('hands bodies to the socket by reference', async () => {
		const { near, streams } = await uploads(1);
		const chunk = Buffer.alloc(10_000, 1);
		near.writes.length = 0;
		streams[0]?.write(chunk);
		await immediate();
		await immediate();
		assert.equal(near.writes.flat().includes(chunk), true);
	});

	it('puts control frames ahead of DATA and hands over 256 KiB at most', async () => {
		const { near, peer, streams, session } = await uploads(2);
		near.hold();
		near.writes.length = 0;
		for (const stream of streams) stream.write(Buffer.alloc(KiB * KiB, 1));
		for (let i = 0; i < 10; i++) await immediate();
		assert.ok(near.writableLength > 200 * KiB && near.writableLength <= 257 * KiB, String(near.writableLength));
		const before = near.writableLength;
		session.ping();
		for (let i = 0; i < 5; i++) await immediate();
		assert.equal(near.writableLength, before + 17);
		near.release();
		await peer.next(FrameType.PING, (f) => f.flags === 0);
		const ahead = peer.of(FrameType.DATA).reduce((sum, f) => sum + f.payload.length, 0);
		assert.ok(ahead <= 512 * KiB, `${ahead} bytes`);
		await peer.until(() => peer.bodyOf(1).length + peer.bodyOf(3).length === 2 * KiB * KiB);
	});

	it('puts a PING of the same tick ahead of DATA that was written before it', async () => {
		const { near, peer, streams, session } = await uploads(1);
		const from = peer.frames.length;
		near.writes.length = 0;
		streams[0]?.write(Buffer.from('data'));
		session.ping();
		await peer.next(FrameType.DATA);
		assert.deepEqual(
			peer.frames.slice(from).map((f) => f.type),
			[FrameType.PING, FrameType.DATA],
		);
	});

	it('asks its writer to pause at 512 KiB, and calls it back at half of that', async () => {
		const { peer, session } = await connectClient({ peerSettings: large });
		const recorder = new Recorder();
		const stream = session.request(POST, false, recorder);
		assert.equal(stream.write(Buffer.alloc(511 * KiB)), true);
		assert.equal(stream.write(Buffer.alloc(KiB)), false);
		await peer.until(() => peer.bodyOf(1).length === 65_535);
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(256 * KiB - 65_535 - 1)));
		await peer.until(() => peer.bodyOf(1).length === 256 * KiB - 1);
		assert.deepEqual(recorder.calls, []);
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1)));
		await peer.until(() => peer.bodyOf(1).length === 256 * KiB);
		assert.deepEqual(recorder.calls, ['drain']);
		assert.equal(stream.queued, 256 * KiB);
	});

	it('asks for less of each where many readers are slow', async () => {
		const { peer, session } = await connectClient({ peerSettings: large });
		const streams = Array.from({ length: 40 }, () => session.request(POST, false, new Recorder()));
		for (const stream of streams) while (stream.write(Buffer.alloc(64 * KiB)));
		await peer.until(() => peer.bodyOf(1).length > 0);
		const queued = streams.map((stream) => stream.queued);
		assert.ok(Math.max(...queued) <= 512 * KiB, `${queued}`);
		assert.equal(queued.at(-1), 128 * KiB);
		const together = queued.reduce((sum, bytes) => sum + bytes, 0);
		assert.ok(together <= 4 * MiB + 40 * 128 * KiB, `${together} bytes`);
		// One that ends leaves its room to the others.
		for (const stream of streams.slice(0, 32)) stream.reset();
		assert.equal(streams.at(-1)?.write(Buffer.alloc(64 * KiB)), true);
	});

	it('sends END_STREAM with the last byte, and trailers after it', async () => {
		const { peer, accepted } = connect('server');
		peer.send(peer.headers(1, GET), peer.headers(3, GET));
		await peer.settle();
		for (const { stream } of accepted) {
			stream.respond(OK, false);
			stream.write(Buffer.from('body'));
			stream.end(stream.id === 3 ? ['x-sum', '1'] : undefined);
		}
		const last = await peer.next(FrameType.HEADERS, (f) => f.streamId === 3 && f.flags === 5);
		assert.equal(last.flags, 5);
		const flags = peer.of(FrameType.DATA).map((f) => [f.streamId, f.flags]);
		assert.deepEqual(flags, [
			[1, 1],
			[3, 0],
		]);
		await Promise.all(accepted.map(({ recorder }) => recorder.over));
	});
});

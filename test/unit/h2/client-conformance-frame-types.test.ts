/** What a client does with each type of frame that breaks the rules of its type (RFC 9113 sections 5.3, 6 and 7). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, Flag, FrameType, SettingId } from '../../../src/h2/protocol.ts';
import { assertAlive, changesNothing, clientScene, endsConnection, endsStream } from '../../helpers/h2-client-scene.ts';
import { creditOn, frame, GET, OK, Recorder, settingsFrame, settingsOf, uint32 } from '../../helpers/h2-peer.ts';

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED } = ErrorCode;
const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
	FrameType;
const dependsOn = (id: number) => Buffer.concat([uint32(id), Buffer.from([9])]);

describe('a client, DATA', () => {
	endsConnection('6.1 DATA on stream 0', PROTOCOL_ERROR, () => [frame(DATA, 0, 0, Buffer.from('x'))]);
	endsConnection('6.1 padding as long as the payload', PROTOCOL_ERROR, (peer) => [
		peer.headers(1, OK, false),
		frame(DATA, Flag.PADDED, 1, Buffer.from([3, 0, 0])),
	]);
	endsConnection('6.1 padded DATA without room for the length of its padding', FRAME_SIZE_ERROR, () => [
		frame(DATA, Flag.PADDED, 1),
	]);
	it('6.1 takes padding off, counts it for the window and gives it back', async () => {
		const scene = await clientScene({ options: { settings: { initialWindowSize: 1000 } } });
		const { peer, one } = scene;
		const padded = Buffer.concat([Buffer.from([200]), Buffer.from('hi'), Buffer.alloc(200)]);
		peer.send(peer.headers(1, OK, false), ...Array.from({ length: 4 }, () => frame(DATA, Flag.PADDED, 1, padded)));
		await peer.settle();
		assert.equal(one.body.toString(), 'hihihihi');
		assert.ok(creditOn(peer, 1) >= 500, `${creditOn(peer, 1)} bytes given back`);
		await assertAlive(scene);
	});
	it('6.1 DATA on a stream that is closed is answered with STREAM_CLOSED, once', async () => {
		const scene = await clientScene();
		const { peer, one } = scene;
		peer.send(peer.headers(1, OK, true), peer.data(1, 'late'), peer.data(1, 'later'));
		const reset = await peer.next(RST_STREAM);
		assert.deepEqual([reset.streamId, reset.payload.readUInt32BE(0)], [1, STREAM_CLOSED]);
		assert.deepEqual(one.calls, ['headers', 'end', 'closed']);
		await assertAlive(scene);
		assert.equal(peer.of(RST_STREAM).length, 1);
	});
});

describe('a client, HEADERS', () => {
	endsConnection('6.2 HEADERS on stream 0', PROTOCOL_ERROR, () => [frame(HEADERS, Flag.END_HEADERS, 0)]);
	endsConnection('6.2 more padding than there is left', PROTOCOL_ERROR, () => [
		frame(HEADERS, Flag.END_HEADERS | Flag.PADDED, 1, Buffer.from([2, 0x88])),
	]);
	endsConnection('6.2 more padding than there is left behind the priority', PROTOCOL_ERROR, () => [
		frame(HEADERS, Flag.END_HEADERS | Flag.PADDED | Flag.PRIORITY, 1, Buffer.from([3, 0, 0, 0, 0, 9, 0x88])),
	]);
	endsConnection('6.2 padded HEADERS without room for the length of the padding', FRAME_SIZE_ERROR, () => [
		frame(HEADERS, Flag.END_HEADERS | Flag.PADDED, 1),
	]);
	endsConnection('6.2 HEADERS without room for the priority that they announce', FRAME_SIZE_ERROR, () => [
		frame(HEADERS, Flag.END_HEADERS | Flag.PRIORITY, 1, Buffer.alloc(4)),
	]);
	it('6.2 takes padding and priority off', async () => {
		const { peer, one } = await clientScene();
		const flags = Flag.END_HEADERS | Flag.END_STREAM | Flag.PADDED | Flag.PRIORITY;
		peer.send(frame(HEADERS, flags, 1, Buffer.from([2, 0, 0, 0, 0, 9, 0x88, 0, 0])));
		await one.over;
		assert.deepEqual([one.fields, one.calls], [OK, ['headers', 'end', 'closed']]);
	});
});

describe('a client, PRIORITY', () => {
	changesNothing('5.3.2 PRIORITY on open, idle and foreign streams has no effect', () =>
		[1, 3, 2, 99].map((id) => frame(PRIORITY, 0, id, dependsOn(11))),
	);
	endsStream('5.3.1 PRIORITY on itself', PROTOCOL_ERROR, () => [frame(PRIORITY, 0, 1, dependsOn(1))]);
	endsStream('5.3.1 HEADERS that depend on themselves', PROTOCOL_ERROR, () => [
		frame(HEADERS, Flag.END_HEADERS | Flag.PRIORITY, 1, Buffer.concat([dependsOn(1), Buffer.from([0x88])])),
	]);
	endsConnection('6.3 PRIORITY on stream 0', PROTOCOL_ERROR, () => [frame(PRIORITY, 0, 0, dependsOn(1))]);
	endsStream('6.3 PRIORITY of a wrong size', FRAME_SIZE_ERROR, () => [frame(PRIORITY, 0, 1, Buffer.alloc(4))]);
	endsConnection('6.3 PRIORITY of a wrong size where no stream is that could be reset (6.4)', FRAME_SIZE_ERROR, () => [
		frame(PRIORITY, 0, 99, Buffer.alloc(6)),
	]);
});

describe('a client, RST_STREAM', () => {
	endsConnection('6.4 RST_STREAM on stream 0', PROTOCOL_ERROR, () => [frame(RST_STREAM, 0, 0, uint32(8))]);
	endsConnection('6.4 RST_STREAM on an idle stream', PROTOCOL_ERROR, () => [frame(RST_STREAM, 0, 99, uint32(8))]);
	for (const size of [3, 5]) {
		endsConnection(`6.4 RST_STREAM of ${size} bytes`, FRAME_SIZE_ERROR, () => [
			frame(RST_STREAM, 0, 1, Buffer.alloc(size)),
		]);
	}
	it('5.4.2 is never answered with RST_STREAM', async () => {
		const scene = await clientScene();
		const { peer, one } = scene;
		peer.send(...Array.from({ length: 3 }, () => frame(RST_STREAM, 0, 1, uint32(ErrorCode.INTERNAL_ERROR))));
		await one.over;
		assert.deepEqual([one.failure?.kind, one.failure?.code], ['reset', ErrorCode.INTERNAL_ERROR]);
		await assertAlive(scene);
		assert.equal(peer.of(RST_STREAM).length, 0);
	});
	it('7 an unknown code ends the stream like any other, and means that it may have started', async () => {
		const scene = await clientScene();
		scene.peer.send(frame(RST_STREAM, 0, 1, uint32(0xdead)));
		await scene.one.over;
		assert.deepEqual([scene.one.failure?.code, scene.one.failure?.started], [0xdead, true]);
		await assertAlive(scene);
	});
});

describe('a client, SETTINGS', () => {
	endsConnection('6.5 SETTINGS on a stream', PROTOCOL_ERROR, () => [frame(SETTINGS, 0, 1)]);
	endsConnection('6.5 SETTINGS of no whole number of settings', FRAME_SIZE_ERROR, () => [
		frame(SETTINGS, 0, 0, Buffer.alloc(7)),
	]);
	endsConnection('6.5 an acknowledgement with a payload', FRAME_SIZE_ERROR, () => [
		frame(SETTINGS, Flag.ACK, 0, Buffer.alloc(6)),
	]);
	endsConnection('6.5.2 a server that allows pushes', PROTOCOL_ERROR, () => [settingsFrame(SettingId.ENABLE_PUSH, 1)]);
	endsConnection('6.5.2 ENABLE_PUSH of 2', PROTOCOL_ERROR, () => [settingsFrame(SettingId.ENABLE_PUSH, 2)]);
	endsConnection('6.5.2 INITIAL_WINDOW_SIZE over 2^31-1', FLOW_CONTROL_ERROR, () => [
		settingsFrame(SettingId.INITIAL_WINDOW_SIZE, 0x8000_0000),
	]);
	for (const size of [16_383, 0x100_0000]) {
		endsConnection(`6.5.2 MAX_FRAME_SIZE of ${size}`, PROTOCOL_ERROR, () => [
			settingsFrame(SettingId.MAX_FRAME_SIZE, size),
		]);
	}
	endsConnection('6.5.2 ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441 section 3)', PROTOCOL_ERROR, () => [
		settingsFrame(SettingId.ENABLE_CONNECT_PROTOCOL, 2),
	]);
	changesNothing('6.5.2 unknown settings, and ENABLE_PUSH of 0, are no fault', () => [
		settingsFrame(0x7777, 1, SettingId.ENABLE_PUSH, 0),
	]);
	it('6.5.3 of a setting that comes twice the last value holds, and one acknowledgement is sent', async () => {
		const { peer, session } = await clientScene();
		const before = peer.of(SETTINGS).filter((f) => f.flags === Flag.ACK).length;
		peer.send(settingsFrame(SettingId.MAX_CONCURRENT_STREAMS, 5, SettingId.MAX_CONCURRENT_STREAMS, 2));
		await peer.settle();
		assert.equal(session.remote.maxConcurrentStreams, 2);
		assert.equal(peer.of(SETTINGS).filter((f) => f.flags === Flag.ACK).length, before + 1);
	});
});

describe('a client, PUSH_PROMISE', () => {
	it('8.4 announces that it takes no pushes', async () => {
		const { peer } = await clientScene();
		const [first] = peer.of(SETTINGS);
		assert.equal(first && settingsOf(first).get(SettingId.ENABLE_PUSH), 0);
	});
	const pushed = (peer: { encoder: { encode(fields: string[]): Buffer } }, id: number) =>
		Buffer.concat([uint32(id), peer.encoder.encode(GET)]);
	endsConnection('6.6 PUSH_PROMISE on an open stream', PROTOCOL_ERROR, (peer) => [
		frame(PUSH_PROMISE, Flag.END_HEADERS, 1, pushed(peer, 2)),
	]);
	endsConnection('6.6 PUSH_PROMISE on stream 0', PROTOCOL_ERROR, (peer) => [
		frame(PUSH_PROMISE, Flag.END_HEADERS, 0, pushed(peer, 2)),
	]);
	endsConnection(
		'8.4 PUSH_PROMISE although SETTINGS have not been acknowledged',
		PROTOCOL_ERROR,
		(peer, { session }) => {
			peer.polite = false;
			session.updateSettings({ initialWindowSize: 70_000 });
			return [frame(PUSH_PROMISE, Flag.END_HEADERS, 1, pushed(peer, 2))];
		},
	);
	endsConnection('8.4 HEADERS on a stream that was never promised', PROTOCOL_ERROR, (peer) => [peer.headers(2, OK)]);
});

describe('a client, PING', () => {
	endsConnection('6.7 PING on a stream', PROTOCOL_ERROR, () => [frame(PING, 0, 1, Buffer.alloc(8))]);
	for (const size of [7, 9]) {
		endsConnection(`6.7 PING of ${size} bytes`, FRAME_SIZE_ERROR, () => [frame(PING, 0, 0, Buffer.alloc(size))]);
	}
	it('6.7 is answered with the same bytes, an acknowledgement of none is not answered', async () => {
		const { peer } = await clientScene();
		const before = peer.of(PING).length;
		peer.send(frame(PING, Flag.ACK, 0, Buffer.from('nobodys!')), frame(PING, 0, 0, Buffer.from('12345678')));
		await peer.next(PING, (f) => f.flags === Flag.ACK && f.payload.toString() === '12345678');
		assert.equal(peer.of(PING).length, before + 1);
	});
});

describe('a client, GOAWAY', () => {
	endsConnection('6.8 GOAWAY on a stream', PROTOCOL_ERROR, () => [frame(GOAWAY, 0, 1, uint32(0, 0))]);
	endsConnection('6.8 GOAWAY of less than eight bytes', FRAME_SIZE_ERROR, () => [frame(GOAWAY, 0, 0, Buffer.alloc(7))]);
	it('6.8 streams above the last number never started, others finish, and none is opened any more', async () => {
		const { peer, session, one, other, ended } = await clientScene();
		peer.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(1, ErrorCode.NO_ERROR), Buffer.from('why')])));
		await other.over;
		assert.deepEqual([other.failure?.kind, other.failure?.started], ['goaway', false]);
		assert.equal(session.canRequest, false);
		assert.throws(() => session.request(GET, true, new Recorder()), { code: ErrorCode.REFUSED_STREAM });
		peer.send(peer.headers(1, OK, true));
		await one.over;
		assert.equal(one.failure, null);
		assert.equal(await ended, null);
	});
	it('7 an unknown code in GOAWAY is told as it is', async () => {
		const { peer, goaways } = await clientScene();
		peer.send(frame(GOAWAY, 0, 0, uint32(0x7fff_ffff, 0xdead)));
		await peer.settle();
		assert.deepEqual(
			goaways.map(({ code }) => code),
			[0xdead],
		);
	});
});

describe('a client, WINDOW_UPDATE', () => {
	for (const size of [3, 5]) {
		endsConnection(`6.9 WINDOW_UPDATE of ${size} bytes`, FRAME_SIZE_ERROR, () => [
			frame(WINDOW_UPDATE, 0, 1, Buffer.alloc(size)),
		]);
	}
	endsConnection('6.9 WINDOW_UPDATE of 0 on the connection', PROTOCOL_ERROR, () => [
		frame(WINDOW_UPDATE, 0, 0, uint32(0)),
	]);
	endsStream('6.9 WINDOW_UPDATE of 0 on a stream', PROTOCOL_ERROR, () => [frame(WINDOW_UPDATE, 0, 1, uint32(0))]);
	endsConnection('6.9 WINDOW_UPDATE on an idle stream', PROTOCOL_ERROR, () => [frame(WINDOW_UPDATE, 0, 99, uint32(1))]);
	endsConnection('6.9.1 a connection window over 2^31-1', FLOW_CONTROL_ERROR, () => [
		frame(WINDOW_UPDATE, 0, 0, uint32(0x7fff_ffff)),
	]);
	endsStream('6.9.1 a stream window over 2^31-1', FLOW_CONTROL_ERROR, () => [
		frame(WINDOW_UPDATE, 0, 1, uint32(0x7fff_ffff)),
	]);
	endsStream(
		'6.9.1 more DATA than the window of a stream',
		FLOW_CONTROL_ERROR,
		(peer) => [peer.headers(1, OK, false), peer.data(1, Buffer.alloc(101))],
		{ options: { settings: { initialWindowSize: 100 } } },
	);
	endsConnection(
		'6.9.1 more DATA than the window of the connection',
		FLOW_CONTROL_ERROR,
		(peer) => [peer.headers(1, OK, false), frame(DATA, 0, 1, Buffer.alloc(70_000))],
		{ options: { connectionWindow: 65_535, settings: { initialWindowSize: 1_000_000, maxFrameSize: 100_000 } } },
	);
	endsConnection('6.9.2 INITIAL_WINDOW_SIZE that takes an open window over 2^31-1', FLOW_CONTROL_ERROR, () => [
		frame(WINDOW_UPDATE, 0, 3, uint32(0x7fff_0000)),
		settingsFrame(SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff),
	]);
});

describe('a client, CONTINUATION', () => {
	it('6.10 joins a field section out of many frames', async () => {
		const { peer, one } = await clientScene();
		const fields = [...OK, 'x-long', 'z'.repeat(100)];
		const block = Buffer.from(peer.encoder.encode(fields));
		peer.send(frame(HEADERS, Flag.END_STREAM, 1, block.subarray(0, 1)), frame(CONTINUATION, 0, 1));
		peer.send(frame(CONTINUATION, 0, 1, block.subarray(1, 9)), frame(CONTINUATION, 4, 1, block.subarray(9)));
		await one.over;
		assert.deepEqual([one.fields, one.calls], [fields, ['headers', 'end', 'closed']]);
	});
	endsConnection('6.10 CONTINUATION without HEADERS', PROTOCOL_ERROR, () => [frame(CONTINUATION, 4, 1)]);
	endsConnection('6.10 CONTINUATION behind END_HEADERS', PROTOCOL_ERROR, (peer) => [
		peer.headers(1, OK, false),
		frame(CONTINUATION, 4, 1),
	]);
	for (const id of [0, 3]) {
		endsConnection(`6.10 CONTINUATION of stream ${id} in a block of stream 1`, PROTOCOL_ERROR, () => [
			frame(HEADERS, 0, 1, Buffer.from([0x88])),
			frame(CONTINUATION, 4, id),
		]);
	}
});

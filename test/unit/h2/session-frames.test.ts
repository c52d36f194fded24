/** What a session makes of frames, right and wrong: order, sizes, padding, header blocks, unknown types, floods. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../../src/h2/protocol.ts';
import { codeOf, connect, connectClient, frame, GET, POST, settingsFrame, uint32 } from '../../helpers/h2-peer.ts';

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, STREAM_CLOSED, ENHANCE_YOUR_CALM, COMPRESSION_ERROR } = ErrorCode;
const ping = (size = 8) => frame(FrameType.PING, 0, 0, Buffer.alloc(size));

describe('a server', () => {
	it('reads a request with body and trailers byte by byte', async () => {
		const { peer, accepted } = connect('server', { chunkSize: 1 });
		const trailers = ['x-sum', '1'];
		peer.send(peer.headers(1, [...POST, 'x', 'y'], false), peer.data(1, 'hello'), peer.headers(1, trailers));
		await peer.settle();
		const [first] = accepted;
		assert.deepEqual(first?.fields, [...POST, 'x', 'y']);
		assert.equal(first?.recorder.body.toString(), 'hello');
		assert.deepEqual(first?.recorder.calls, ['data', 'trailers', 'end']);
		assert.deepEqual(first?.recorder.trailerFields, trailers);
	});

	it('joins a header block out of CONTINUATION frames', async () => {
		const { peer, accepted } = connect('server');
		const block = Buffer.from(peer.encoder.encode([...GET, 'a', 'b'.repeat(50)]));
		peer.send(frame(FrameType.HEADERS, Flag.END_STREAM, 1, block.subarray(0, 3)));
		for (let at = 3; at < block.length; at++) {
			const flags = at === block.length - 1 ? Flag.END_HEADERS : 0;
			peer.send(frame(FrameType.CONTINUATION, flags, 1, block.subarray(at, at + 1)));
		}
		await peer.settle();
		assert.deepEqual(accepted[0]?.fields, [...GET, 'a', 'b'.repeat(50)]);
		assert.deepEqual(accepted[0]?.recorder.calls, ['end']);
	});

	for (const chunkSize of [1, 100]) {
		it(`takes padding off HEADERS and DATA that arrive ${chunkSize} bytes at a time, and counts it as read`, async () => {
			const { peer, accepted } = connect('server', { chunkSize });
			const block = Buffer.from(peer.encoder.encode(POST));
			const padded = Flag.PADDED | Flag.END_HEADERS | Flag.PRIORITY;
			peer.send(
				frame(FrameType.HEADERS, padded, 1, Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 9]), block, Buffer.alloc(3)])),
				frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from('\x02hi\0\0')),
				frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([2, 0, 0])),
				frame(FrameType.DATA, Flag.PADDED | Flag.END_STREAM, 1, Buffer.from('\0!')),
			);
			await peer.settle();
			assert.deepEqual(accepted[0]?.fields, POST);
			assert.equal(accepted[0]?.recorder.body.toString(), 'hi!');
			assert.deepEqual(accepted[0]?.recorder.calls, ['data', 'end']);
		});
	}

	it('ignores unknown frame types, flags and settings, and PRIORITY', async () => {
		const { peer, accepted, session } = connect('server');
		peer.send(
			frame(0xbe, 0xff, 0, Buffer.from('what')),
			frame(0xbe, 0xff, 77, Buffer.from('what')),
			settingsFrame(0x9999, 1),
			frame(FrameType.PRIORITY, 0, 5, Buffer.alloc(5)),
			frame(FrameType.PING, 0xfe, 0, Buffer.alloc(8)),
			peer.headers(1, GET),
		);
		await peer.settle();
		assert.equal(accepted.length, 1);
		assert.equal(session.closed, false);
	});

	const fatal: Array<[string, number, Buffer[]]> = [
		['DATA on stream 0', PROTOCOL_ERROR, [frame(FrameType.DATA, 0, 0)]],
		['DATA on an idle stream', PROTOCOL_ERROR, [frame(FrameType.DATA, 0, 9)]],
		['HEADERS on stream 0', PROTOCOL_ERROR, [frame(FrameType.HEADERS, 5, 0)]],
		['HEADERS on an even stream', PROTOCOL_ERROR, [frame(FrameType.HEADERS, 5, 2)]],
		['padding longer than DATA', PROTOCOL_ERROR, [frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([5, 0]))]],
		['padding longer than HEADERS', PROTOCOL_ERROR, [frame(FrameType.HEADERS, 0xc, 3, Buffer.from([5, 0]))]],
		['padded DATA without a length', FRAME_SIZE_ERROR, [frame(FrameType.DATA, Flag.PADDED, 1)]],
		['a bad header block', COMPRESSION_ERROR, [frame(FrameType.HEADERS, 5, 3, Buffer.from([0xff, 0xff]))]],
		['CONTINUATION on its own', PROTOCOL_ERROR, [frame(FrameType.CONTINUATION, 4, 1)]],
		['a header block that PING interrupts', PROTOCOL_ERROR, [frame(FrameType.HEADERS, 1, 3), ping()]],
		['a header block that DATA interrupts', PROTOCOL_ERROR, [frame(FrameType.HEADERS, 1, 3), frame(0, 0, 1)]],
		[
			'CONTINUATION of another stream',
			PROTOCOL_ERROR,
			[frame(FrameType.HEADERS, 1, 3), frame(FrameType.CONTINUATION, 4, 1)],
		],
		['RST_STREAM on stream 0', PROTOCOL_ERROR, [frame(FrameType.RST_STREAM, 0, 0, uint32(8))]],
		['RST_STREAM on an idle stream', PROTOCOL_ERROR, [frame(FrameType.RST_STREAM, 0, 9, uint32(8))]],
		['RST_STREAM of a wrong size', FRAME_SIZE_ERROR, [frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(3))]],
		['WINDOW_UPDATE of 0', PROTOCOL_ERROR, [frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0))]],
		['WINDOW_UPDATE of a wrong size', FRAME_SIZE_ERROR, [frame(FrameType.WINDOW_UPDATE, 0, 0, Buffer.alloc(5))]],
		['WINDOW_UPDATE on an idle stream', PROTOCOL_ERROR, [frame(FrameType.WINDOW_UPDATE, 0, 9, uint32(1))]],
		[
			'a connection window over 2^31-1',
			ErrorCode.FLOW_CONTROL_ERROR,
			[frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fff_ffff))],
		],
		['SETTINGS on a stream', PROTOCOL_ERROR, [frame(FrameType.SETTINGS, 0, 1)]],
		['SETTINGS of a wrong size', FRAME_SIZE_ERROR, [frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5))]],
		['SETTINGS ACK with a payload', FRAME_SIZE_ERROR, [frame(FrameType.SETTINGS, 1, 0, Buffer.alloc(6))]],
		['SETTINGS ACK for nothing', PROTOCOL_ERROR, [frame(FrameType.SETTINGS, 1, 0), frame(FrameType.SETTINGS, 1, 0)]],
		['SETTINGS_ENABLE_PUSH of 2', PROTOCOL_ERROR, [settingsFrame(2, 2)]],
		['SETTINGS_INITIAL_WINDOW_SIZE of 2^31', ErrorCode.FLOW_CONTROL_ERROR, [settingsFrame(4, 0x8000_0000)]],
		['SETTINGS_MAX_FRAME_SIZE of 16,383', PROTOCOL_ERROR, [settingsFrame(5, 16_383)]],
		['SETTINGS_MAX_FRAME_SIZE of 2^24', PROTOCOL_ERROR, [settingsFrame(5, 0x100_0000)]],
		['PING on a stream', PROTOCOL_ERROR, [frame(FrameType.PING, 0, 1, Buffer.alloc(8))]],
		['PING of a wrong size', FRAME_SIZE_ERROR, [ping(7)]],
		['GOAWAY on a stream', PROTOCOL_ERROR, [frame(FrameType.GOAWAY, 0, 1, uint32(0, 0))]],
		['GOAWAY of a wrong size', FRAME_SIZE_ERROR, [frame(FrameType.GOAWAY, 0, 0, uint32(0))]],
		['PUSH_PROMISE', PROTOCOL_ERROR, [frame(FrameType.PUSH_PROMISE, 4, 1, uint32(2))]],
		['PRIORITY on stream 0', PROTOCOL_ERROR, [frame(FrameType.PRIORITY, 0, 0, Buffer.alloc(5))]],
		['a frame over the announced size', FRAME_SIZE_ERROR, [frame(0x55, 0, 0, Buffer.alloc(16_385))]],
	];
	for (const [name, code, frames] of fatal) {
		it(`ends the connection for ${name}, telling open streams that they are lost`, async () => {
			const { peer, accepted, ended, closedCalls } = connect('server');
			peer.send(peer.headers(1, POST, false));
			await peer.settle();
			peer.send(...frames);
			assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), code);
			await peer.closed();
			assert.equal((await ended)?.name, 'ConnectionError');
			assert.deepEqual(accepted[0]?.recorder.calls, ['failed', 'closed']);
			assert.equal(accepted[0]?.recorder.failure?.kind, 'lost');
			assert.equal(closedCalls(), 1);
		});
	}

	const breaches: Array<[string, number, Buffer]> = [
		['WINDOW_UPDATE of 0', PROTOCOL_ERROR, frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(0))],
		[
			'a stream window over 2^31-1',
			ErrorCode.FLOW_CONTROL_ERROR,
			frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(0x7fff_ffff)),
		],
		['PRIORITY of a wrong size', FRAME_SIZE_ERROR, frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(4))],
		['PRIORITY on itself', PROTOCOL_ERROR, frame(FrameType.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 0]))],
	];
	for (const [name, code, bad] of breaches) {
		it(`resets only the stream for ${name}`, async () => {
			const { peer, accepted, session } = connect('server');
			peer.send(peer.headers(1, POST, false), peer.headers(3, POST, false), bad);
			const reset = await peer.next(FrameType.RST_STREAM);
			assert.deepEqual([reset.streamId, codeOf(reset)], [1, code]);
			await peer.settle();
			assert.deepEqual(accepted[0]?.recorder.calls, ['failed', 'closed']);
			assert.equal(accepted[0]?.recorder.failure?.kind, 'protocol');
			assert.equal(session.openStreams, 1);
		});
	}

	it('answers DATA after END_STREAM with STREAM_CLOSED', async () => {
		const { peer } = connect('server');
		peer.send(peer.headers(1, GET), peer.data(1, 'late'));
		assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), STREAM_CLOSED);
	});

	it('answers a field section over its limit with 431 and stays in step with the compression', async () => {
		const { peer, accepted } = connect('server', { options: { settings: { maxHeaderListSize: 2000 } } });
		peer.send(peer.headers(1, [...GET, 'first', 'x'.repeat(200), 'large', 'y'.repeat(3000), 'last', 'z']));
		const answer = await peer.next(FrameType.HEADERS);
		assert.deepEqual(peer.fields(answer), [':status', '431']);
		peer.send(peer.headers(3, [...GET, 'first', 'x'.repeat(200), 'last', 'z']));
		await peer.settle();
		assert.deepEqual(accepted[0]?.fields, [...GET, 'first', 'x'.repeat(200), 'last', 'z']);
	});

	it('counts fields too', async () => {
		const { peer } = connect('server', { options: { maxFields: 10 } });
		peer.send(peer.headers(1, [...GET, ...Array.from({ length: 14 }, () => 'a')]));
		assert.deepEqual(peer.fields(await peer.next(FrameType.HEADERS)), [':status', '431']);
	});

	it('ends a connection that sends CONTINUATION without end', async () => {
		const { peer } = connect('server');
		peer.send(frame(FrameType.HEADERS, 0, 1));
		for (let i = 0; i < 200; i++) peer.send(frame(FrameType.CONTINUATION, 0, 1));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ENHANCE_YOUR_CALM);
	});

	it('ends a connection that asks with PING and never reads the answers', async () => {
		const { peer, near, ended } = connect('server');
		await peer.settle();
		near.hold();
		for (let i = 0; i < 101; i++) peer.send(Buffer.concat(Array.from({ length: 100 }, () => ping())));
		const error = await ended;
		assert.equal((error as { code?: number } | null)?.code, ENHANCE_YOUR_CALM);
		near.release();
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ENHANCE_YOUR_CALM);
	});

	it('bears the same PINGs from a peer that reads', async () => {
		const { peer, session } = connect('server');
		for (let i = 0; i < 101; i++) {
			peer.send(Buffer.concat(Array.from({ length: 100 }, () => ping())));
			await peer.settle();
		}
		assert.equal(session.closed, false);
	});
});

describe('a client', () => {
	it('ends the connection for HEADERS on a stream that nobody opened', async () => {
		const { peer } = await connectClient();
		peer.send(peer.headers(2, [':status', '200']));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), PROTOCOL_ERROR);
	});

	it('ends the connection when its first frame is not SETTINGS', async () => {
		const { peer } = connect('client', { peerSettings: [2, 1] });
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), PROTOCOL_ERROR);
	});

	it('sends the preface and refuses pushes', async () => {
		const { peer } = await connectClient();
		assert.equal(peer.preface, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
		const [first] = peer.frames;
		assert.equal(first?.type, FrameType.SETTINGS);
		assert.deepEqual(first?.payload, Buffer.from([0, 2, 0, 0, 0, 0]));
	});
});

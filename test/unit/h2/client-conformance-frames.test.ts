/** What a client does with frames and header blocks that are wrong in themselves (RFC 9113 sections 3.4 and 4). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../../src/h2/protocol.ts';
import { assertAlive, changesNothing, clientScene, endsConnection, endsStream } from '../../helpers/h2-client-scene.ts';
import { codeOf, connect, frame, OK, type RawPeer, settingsFrame } from '../../helpers/h2-peer.ts';

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = ErrorCode;
const { DATA, HEADERS, SETTINGS, PUSH_PROMISE, PING, WINDOW_UPDATE, CONTINUATION } = FrameType;

const block = (peer: RawPeer, fields: string[]) => Buffer.from(peer.encoder.encode(fields));
const raw = (...bytes: number[]) => [frame(HEADERS, Flag.END_HEADERS, 1, Buffer.from(bytes))];

describe('a client, connection preface', () => {
	it('3.4 sends the preface and SETTINGS before the server has said anything', async () => {
		const { peer } = connect('client', { greets: false });
		await peer.next(SETTINGS);
		assert.equal(peer.preface, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
		assert.equal(peer.frames[0]?.type, SETTINGS);
	});

	for (const [what, first, code] of [
		['PING', frame(PING, 0, 0, Buffer.alloc(8)), PROTOCOL_ERROR],
		['an acknowledgement of SETTINGS', frame(SETTINGS, Flag.ACK, 0), PROTOCOL_ERROR],
		['DATA', frame(DATA, 0, 1), PROTOCOL_ERROR],
		['of an unknown type', frame(0x42, 0, 0), PROTOCOL_ERROR],
		['an answer in HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), FRAME_SIZE_ERROR],
	] as const) {
		it(`3.4 a first frame that is ${what} ends the connection`, async () => {
			const { peer, ended } = connect('client', { greets: false });
			peer.send(first);
			assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), code);
			assert.equal(((await ended) as { code?: number } | null)?.code, code);
		});
	}

	it('3.4 acknowledges the SETTINGS of the server', async () => {
		const { peer } = connect('client');
		await peer.next(SETTINGS, (f) => f.flags === Flag.ACK && f.payload.length === 0);
	});
});

describe('a client, frame format', () => {
	changesNothing('4.1 frames of unknown types are ignored, on a stream and on the connection', () => [
		frame(0x42, 0xff, 0, Buffer.from('what')),
		frame(0x42, 0xff, 1, Buffer.from('what')),
		frame(0xff, 0, 77),
	]);
	changesNothing('4.1 flags that a type does not define are ignored', () => [
		frame(PING, 0xfe, 0, Buffer.alloc(8)),
		frame(SETTINGS, 0xfe, 0),
		frame(WINDOW_UPDATE, 0xff, 1, Buffer.from([0, 0, 0, 1])),
	]);
	changesNothing('4.1 the reserved bit before a stream identifier is ignored', () => [
		frame(WINDOW_UPDATE, 0, 0x8000_0001, Buffer.from([0, 0, 0, 1])),
	]);
});

describe('a client, frame size', () => {
	it('4.2 reads a frame of the largest size that it announced', async () => {
		const scene = await clientScene();
		const { peer, one } = scene;
		peer.send(peer.headers(1, OK, false), peer.data(1, Buffer.alloc(16_384), true));
		await one.over;
		assert.equal(one.body.length, 16_384);
		await assertAlive(scene);
	});
	for (const [name, type, id] of [
		['DATA', DATA, 1],
		['HEADERS', HEADERS, 1],
		['SETTINGS', SETTINGS, 0],
		['unknown', 0x42, 1],
	] as const) {
		endsConnection(`4.2 a frame over the announced size, ${name}`, FRAME_SIZE_ERROR, () => [
			frame(type, 0, id, Buffer.alloc(16_385)),
		]);
	}
	endsConnection(
		'4.2 what the server allows itself does not raise what the client has announced',
		FRAME_SIZE_ERROR,
		() => [settingsFrame(5, 32_768), frame(DATA, 0, 1, Buffer.alloc(20_000))],
	);
});

describe('a client, field section compression', () => {
	endsConnection('4.3 an index that is in no table', COMPRESSION_ERROR, () => raw(0xff, 0xff, 0x03));
	endsConnection('4.3 index 0', COMPRESSION_ERROR, () => raw(0x80));
	endsConnection('4.3 a table size update after a field', COMPRESSION_ERROR, () => raw(0x88, 0x20));
	endsConnection('4.3 a table size update above the announced size', COMPRESSION_ERROR, () => raw(0x3f, 0xe2, 0x1f));
	endsConnection('4.3 a block that ends in a string', COMPRESSION_ERROR, () => raw(0x88, 0x40, 0x05, 0x61));
	endsConnection('4.3 Huffman padding of more than seven bits', COMPRESSION_ERROR, () =>
		raw(0x88, 0x00, 0x82, 0x1f, 0xff, 0x01, 0x61),
	);
	endsConnection('4.3 a broken block on a stream that is over', COMPRESSION_ERROR, (peer) => [
		peer.headers(1, OK, true),
		...raw(0x80),
	]);
	endsConnection('4.3 HEADERS in the middle of a header block', PROTOCOL_ERROR, (peer) => [
		frame(HEADERS, 0, 1, block(peer, OK)),
		peer.headers(3, OK),
	]);
	endsConnection('4.3 PUSH_PROMISE in the middle of a header block', PROTOCOL_ERROR, (peer) => [
		frame(HEADERS, 0, 1, block(peer, OK)),
		frame(PUSH_PROMISE, Flag.END_HEADERS, 1, Buffer.alloc(4)),
	]);
	endsConnection('4.3 a frame of an unknown type in the middle of a header block', PROTOCOL_ERROR, (peer) => [
		frame(HEADERS, 0, 1, block(peer, OK)),
		frame(0x42, 0, 1),
	]);

	it('4.3 stays in step with the compression when a section belongs to a stream that it has reset', async () => {
		const scene = await clientScene();
		const { peer, first, other } = scene;
		first.reset();
		await peer.settle();
		peer.send(peer.headers(1, [...OK, 'x-remembered', 'in the table'], true));
		peer.send(peer.headers(3, [...OK, 'x-remembered', 'in the table'], false));
		await other.answered;
		assert.deepEqual(other.fields, [...OK, 'x-remembered', 'in the table']);
	});
});

describe('a client, field section and header block limits', () => {
	const settings = { maxHeaderListSize: 1000 };
	endsStream(
		'10.5.1 a field section over the announced size',
		ENHANCE_YOUR_CALM,
		(peer) => [peer.headers(1, [...OK, 'x-large', 'y'.repeat(1000)], false)],
		{ options: { settings } },
	);
	endsStream(
		'10.5.1 more fields than it takes',
		ENHANCE_YOUR_CALM,
		(peer) => [peer.headers(1, [...OK, ...Array.from({ length: 40 }, () => 'a')], false)],
		{ options: { maxFields: 10 } },
	);
	endsStream(
		'10.5.1 trailers over the announced size',
		ENHANCE_YOUR_CALM,
		(peer) => [peer.headers(1, OK, false), peer.headers(1, ['x-large', 'y'.repeat(1000)], true)],
		{ options: { settings } },
	);
	endsConnection('10.5 CONTINUATION without end', ENHANCE_YOUR_CALM, () => [
		frame(HEADERS, 0, 1),
		...Array.from({ length: 200 }, () => frame(CONTINUATION, 0, 1)),
	]);
	endsConnection(
		'10.5 a header block much larger than any section that it would take',
		ENHANCE_YOUR_CALM,
		() => [frame(HEADERS, 0, 1, Buffer.alloc(4001, 0x20))],
		{ options: { settings } },
	);

	for (const [what, one] of [
		['PING', frame(PING, 0, 0, Buffer.alloc(8))],
		['SETTINGS', settingsFrame()],
	] as const) {
		it(`10.5 a server that asks with ${what} and never reads the answers is cut off with ENHANCE_YOUR_CALM`, async () => {
			const { peer, near, ended, other } = await clientScene();
			near.hold();
			for (let i = 0; i < 160; i++) peer.send(Buffer.concat(Array.from({ length: 100 }, () => one)));
			assert.equal(((await ended) as { code?: number } | null)?.code, ENHANCE_YOUR_CALM);
			assert.equal(other.failure?.kind, 'lost');
			near.release();
			assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ENHANCE_YOUR_CALM);
		});
	}
});

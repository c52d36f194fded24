/** Frames as bytes: each type, small payloads copied, large ones by reference, slabs reused only when told to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameWriter } from '../../../src/h2/frame-writer.ts';
import { Flag, FrameType } from '../../../src/h2/protocol.ts';
import { frame, settingsFrame, uint32 } from '../../helpers/h2-peer.ts';
import { seeded } from '../../helpers/seeded.ts';

function written(write: (writer: FrameWriter) => void): Buffer {
	const writer = new FrameWriter();
	write(writer);
	const { pending } = writer;
	const bytes = Buffer.concat(writer.take());
	assert.equal(pending, bytes.length);
	assert.equal(writer.pending, 0);
	return bytes;
}

describe('FrameWriter', () => {
	const cases: Array<[string, (writer: FrameWriter) => void, Buffer]> = [
		['RST_STREAM', (w) => w.rstStream(0x7fff_ffff, 8), frame(FrameType.RST_STREAM, 0, 0x7fff_ffff, uint32(8))],
		['WINDOW_UPDATE', (w) => w.windowUpdate(3, 0x7fff_ffff), frame(FrameType.WINDOW_UPDATE, 0, 3, uint32(0x7fff_ffff))],
		['SETTINGS', (w) => w.settings([1, 4096, 4, 0xffff_ffff]), settingsFrame(1, 4096, 4, 0xffff_ffff)],
		['SETTINGS ACK', (w) => w.settingsAck(), frame(FrameType.SETTINGS, Flag.ACK, 0)],
		['PING', (w) => w.ping(Buffer.from('12345678'), false), frame(FrameType.PING, 0, 0, Buffer.from('12345678'))],
		['PING ACK', (w) => w.ping(Buffer.from('12345678'), true), frame(FrameType.PING, 1, 0, Buffer.from('12345678'))],
		[
			'GOAWAY',
			(w) => w.goaway(7, 0xb, Buffer.from('calm')),
			frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(7, 0xb), Buffer.from('calm')])),
		],
		['raw bytes', (w) => w.raw(Buffer.from('PRI')), Buffer.from('PRI')],
		['HEADERS', (w) => w.headers(1, Buffer.from('abc'), true, 16_384), frame(1, 5, 1, Buffer.from('abc'))],
		[
			'HEADERS that goes on in CONTINUATION',
			(w) => w.headers(1, Buffer.from('abcdefg'), true, 3),
			Buffer.concat([
				frame(FrameType.HEADERS, Flag.END_STREAM, 1, Buffer.from('abc')),
				frame(FrameType.CONTINUATION, 0, 1, Buffer.from('def')),
				frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, Buffer.from('g')),
			]),
		],
		[
			'DATA',
			(w) => {
				w.data(5, 5, true);
				w.payload(Buffer.from('-hello-'), 1, 6);
			},
			frame(FrameType.DATA, Flag.END_STREAM, 5, Buffer.from('hello')),
		],
	];
	for (const [name, write, bytes] of cases) {
		it(`writes ${name}`, () => assert.deepEqual(written(write), bytes));
	}

	it('passes large payloads on by reference and copies small ones', () => {
		const large = Buffer.alloc(5000, 1);
		const small = Buffer.alloc(100, 2);
		const writer = new FrameWriter();
		writer.data(1, large.length, false);
		writer.payload(large, 0, large.length);
		writer.data(1, small.length, false);
		writer.payload(small, 0, small.length);
		const parts = writer.take();
		assert.equal(parts.length, 3);
		assert.equal(parts[1], large);
		small.fill(9);
		assert.deepEqual(parts[2]?.subarray(9), Buffer.alloc(100, 2));
	});

	it('keeps the order and the bytes over many slabs', () => {
		const random = seeded(7);
		const writer = new FrameWriter();
		const wanted: Buffer[] = [];
		for (let i = 0; i < 500; i++) {
			const payload = Buffer.alloc(random(3000), i);
			writer.data(1, payload.length, false);
			writer.payload(payload, 0, payload.length);
			wanted.push(frame(FrameType.DATA, 0, 1, payload));
		}
		assert.ok(Buffer.concat(writer.take()).equals(Buffer.concat(wanted)));
	});

	it('leaves what was taken untouched until it is recycled, also when abandoned', () => {
		const writer = new FrameWriter();
		writer.ping(Buffer.from('AAAAAAAA'), false);
		const first = writer.take();
		writer.abandon();
		const others = [writer, new FrameWriter(), new FrameWriter()];
		for (let i = 0; i < 20_000; i++) for (const other of others) other.ping(Buffer.from('BBBBBBBB'), false);
		for (const other of others) {
			other.take();
			other.abandon();
		}
		assert.deepEqual(Buffer.concat(first), frame(FrameType.PING, 0, 0, Buffer.from('AAAAAAAA')));
	});

	it('uses a recycled slab again', () => {
		const writer = new FrameWriter();
		writer.settingsAck();
		const slab = writer.take()[0]?.buffer;
		writer.recycle();
		writer.settingsAck();
		assert.equal(writer.take()[0]?.buffer, slab);
	});
});

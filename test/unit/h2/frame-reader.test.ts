/** Frames cut out of a byte stream, however it arrives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameReader, type FrameSink } from '../../../src/h2/frame-reader.ts';
import { CLIENT_PREFACE, ErrorCode, FrameType } from '../../../src/h2/protocol.ts';
import { frame, settingsFrame, uint32 } from '../../helpers/h2-peer.ts';

/** Writes down each frame as one line; DATA payloads joined. */
class Notes implements FrameSink {
	readonly lines: string[] = [];
	#data = '';

	dataBegin(streamId: number, flags: number, length: number): void {
		this.#data = `0 ${flags} ${streamId} ${length} `;
	}

	dataBytes(chunk: Buffer, start: number, end: number): void {
		this.#data += chunk.toString('hex', start, end);
	}

	dataEnd(): void {
		this.lines.push(this.#data);
	}

	frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
		this.lines.push(`${type} ${flags} ${streamId} ${end - start} ${buffer.toString('hex', start, end)}`);
	}
}

const samples: Buffer[] = [
	settingsFrame(1, 0, 4, 70_000),
	frame(FrameType.HEADERS, 5, 1, Buffer.from('828684', 'hex')),
	frame(FrameType.PRIORITY, 0, 3, Buffer.alloc(5, 7)),
	frame(FrameType.DATA, 0, 1, Buffer.from('hello')),
	frame(FrameType.DATA, 1, 1),
	frame(FrameType.RST_STREAM, 0, 5, uint32(8)),
	frame(FrameType.PUSH_PROMISE, 4, 1, uint32(2)),
	frame(FrameType.PING, 0, 0, Buffer.from('pingpong')),
	frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(1, 0), Buffer.from('bye')])),
	frame(FrameType.WINDOW_UPDATE, 0, 0x7fff_ffff, uint32(1)),
	frame(FrameType.CONTINUATION, 4, 1, Buffer.from('84', 'hex')),
	frame(0xbe, 0xff, 9, Buffer.from('unknown')),
];

function expected(bytes: Buffer): string {
	const type = bytes[3] as number;
	return `${type} ${bytes[4]} ${bytes.readUInt32BE(5) & 0x7fff_ffff} ${bytes.length - 9} ${bytes.toString('hex', 9)}`;
}

describe('FrameReader', () => {
	for (const size of [1, 2, 3, 7, 8, 9, 10, 64, 1 << 20]) {
		it(`hands on every type of frame whole from chunks of ${size} bytes`, () => {
			const notes = new Notes();
			const reader = new FrameReader(notes, 16_384, true);
			const bytes = Buffer.concat([CLIENT_PREFACE, ...samples]);
			for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
			assert.deepEqual(notes.lines, samples.map(expected));
			assert.equal(reader.atBoundary, true);
		});
	}

	it('hands DATA on before the frame is complete, as views of what came', () => {
		const seen: Array<[Buffer, number, number]> = [];
		const notes = new Notes();
		notes.dataBytes = (chunk, start, end) => seen.push([chunk, start, end]);
		const reader = new FrameReader(notes, 16_384, false);
		const chunk = frame(FrameType.DATA, 0, 1, Buffer.alloc(100)).subarray(0, 50);
		reader.push(chunk);
		assert.deepEqual(seen, [[chunk, 9, 50]]);
		assert.equal(seen[0]?.[0], chunk);
		assert.deepEqual(notes.lines, []);
		assert.equal(reader.atBoundary, false);
	});

	it('ignores the reserved bit of the stream id', () => {
		const notes = new Notes();
		new FrameReader(notes, 16_384, false).push(frame(FrameType.PING, 0, 0x8000_0003, Buffer.alloc(8)));
		assert.equal(notes.lines[0], `6 0 3 8 ${'00'.repeat(8)}`);
	});

	it('takes a frame of exactly the announced size and no larger one', () => {
		const notes = new Notes();
		const reader = new FrameReader(notes, 20_000, false);
		reader.push(frame(0x55, 0, 0, Buffer.alloc(20_000)));
		assert.equal(notes.lines.length, 1);
		const tooLarge = frame(FrameType.DATA, 0, 1, Buffer.alloc(20_001)).subarray(0, 9);
		assert.throws(() => reader.push(tooLarge), { name: 'ConnectionError', code: ErrorCode.FRAME_SIZE_ERROR });
	});

	it('refuses another preface at its first wrong byte', () => {
		const reader = new FrameReader(new Notes(), 16_384, true);
		reader.push(Buffer.from('P'));
		assert.throws(() => reader.push(Buffer.from('O')), { name: 'ConnectionError', code: ErrorCode.PROTOCOL_ERROR });
	});

	it('hands nothing more on after stop, not even the rest of the chunk', () => {
		const notes = new Notes();
		const reader = new FrameReader(notes, 16_384, false);
		const told = notes.frame.bind(notes);
		notes.frame = (...args) => {
			told(...args);
			reader.stop();
		};
		reader.push(Buffer.concat([samples[0] as Buffer, samples[1] as Buffer]));
		reader.push(samples[2] as Buffer);
		assert.deepEqual(notes.lines, [expected(samples[0] as Buffer)]);
	});
});

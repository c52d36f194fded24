/** What must hold for any input: of frames in any order, in both roles, and of header lists under any table sizes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/h2/hpack-encoder.ts';
import { CLIENT_PREFACE, ConnectionError, ErrorCode } from '../../../src/h2/protocol.ts';
import { feed } from '../../fuzz/target.ts';
import { frame, GET, OK, POST, settingsFrame, uint32 } from '../../helpers/h2-peer.ts';

const streamId = fc.oneof(fc.constantFrom(0, 1, 3, 5, 7, 9, 11, 2, 4), fc.nat(0x7fff_ffff));
const number32 = fc.oneof(fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 16_384, 65_535), fc.nat());
const flags = fc.constantFrom(0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x24, 0x25, 0x2d, 0xff);
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** A block that leaves the table alone, so that it is right wherever it stands. */
function plain(fields: string[]): Buffer {
	return Buffer.from(new HpackEncoder({ maxTableSize: 0 }).encode(fields));
}

const block = fc.constantFrom(
	...[
		GET,
		POST,
		OK,
		[':status', '103'],
		[':status', '304'],
		['x-trailer', 'y'],
		[...POST, 'content-length', '3'],
		['Bad', 'x'],
	].map(plain),
);

const anyFrame = fc.oneof(
	{ weight: 4, arbitrary: fc.tuple(flags, streamId, bytes(40)).map(([flag, id, body]) => frame(0, flag, id, body)) },
	{
		weight: 5,
		arbitrary: fc.tuple(fc.constantFrom(4, 5), streamId, block).map(([flag, id, body]) => frame(1, flag, id, body)),
	},
	{ weight: 1, arbitrary: fc.tuple(flags, streamId, block).map(([flag, id, body]) => frame(1, flag, id, body)) },
	{ weight: 1, arbitrary: fc.tuple(flags, streamId, bytes(6)).map(([flag, id, body]) => frame(2, flag, id, body)) },
	{ weight: 2, arbitrary: fc.tuple(streamId, number32).map(([id, code]) => frame(3, 0, id, uint32(code >>> 0))) },
	{
		weight: 2,
		arbitrary: fc.tuple(fc.integer({ min: 1, max: 9 }), number32).map(([id, value]) => settingsFrame(id, value >>> 0)),
	},
	{ weight: 1, arbitrary: fc.constant(frame(4, 1, 0)) },
	{ weight: 1, arbitrary: fc.constantFrom(0, 1).map((flag) => frame(6, flag, 0, Buffer.alloc(8))) },
	{
		weight: 1,
		arbitrary: fc
			.tuple(number32, number32, bytes(9))
			.map(([last, code, debug]) => frame(7, 0, 0, Buffer.concat([uint32(last >>> 0, code >>> 0), debug]))),
	},
	{ weight: 3, arbitrary: fc.tuple(streamId, number32).map(([id, value]) => frame(8, 0, id, uint32(value >>> 0))) },
	{ weight: 1, arbitrary: fc.tuple(flags, streamId, bytes(9)).map(([flag, id, body]) => frame(9, flag, id, body)) },
	{
		weight: 1,
		arbitrary: fc
			.tuple(fc.nat(255), flags, streamId, bytes(20))
			.map(([type, flag, id, body]) => frame(type, flag, id, body)),
	},
);

const opened = fc.constantFrom(1, 3, 5, 7, 9);
const request = fc.constantFrom(...[GET, POST, [...POST, 'content-length', '3']].map(plain));
const response = fc.constantFrom(
	...[OK, [':status', '103'], [':status', '304'], [...OK, 'content-length', '3']].map(plain),
);
const body = fc.constantFrom(...['', 'a', 'abc', 'x'.repeat(5000)].map((text) => Buffer.from(text)));
const ends = fc.constantFrom(0, 0, 0, 1);

/** Frames that a decent peer might send, if not in this order: so that sessions live long enough for the others to matter. */
const plausible = (head: fc.Arbitrary<Buffer>, ids: fc.Arbitrary<number>) =>
	fc.oneof(
		fc.tuple(ends, ids, head).map(([end, id, block]) => frame(1, 4 | end, id, block)),
		fc.tuple(ends, opened, body).map(([end, id, bytes]) => frame(0, end, id, bytes)),
		opened.map((id) => frame(1, 5, id, plain(['x-trailer', 'y']))),
		opened.map((id) => frame(3, 0, id, uint32(8))),
		fc.tuple(fc.oneof(fc.constant(0), opened), fc.integer({ min: 0, max: 100_000 })).map(([id, by]) => {
			// Only on a stream is an increment of 0 no end of everything.
			return frame(8, 0, id, uint32(id === 0 ? by + 1 : by));
		}),
		fc.constantFrom(settingsFrame(4, 0), settingsFrame(4, 70_000), settingsFrame(1, 0), settingsFrame(5, 20_000)),
		fc.constant(frame(6, 0, 0, Buffer.alloc(8))),
	);
const decent = {
	server: plausible(request, fc.constantFrom(11, 13, 15, 17, 19)),
	client: plausible(response, opened),
};
/** Five requests that are open when the rest comes. */
const opening = {
	server: [CLIENT_PREFACE, settingsFrame(), ...[1, 3, 5, 7, 9].map((id) => frame(1, 4, id, plain(POST)))],
	client: [settingsFrame()],
};

/** The same bytes in pieces. */
function cut(whole: Buffer, size: number): Buffer[] {
	const pieces: Buffer[] = [];
	for (let at = 0; at < whole.length; at += size) pieces.push(whole.subarray(at, at + size));
	return pieces;
}

for (const role of ['server', 'client'] as const) {
	test(`a ${role} that is fed any frames closes once, closes each stream once, tells nothing after an end and gives its windows back`, async () => {
		let streams = 0;
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.oneof({ weight: 15, arbitrary: decent[role] }, { weight: 1, arbitrary: anyFrame }), {
					maxLength: 60,
				}),
				fc.integer({ min: 1, max: 200 }),
				fc.nat(3),
				async (frames, size, pause) => {
					const outcome = await feed(
						role,
						cut(Buffer.concat([...opening[role], ...frames]), size),
						(chunk) => chunk % (pause + 1) === 0,
					);
					streams += outcome.streams;
				},
			),
			{ numRuns: 1500 },
		);
		// Inputs that open nothing would prove nothing.
		assert.ok(streams > 1000, String(streams));
	});

	test(`a ${role} that is fed any bytes does too`, async () => {
		await fc.assert(
			fc.asyncProperty(bytes(300), fc.integer({ min: 1, max: 50 }), fc.boolean(), async (noise, size, polite) => {
				const start = role === 'server' ? [CLIENT_PREFACE, settingsFrame()] : [settingsFrame()];
				await feed(role, cut(Buffer.concat([...(polite ? start : []), noise]), size), () => false);
			}),
			{ numRuns: 500 },
		);
	});
}

const name = fc.oneof(
	fc.constantFrom(':path', ':status', 'content-type', 'x-a', 'x-b', 'cookie', 'authorization', 'date'),
	fc.string({ minLength: 1, maxLength: 30 }).map((text) => Buffer.from(text).toString('latin1')),
);
const value = fc.oneof(
	fc.constantFrom('', '/', '200', 'a', 'b'.repeat(100)),
	bytes(60).map((text) => text.toString('latin1')),
);
const list = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

test('header lists arrive as they were sent, whatever the table sizes become between them', () => {
	const step = fc.record({
		fields: list,
		size: fc.option(fc.constantFrom(0, 32, 64, 100, 4096, 10_000), { nil: undefined }),
	});
	fc.assert(
		fc.property(fc.array(step, { maxLength: 15 }), fc.boolean(), (steps, huffman) => {
			const encoder = new HpackEncoder({ huffman, maxTableSize: 8192 });
			const decoder = new HpackDecoder();
			for (const { fields, size } of steps) {
				if (size !== undefined) {
					encoder.setPeerTableSize(size);
					decoder.setMaxTableSize(size);
				}
				const block = Buffer.from(encoder.encode(fields));
				assert.deepEqual(decoder.decode(block, 0, block.length), fields);
			}
		}),
		{ numRuns: 2000 },
	);
});

test('any block is a list within the limits or COMPRESSION_ERROR, and a table never outgrows its capacity', () => {
	fc.assert(
		fc.property(fc.array(bytes(80), { maxLength: 8 }), (blocks) => {
			const decoder = new HpackDecoder({ maxListSize: 1000, maxFields: 20 });
			try {
				for (const noise of blocks) {
					const fields = decoder.decode(noise, 0, noise.length);
					assert.ok(fields.length <= 40 && fields.length % 2 === 0);
					let size = 0;
					for (let i = 0; i < fields.length; i += 2)
						size += (fields[i] as string).length + (fields[i + 1] as string).length + 32;
					assert.ok(size <= 1000);
					assert.ok(decoder.table.size <= decoder.table.capacity && decoder.table.capacity <= 4096);
				}
			} catch (error) {
				assert.ok(error instanceof ConnectionError && error.code === ErrorCode.COMPRESSION_ERROR, String(error));
			}
		}),
		{ numRuns: 5000 },
	);
});

/** Thousands of generated field lists from encoder to decoder, with table sizes changing in between; the seed is fixed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/h2/hpack-encoder.ts';
import { ConnectionError } from '../../../src/h2/protocol.ts';
import { generateFields } from '../../helpers/generated-fields.ts';
import { seeded } from '../../helpers/seeded.ts';

for (const [seed, maxTableSize, huffman] of [
	[1, 4096, true],
	[2, 4096, false],
	[3, 256, true],
	[4, 65_536, true],
	[5, 0, true],
] as const) {
	test(`4,000 lists arrive as they were sent: seed ${seed}, table of ${maxTableSize}, huffman ${huffman}`, () => {
		const next = seeded(seed);
		const encoder = new HpackEncoder({ maxTableSize, huffman });
		const decoder = new HpackDecoder({ maxListSize: 1e6 });
		for (let round = 0; round < 4000; round++) {
			for (let changes = next(25) === 0 ? 1 + next(3) : 0; changes > 0; changes--) {
				const size = next(5) === 0 ? 0 : next(20_000);
				encoder.setPeerTableSize(size);
				decoder.setMaxTableSize(size);
			}
			const fields = generateFields(next);
			const names = fields.filter((_, i) => i % 2 === 0);
			const forbidden = next(6) === 0 ? names.filter(() => next(3) === 0) : undefined;
			assert.deepEqual(decoder.decode(encoder.encode(fields, forbidden)), fields, `round ${round}`);
			const secret = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie', ...(forbidden ?? [])]);
			assert.deepEqual(
				decoder.neverIndexed ?? [],
				names.filter((name) => secret.has(name)),
			);
			assert.ok(encoder.table.size <= Math.min(encoder.table.capacity, maxTableSize));
			assert.ok(encoder.table.length <= decoder.table.length);
			for (let age = 0; age < encoder.table.length; age++) {
				assert.equal(encoder.table.at(age)?.name, decoder.table.at(age)?.name);
				assert.equal(encoder.table.at(age)?.value, decoder.table.at(age)?.value);
			}
		}
	});
}

test('20,000 damaged or random blocks decode or are COMPRESSION_ERROR, and never exceed the limits', () => {
	const next = seeded(6);
	let refused = 0;
	for (let round = 0; round < 20_000; round++) {
		const decoder = new HpackDecoder({ maxListSize: 2000, maxFields: 20 });
		let block: Buffer;
		if (round % 2 === 0) block = Buffer.from(Array.from({ length: next(60) }, () => next(256)));
		else {
			block = Buffer.from(new HpackEncoder().encode(generateFields(next)));
			for (let damage = next(4); damage > 0 && block.length > 0; damage--) block[next(block.length)] = next(256);
		}
		try {
			const fields = decoder.decode(block);
			assert.ok(fields.length <= 40);
			let size = 0;
			for (let i = 0; i < fields.length; i += 2) size += (fields[i] ?? '').length + (fields[i + 1] ?? '').length + 32;
			assert.ok(size <= 2000);
		} catch (error) {
			assert.ok(error instanceof ConnectionError, String(error));
			refused++;
		}
		assert.ok(decoder.table.size <= 4096);
	}
	assert.ok(refused > 5000 && refused < 19_000, `${refused} refused`);
});

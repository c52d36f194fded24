/** What the decoder refuses, and how it keeps within its limits without losing step with the peer's table. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HpackDecoder } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/h2/hpack-encoder.ts';
import { ConnectionError, ErrorCode } from '../../../src/h2/protocol.ts';

function bytes(...hex: string[]): Buffer {
	return Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
}

function isCompressionError(error: unknown): boolean {
	return error instanceof ConnectionError && error.code === ErrorCode.COMPRESSION_ERROR;
}

function refuses(block: Buffer, decoder = new HpackDecoder()): void {
	assert.throws(() => decoder.decode(block), isCompressionError);
}

/** A string literal of at most 126 octets, without Huffman coding. */
function string(text: string): string {
	return Buffer.from([text.length]).toString('hex') + Buffer.from(text, 'latin1').toString('hex');
}

describe('malformed blocks are COMPRESSION_ERROR', () => {
	const cases: Array<[name: string, block: Buffer]> = [
		['index 0', bytes('80')],
		['an index beyond an empty dynamic table', bytes('be')],
		['an index far beyond both tables', bytes('ff ff ff ff 07')],
		['a name index beyond both tables, with indexing', bytes('7e', string('v'))],
		['a name index beyond both tables, without indexing', bytes('0f 2f', string('v'))],
		['a name index beyond both tables, never indexed', bytes('1f 2f', string('v'))],
		['an index that ends in its integer', bytes('ff')],
		['an index that ends in its integer, later', bytes('ff 80')],
		['an integer of too many octets', bytes('ff 80 80 80 80 80 00')],
		['a string length padded with too many zeros', bytes('44 7f 80 80 80 80 80 00', '61'.repeat(127))],
		['an integer that never ends', bytes('ff', 'ff'.repeat(100))],
		['a string length of too many octets', bytes('00 7f ff ff ff ff ff 7f')],
		['a literal without a name', bytes('40')],
		['a literal that ends in its name', bytes('40 05 61 62')],
		['a literal without a value', bytes('40', string('name'))],
		['an indexed name without a value', bytes('44')],
		['a literal that ends in its value', bytes('44 05 61 62')],
		['a value that ends in its length', bytes('44 7f')],
		['a value longer than any block', bytes('44 7f ff ff ff ff 0f 61')],
		['Huffman padding of zeros', bytes('44 81 18')],
		['Huffman padding of eight ones', bytes('44 82 1f ff')],
		['EOS in a Huffman string', bytes('44 84 ff ff ff ff')],
		['a bad Huffman name', bytes('40 81 00', string('v'))],
		['a size update above the limit', bytes('3f e2 1f 82')],
		['a size update after a field', bytes('82 20')],
		['a size update after a field that could pass for a literal', bytes('82 21', string('a'))],
		['a size update between fields', bytes('82 3f e1 1f 82')],
		['a size update that ends in its integer', bytes('3f')],
	];
	for (const [name, block] of cases) test(name, () => refuses(block));

	test('a block ends where it is said to end', () => {
		assert.throws(() => new HpackDecoder().decode(bytes('44 02 61 62 82'), 0, 3), isCompressionError);
		assert.throws(() => new HpackDecoder().decode(bytes('44 81 1f 82'), 0, 1), isCompressionError);
		assert.deepEqual(new HpackDecoder().decode(bytes('80 82 84 80'), 1, 3), [':method', 'GET', ':path', '/']);
	});

	test('the message holds nothing of the block', () => {
		assert.throws(() => new HpackDecoder().decode(bytes('10', string('password'), '7f')), {
			message: /^malformed header block: [a-z ]+$/,
		});
	});

	test('a valid block, cut anywhere, is refused or gives its first fields', () => {
		const fields = [':method', 'POST', ':path', '/v1/a?b=c', 'authorization', 'Bearer \u00e4', 'x-a', 'b', 'x-a', 'b'];
		for (const huffman of [true, false]) {
			const block = Buffer.from(new HpackEncoder({ huffman }).encode(fields));
			let whole = 0;
			for (let end = 0; end < block.length; end++) {
				try {
					const got = new HpackDecoder().decode(block, 0, end);
					assert.deepEqual(got, fields.slice(0, got.length));
					whole++;
				} catch (error) {
					assert.ok(isCompressionError(error), String(error));
				}
			}
			assert.equal(whole, 5);
		}
	});
});

describe('representations', () => {
	test('the static table begins, has its values and ends where Appendix A says', () => {
		assert.deepEqual(new HpackDecoder().decode(bytes('81 83 85 87 8e 8f 90 bd')), [
			...[':authority', '', ':method', 'POST', ':path', '/index.html', ':scheme', 'https', ':status', '500'],
			...['accept-charset', '', 'accept-encoding', 'gzip, deflate', 'www-authenticate', ''],
		]);
	});

	test('an empty block and empty strings', () => {
		assert.deepEqual(new HpackDecoder().decode(Buffer.alloc(0)), []);
		assert.deepEqual(new HpackDecoder().decode(bytes('00 00 00 00 80 80')), ['', '', '', '']);
	});

	test('an integer may be longer than it needs to be', () => {
		assert.deepEqual(new HpackDecoder().decode(bytes('44 7f 80 80 80 80 00', '61'.repeat(127))), [
			':path',
			'a'.repeat(127),
		]);
	});

	test('every octet, raw and with Huffman coding, short and long', () => {
		for (const huffman of [true, false]) {
			const encoder = new HpackEncoder({ huffman });
			const decoder = new HpackDecoder();
			for (let octet = 0; octet < 256; octet++) {
				for (const length of [1, 6, 7, 24, 25, 100]) {
					const fields = ['x-value', String.fromCharCode(octet).repeat(length), 'date', String.fromCharCode(octet)];
					assert.deepEqual(decoder.decode(encoder.encode(fields)), fields);
				}
			}
		}
	});

	test('only the names that came never-indexed are reported, and only those of the last block', () => {
		const decoder = new HpackDecoder();
		const block = bytes('10', string('a'), string('1'), '00', string('b'), string('2'), '1f 08', string('3'), '82');
		assert.deepEqual(decoder.decode(block), ['a', '1', 'b', '2', 'authorization', '3', ':method', 'GET']);
		assert.deepEqual(decoder.neverIndexed, ['a', 'authorization']);
		assert.equal(decoder.table.length, 0);
		decoder.decode(bytes('82'));
		assert.equal(decoder.neverIndexed, null);
	});

	test('a name may be taken from the very entry that its field evicts', () => {
		const decoder = new HpackDecoder();
		decoder.decode(bytes('3f 21', '40', string('name'), string('a'.repeat(20))));
		assert.deepEqual(decoder.decode(bytes('7e', string('b'.repeat(20)))), ['name', 'b'.repeat(20)]);
		assert.equal(decoder.table.length, 1);
	});

	test('an entry larger than the table empties it', () => {
		const decoder = new HpackDecoder();
		decoder.decode(bytes('3f 21', '40', string('a'), string('b')));
		assert.equal(decoder.table.length, 1);
		assert.deepEqual(decoder.decode(bytes('40', string('a'), string('b'.repeat(40)))), ['a', 'b'.repeat(40)]);
		assert.equal(decoder.table.length, 0);
		assert.equal(decoder.table.size, 0);
	});
});

describe('table size', () => {
	test('the peer may use the default size until it said otherwise, whatever we announced', () => {
		const decoder = new HpackDecoder({ maxTableSize: 100 });
		decoder.decode(bytes('40', string('a'), string('b'.repeat(90))));
		assert.equal(decoder.table.length, 1);
		assert.deepEqual(decoder.decode(bytes('be')), ['a', 'b'.repeat(90)]);
		refuses(bytes('3f 46'), decoder);
	});

	test('several updates may stand at the start, and the last one counts', () => {
		const decoder = new HpackDecoder();
		decoder.decode(bytes('40', string('a'), string('b')));
		assert.deepEqual(decoder.decode(bytes('20 3f 45 82')), [':method', 'GET']);
		assert.equal(decoder.table.capacity, 100);
		assert.equal(decoder.table.length, 0);
	});

	test('after a smaller size was acknowledged the next block must begin with it', () => {
		const decoder = new HpackDecoder();
		decoder.setMaxTableSize(100);
		assert.deepEqual(decoder.decode(bytes('3f 45 82')), [':method', 'GET']);
		assert.deepEqual(decoder.decode(bytes('82')), [':method', 'GET']);
		decoder.setMaxTableSize(50);
		refuses(bytes('82'), decoder);
	});

	test('when it went down and up, the smallest must be among the updates', () => {
		const lower = new HpackDecoder();
		lower.setMaxTableSize(100);
		lower.setMaxTableSize(8192);
		assert.deepEqual(lower.decode(bytes('3f 45 3f e1 3f 82')), [':method', 'GET']);
		assert.equal(lower.table.capacity, 8192);
		for (const [size, update] of [
			[8192, '3f e1 3f'],
			[200, '3f a9 01'],
		] as const) {
			const strict = new HpackDecoder();
			strict.setMaxTableSize(100);
			strict.setMaxTableSize(size);
			refuses(bytes(update, '82'), strict);
		}
	});

	test('a larger size needs no update', () => {
		const decoder = new HpackDecoder();
		decoder.setMaxTableSize(65_536);
		assert.deepEqual(decoder.decode(bytes('82')), [':method', 'GET']);
		assert.equal(decoder.table.capacity, 4096);
	});
});

describe('limits', () => {
	test('a list of exactly the limit passes, one byte more does not', () => {
		const block = bytes('00', string('name'), string('value'));
		assert.deepEqual(new HpackDecoder({ maxListSize: 41 }).decode(block), ['name', 'value']);
		const strict = new HpackDecoder({ maxListSize: 40 });
		assert.deepEqual(strict.decode(block), []);
		assert.equal(strict.overflow, true);
	});

	test('as many fields as allowed pass, one more does not', () => {
		const decoder = new HpackDecoder({ maxFields: 3 });
		assert.equal(decoder.decode(bytes('82 82 82')).length, 6);
		assert.equal(decoder.overflow, false);
		assert.equal(decoder.decode(bytes('82 82 82 82')).length, 6);
		assert.equal(decoder.overflow, true);
	});

	test('after an overflow no names are collected as never-indexed either', () => {
		const decoder = new HpackDecoder({ maxFields: 1 });
		decoder.decode(bytes('10', string('a'), string('1'), '10', string('b'), string('2'), '10 00 00'));
		assert.deepEqual(decoder.neverIndexed, ['a']);
	});

	test('after an overflow nothing more is collected, however small, and the next block starts afresh', () => {
		const decoder = new HpackDecoder({ maxListSize: 100 });
		assert.deepEqual(decoder.decode(bytes('82', '00', string('a'), string('b'.repeat(100)), '82 00 00 00')), [
			':method',
			'GET',
		]);
		assert.equal(decoder.overflow, true);
		assert.deepEqual(decoder.decode(bytes('82')), [':method', 'GET']);
		assert.equal(decoder.overflow, false);
	});

	test('an overflow keeps the table in step', () => {
		const encoder = new HpackEncoder();
		const small = new HpackDecoder({ maxListSize: 200 });
		const large = new HpackDecoder();
		for (let n = 0; n < 200; n++) {
			const fields = ['x-first', `${n % 9}`, 'date', 'd'.repeat(n), `x-${n % 30}`, 'v'.repeat(n), 'x-last', `${n}`];
			const block = Buffer.from(encoder.encode(fields));
			const got = small.decode(block);
			assert.deepEqual(got, fields.slice(0, got.length));
			assert.equal(small.overflow, got.length < fields.length);
			assert.deepEqual(large.decode(block), fields);
			assert.equal(small.table.length, large.table.length);
			for (let age = 0; age < large.table.length; age++) {
				assert.equal(small.table.at(age)?.name, large.table.at(age)?.name);
				assert.equal(small.table.at(age)?.value, large.table.at(age)?.value);
			}
		}
	});

	test('an entry that neither list nor table can hold empties the table', () => {
		for (const literal of [
			bytes('40', string('a'), '7f c9 01', '62'.repeat(328)),
			bytes('40 7f c9 01', '62'.repeat(328), string('a')),
		]) {
			const decoder = new HpackDecoder({ maxListSize: 300 });
			decoder.decode(bytes('3f e1 01', '40', string('x'), string('y')));
			assert.equal(decoder.table.length, 1);
			assert.deepEqual(decoder.decode(Buffer.concat([bytes('82'), literal, bytes('82')])), [':method', 'GET']);
			assert.equal(decoder.overflow, true);
			assert.equal(decoder.table.length, 0);
		}
	});

	test('malformed blocks are refused after an overflow too', () => {
		for (const tail of ['80', 'be', '20', '00 05 61', '44 82 1f ff']) {
			refuses(bytes('00', string('a'), string('b'.repeat(100)), tail), new HpackDecoder({ maxListSize: 100 }));
		}
	});

	test('a block of references to one large entry yields no more than the limit', () => {
		const decoder = new HpackDecoder();
		decoder.decode(bytes('40', string('a'), '7f d0 1e', '62'.repeat(4047)));
		assert.equal(decoder.table.length, 1);
		const bomb = decoder.decode(Buffer.alloc(16_384, 0xbe));
		assert.equal(decoder.overflow, true);
		assert.ok(bomb.length / 2 <= 65_536 / 4080);
		assert.equal(decoder.decode(Buffer.alloc(16_384, 0x82)).length, 2 * 1000, 'small fields stop at their number');
	});
});

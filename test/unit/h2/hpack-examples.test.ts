/** The examples of RFC 7541 Appendix C, octet for octet, with the dynamic table after each. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HpackDecoder, readInteger } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder, type HpackEncoderOptions, writeInteger } from '../../../src/h2/hpack-encoder.ts';
import type { DynamicTable } from '../../../src/h2/hpack-tables.ts';

interface Example {
	/** Hexadecimal, spaced as in the RFC. */
	readonly block: string;
	readonly fields: readonly string[];
	/** Newest first: name, value, name, value … */
	readonly table: readonly string[];
	readonly size: number;
}

function octets(hex: string): Buffer {
	return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

function contents(table: DynamicTable): string[] {
	const list: string[] = [];
	for (let age = 0; age < table.length; age++) {
		const entry = table.at(age);
		if (entry) list.push(entry.name, entry.value);
	}
	return list;
}

function checkTable(table: DynamicTable, example: Example): void {
	assert.deepEqual(contents(table), example.table);
	assert.equal(table.size, example.size);
}

function checkDecoding(examples: readonly Example[], tableSize = 4096): void {
	const decoder = new HpackDecoder();
	if (tableSize !== 4096) decoder.decode(sizeUpdate(tableSize));
	for (const example of examples) {
		assert.deepEqual(decoder.decode(octets(example.block)), example.fields);
		checkTable(decoder.table, example);
	}
}

function checkEncoding(examples: readonly Example[], options: HpackEncoderOptions): void {
	const encoder = new HpackEncoder(options);
	for (const example of examples) {
		assert.equal(encoder.encode(example.fields).toString('hex'), octets(example.block).toString('hex'));
		checkTable(encoder.table, example);
	}
}

function sizeUpdate(size: number): Buffer {
	const out = Buffer.alloc(8);
	return out.subarray(0, writeInteger(out, 0, 0x20, 0x1f, size));
}

const GET = [':method', 'GET'];
const AUTHORITY = [':authority', 'www.example.com'];
const NO_CACHE = ['cache-control', 'no-cache'];
const CUSTOM = ['custom-key', 'custom-value'];
const PRIVATE = ['cache-control', 'private'];
const DATE_21 = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'];
const DATE_22 = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'];
const LOCATION = ['location', 'https://www.example.com'];
const GZIP = ['content-encoding', 'gzip'];
const COOKIE = ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'];

/** The same three lists and tables in C.3 and C.4, which differ in the coding of strings. */
function requests(...blocks: [string, string, string]): Example[] {
	return [
		{
			block: blocks[0],
			fields: [...GET, ':scheme', 'http', ':path', '/', ...AUTHORITY],
			table: AUTHORITY,
			size: 57,
		},
		{
			block: blocks[1],
			fields: [...GET, ':scheme', 'http', ':path', '/', ...AUTHORITY, ...NO_CACHE],
			table: [...NO_CACHE, ...AUTHORITY],
			size: 110,
		},
		{
			block: blocks[2],
			fields: [...GET, ':scheme', 'https', ':path', '/index.html', ...AUTHORITY, ...CUSTOM],
			table: [...CUSTOM, ...NO_CACHE, ...AUTHORITY],
			size: 164,
		},
	];
}

/** Likewise of C.5 and C.6. */
function responses(...blocks: [string, string, string]): Example[] {
	return [
		{
			block: blocks[0],
			fields: [':status', '302', ...PRIVATE, ...DATE_21, ...LOCATION],
			table: [...LOCATION, ...DATE_21, ...PRIVATE, ':status', '302'],
			size: 222,
		},
		{
			block: blocks[1],
			fields: [':status', '307', ...PRIVATE, ...DATE_21, ...LOCATION],
			table: [':status', '307', ...LOCATION, ...DATE_21, ...PRIVATE],
			size: 222,
		},
		{
			block: blocks[2],
			fields: [':status', '200', ...PRIVATE, ...DATE_22, ...LOCATION, ...GZIP, ...COOKIE],
			table: [...COOKIE, ...GZIP, ...DATE_22],
			size: 215,
		},
	];
}

describe('RFC 7541 C.1, integers', () => {
	for (const [name, value, mask, hex] of [
		['C.1.1: 10 with a prefix of five bits', 10, 0x1f, '0a'],
		['C.1.2: 1337 with a prefix of five bits', 1337, 0x1f, '1f9a0a'],
		['C.1.3: 42 from the start of an octet', 42, 0xff, '2a'],
	] as const) {
		test(name, () => {
			const out = Buffer.alloc(8);
			const end = writeInteger(out, 0, 0, mask, value);
			assert.equal(out.toString('hex', 0, end), hex);
			const cursor = { at: 0 };
			assert.equal(readInteger(cursor, out, end, mask), value);
			assert.equal(cursor.at, end);
		});
	}
});

describe('RFC 7541 C.2, representations', () => {
	const literal: Example = {
		block: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
		fields: ['custom-key', 'custom-header'],
		table: ['custom-key', 'custom-header'],
		size: 55,
	};
	const unindexed: Example = {
		block: '040c 2f73 616d 706c 652f 7061 7468',
		fields: [':path', '/sample/path'],
		table: [],
		size: 0,
	};
	const never: Example = {
		block: '1008 7061 7373 776f 7264 0673 6563 7265 74',
		fields: ['password', 'secret'],
		table: [],
		size: 0,
	};
	const indexed: Example = { block: '82', fields: GET, table: [], size: 0 };

	test('C.2.1: a literal with indexing', () => {
		checkDecoding([literal]);
		checkEncoding([literal], { huffman: false });
	});
	test('C.2.2: a literal without indexing', () => {
		checkDecoding([unindexed]);
		checkEncoding([unindexed], { huffman: false, unindexed: new Set([':path']) });
	});
	test('C.2.3: a literal that is never indexed', () => {
		checkDecoding([never]);
		checkEncoding([never], { huffman: false, neverIndexed: new Set(['password']) });
	});
	test('C.2.4: an indexed field', () => {
		checkDecoding([indexed]);
		checkEncoding([indexed], {});
	});
});

describe('RFC 7541 C.3 and C.4, requests', () => {
	const raw = requests(
		'8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
		'8286 84be 5808 6e6f 2d63 6163 6865',
		'8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
	);
	const huffman = requests(
		'8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
		'8286 84be 5886 a8eb 1064 9cbf',
		'8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
	);
	test('C.3 decodes', () => checkDecoding(raw));
	test('C.4 decodes', () => checkDecoding(huffman));
	test('C.3 is what the encoder makes without Huffman coding', () => checkEncoding(raw, { huffman: false }));
	test('C.4 is what the encoder makes by default', () => checkEncoding(huffman, {}));
});

describe('RFC 7541 C.5 and C.6, responses, with a table of 256 bytes', () => {
	const raw = responses(
		`4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e
		1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
		'4803 3330 37c1 c0bf',
		`88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
		4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
		7369 6f6e 3d31`,
	);
	const huffman = responses(
		`4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
		97c8 e9ae 82ae 43d3`,
		'4883 640e ffc1 c0bf',
		`88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
		cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
	);
	const options = { maxTableSize: 256, neverIndexed: new Set<string>(), unindexed: new Set<string>() };
	test('C.5 decodes', () => checkDecoding(raw, 256));
	test('C.6 decodes', () => checkDecoding(huffman, 256));
	test('C.5 is what an encoder makes that indexes all', () => checkEncoding(raw, { ...options, huffman: false }));
	test('C.6 is what an encoder makes that indexes all', () => checkEncoding(huffman, options));
});

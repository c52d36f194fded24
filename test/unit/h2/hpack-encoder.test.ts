/** What the encoder puts into its table, what it never does, and how it follows the peer's table size. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HpackDecoder } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder, NEVER_INDEXED, UNINDEXED } from '../../../src/h2/hpack-encoder.ts';

function hex(block: Buffer): string {
	return block.toString('hex');
}

/** Encoder and decoder as the two ends of a connection. */
function pair(options: ConstructorParameters<typeof HpackEncoder>[0] = {}) {
	const encoder = new HpackEncoder(options);
	const decoder = new HpackDecoder({ maxTableSize: 65_536 });
	const pass = (fields: string[], alsoNeverIndexed?: string[]): number => {
		const block = encoder.encode(fields, alsoNeverIndexed);
		assert.deepEqual(decoder.decode(block), fields);
		return block.length;
	};
	return { encoder, decoder, pass };
}

describe('indexing', () => {
	test('a field that came before takes one octet, wherever in the block it is', () => {
		const { pass } = pair();
		pass(['x-a', 'one', 'x-b', 'two', 'x-a', 'three']);
		assert.equal(pass(['x-a', 'three', 'x-b', 'two', 'x-a', 'one']), 3);
		assert.equal(pass(['x-a', 'one', 'x-a', 'one', 'x-b', 'two', 'x-b', 'two']), 4);
	});

	test('a name that came before is not spelt out again', () => {
		const { encoder, pass } = pair({ huffman: false });
		pass(['x-some-name', '1']);
		assert.equal(hex(encoder.encode(['x-some-name', '2'])), `7e01${Buffer.from('2').toString('hex')}`);
	});

	test('more fields than the encoder remembers places for', () => {
		const { pass } = pair();
		const fields = Array.from({ length: 60 }, (_, i) => [`x-${i % 50}`, `${i}`]).flat();
		pass(fields);
		assert.equal(pass(fields), 60);
	});

	test('a path with a query, a long value and a large field are not indexed', () => {
		const { encoder, pass } = pair();
		pass([':path', '/search?q=1']);
		pass(['x-long', 'v'.repeat(1025)]);
		assert.equal(encoder.table.length, 0);
		pass([':path', '/search', 'x-long', 'v'.repeat(1024), 'x-other', '?']);
		assert.equal(encoder.table.length, 3);
		const small = pair({ maxTableSize: 100 });
		small.pass(['a', 'v'.repeat(43)]);
		assert.equal(small.encoder.table.length, 0, '76 of 100 bytes');
		small.pass(['a', 'v'.repeat(42)]);
		assert.equal(small.encoder.table.length, 1, '75 of 100 bytes');
	});

	test('names whose values rarely repeat are not indexed', () => {
		const { encoder, decoder, pass } = pair();
		for (const name of UNINDEXED) pass([name, 'value', name, 'value']);
		assert.equal(encoder.table.length, 0);
		assert.equal(decoder.neverIndexed, null);
		const own = pair({ unindexed: new Set(['x-a']) });
		own.pass(['date', 'today', 'x-a', 'b']);
		assert.equal(own.encoder.table.length, 1);
	});

	test('secrets are never indexed', () => {
		const { encoder, decoder, pass } = pair();
		for (const name of NEVER_INDEXED) {
			pass([name, 'secret', name, '']);
			assert.deepEqual(decoder.neverIndexed, [name, name]);
		}
		assert.equal(encoder.table.length, 0);
		const own = pair({ neverIndexed: new Set(['x-key']) });
		own.pass(['x-key', 'secret', 'cookie', 'a=b']);
		assert.deepEqual(own.decoder.neverIndexed, ['x-key']);
	});

	test('what came never-indexed is passed on so, even if it is in a table', () => {
		const { encoder, decoder, pass } = pair();
		pass([':method', 'GET', 'x-a', '1', 'x-b', '2']);
		pass([':method', 'GET', 'x-a', '1', 'x-b', '2'], ['x-a', ':method']);
		assert.deepEqual(decoder.neverIndexed, [':method', 'x-a']);
		assert.equal(encoder.table.length, 2);
		assert.equal(pass([':method', 'GET', 'x-a', '1', 'x-b', '2']), 3);
		assert.equal(decoder.neverIndexed, null);
	});
});

describe('strings', () => {
	test('Huffman coding is used only where it is not longer', () => {
		assert.equal(
			hex(new HpackEncoder().encode([':path', '\n\n'])).slice(0, 4),
			'4402',
			'two octets would become eight',
		);
		assert.equal(hex(new HpackEncoder().encode([':path', 'aa'])).slice(0, 4), '4482');
		assert.equal(hex(new HpackEncoder().encode([':path', ''])), '4400');
	});

	test('lengths around those where their integer grows', () => {
		const { pass } = pair();
		for (const character of ['0', 'w', 'Z', '\\', '\u00ff']) {
			for (let length = 100; length < 300; length++) pass(['date', character.repeat(length)]);
			for (const length of [16_500, 16_600, 30_000, 70_000]) {
				const encoder = new HpackEncoder();
				const decoder = new HpackDecoder({ maxListSize: 100_000 });
				const fields = ['x-a', character.repeat(length), 'x-b', 'c'];
				assert.deepEqual(decoder.decode(encoder.encode(fields)), fields);
			}
		}
	});

	for (const huffman of [true, false]) {
		test(`characters above 0xFF: TypeError with the field's name, and the encoder goes on (huffman ${huffman})`, () => {
			const { encoder, pass } = pair({ huffman });
			pass(['x-a', '1']);
			for (const value of ['\u0100', `${'a'.repeat(500)}\u20ac`, '\u{1f600}']) {
				assert.throws(
					() => encoder.encode(['x-new', 'in the table by then', 'x-bad', value]),
					(error) => error instanceof TypeError && error.message.includes('x-bad') && !error.message.includes(value),
				);
				assert.throws(() => encoder.encode([`x-${value}`, '1']), TypeError);
				pass(['x-a', '1', 'x-new', 'in the table by then']);
				assert.equal(pass(['x-a', '1', 'x-new', 'in the table by then']), 2);
			}
		});
	}

	test('a block is intact until the next one, also after a large one', () => {
		const encoder = new HpackEncoder();
		const large = encoder.encode(['x-a', 'v'.repeat(40_000)]);
		assert.deepEqual(new HpackDecoder().decode(large), ['x-a', 'v'.repeat(40_000)]);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '82');
	});
});

describe('table size', () => {
	const field = (n: number): string[] => [`x-${n}`, 'v'.repeat(60)];

	test('nothing is said while nothing changed', () => {
		const encoder = new HpackEncoder();
		encoder.setPeerTableSize(4096);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '82');
		encoder.setPeerTableSize(65_536);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '82', 'our own cap is 4096');
	});

	test('a smaller size is announced once, and kept', () => {
		const { encoder, decoder, pass } = pair();
		for (let n = 0; n < 10; n++) pass(field(n));
		encoder.setPeerTableSize(200);
		decoder.setMaxTableSize(200);
		assert.equal(encoder.encode([':method', 'GET']).toString('hex'), '3fa90182');
		assert.equal(encoder.table.capacity, 200);
		assert.ok(encoder.table.size <= 200);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '82');
	});

	test('down and up between two blocks: the smallest first', () => {
		const { encoder, decoder, pass } = pair();
		for (let n = 0; n < 10; n++) pass(field(n));
		encoder.setPeerTableSize(1000);
		encoder.setPeerTableSize(100);
		encoder.setPeerTableSize(2000);
		const block = encoder.encode(field(9));
		assert.equal(block.toString('hex', 0, 5), '3f453fb10f');
		assert.deepEqual(decoder.decode(block), field(9));
		assert.equal(decoder.table.capacity, 2000);
		assert.equal(decoder.table.length, 1, 'all that was over 100 has gone');
		assert.equal(pass(field(9)), 1);
	});

	test('up and down between two blocks to where it was: nothing is said', () => {
		const encoder = new HpackEncoder({ maxTableSize: 10_000 });
		encoder.setPeerTableSize(8000);
		encoder.setPeerTableSize(4096);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '82');
	});

	test('a larger table is used up to our own cap', () => {
		const { encoder, decoder, pass } = pair({ maxTableSize: 10_000 });
		assert.equal(encoder.table.capacity, 4096, 'until the peer allows more');
		encoder.setPeerTableSize(65_536);
		for (let n = 0; n < 200; n++) pass(field(n));
		assert.equal(decoder.table.capacity, 10_000);
		assert.ok(encoder.table.size > 9000 && encoder.table.size <= 10_000);
		assert.equal(encoder.table.size, decoder.table.size);
	});

	test('a peer that wants no table gets none', () => {
		const { encoder, decoder, pass } = pair();
		pass(field(0));
		encoder.setPeerTableSize(0);
		pass(field(0));
		pass([...field(1), ':method', 'GET', 'user-agent', 'x']);
		assert.equal(encoder.table.length, 0);
		assert.equal(decoder.table.capacity, 0);
	});

	test('a failed block loses no size update', () => {
		const { encoder, decoder, pass } = pair();
		pass(field(0));
		encoder.setPeerTableSize(500);
		decoder.setMaxTableSize(500);
		assert.throws(() => encoder.encode(['x-a', '\u0100']), TypeError);
		pass(field(0));
		assert.equal(decoder.table.capacity, 500);
		encoder.setPeerTableSize(0);
		assert.throws(() => encoder.encode(['x-a', '\u0100']), TypeError);
		assert.equal(hex(encoder.encode([':method', 'GET'])), '2082');
	});

	test('names that were evicted are not held', () => {
		setFlagsFromString('--expose-gc');
		const gc: unknown = runInNewContext('gc');
		assert.ok(typeof gc === 'function');
		const encoder = new HpackEncoder();
		const pass = (from: number): number => {
			for (let n = from; n < from + 50_000; n++) encoder.encode([`x-once-only-${n}`, 'value', ':path', `/once/${n}`]);
			gc();
			return process.memoryUsage().heapUsed;
		};
		const before = pass(0);
		const growth = pass(50_000) - before;
		assert.ok(growth < 2e6, `${growth} bytes`);
	});

	test('eviction forgets names and values, and a name that evicts its own last entry can still be found', () => {
		const { encoder, decoder, pass } = pair({ maxTableSize: 150 });
		for (let n = 0; n < 50; n++) {
			pass(['x-a', `${'v'.repeat(60)}${n % 7}`]);
			assert.equal(pass(['x-a', `${'v'.repeat(60)}${n % 7}`]), 1);
			if (n % 5 === 0) pass(field(n));
			assert.ok(encoder.table.size <= 150);
			assert.ok(decoder.table.size >= encoder.table.size);
		}
	});
});

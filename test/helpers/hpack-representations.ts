/** How each field of a header block is represented, by its first bits alone (RFC 7541 section 6): no table, no decoder of ours. */
import assert from 'node:assert/strict';

export type Representation = 'indexed' | 'with indexing' | 'without indexing' | 'never indexed';

/** In the order of the fields; table size updates are left out. */
export function representations(block: Uint8Array): Representation[] {
	const found: Representation[] = [];
	let at = 0;
	const integer = (prefix: number): number => {
		const mask = (1 << prefix) - 1;
		let value = (block[at++] as number) & mask;
		if (value < mask) return value;
		for (let shift = 0; ; shift += 7) {
			assert.ok(at < block.length, 'the block ends in an integer');
			const octet = block[at++] as number;
			value += (octet & 0x7f) << shift;
			if (octet < 0x80) return value;
		}
	};
	const string = () => {
		const length = integer(7);
		at += length;
	};
	while (at < block.length) {
		const octet = block[at] as number;
		if (octet >= 0x80) {
			integer(7);
			found.push('indexed');
		} else if (octet >= 0x20 && octet < 0x40) {
			integer(5);
		} else {
			const nameIndex = integer(octet >= 0x40 ? 6 : 4);
			if (nameIndex === 0) string();
			string();
			found.push(octet >= 0x40 ? 'with indexing' : octet >= 0x10 ? 'never indexed' : 'without indexing');
		}
	}
	assert.equal(at, block.length, 'the block ends in a field');
	return found;
}

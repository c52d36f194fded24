/** HPACK's Huffman code (RFC 7541 section 5.2, Appendix B): lengths, encoding, decoding. Knows nothing of header fields. */

/**
 * Bits of each octet's code. The code is canonical (shorter codes first, octets in order among equals), so this is all of
 * Appendix B.
 */
const LENGTHS = Uint8Array.of(
	...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
	...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
	...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
	...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
	...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
	...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
	...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
	...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
	...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
	...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
	...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
	...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
	...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
	...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
	...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
	...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
);
/** End of string: thirty ones, of which padding is a prefix. It may not itself occur. */
const EOS = 256;
const EOS_BITS = 30;
const MOST_PADDING = 7;

function assignCodes(): Uint32Array {
	const codes = new Uint32Array(EOS + 1);
	let next = 0;
	for (let bits = 1; bits <= EOS_BITS; bits++) {
		next *= 2;
		for (let symbol = 0; symbol < EOS; symbol++) {
			if (LENGTHS[symbol] === bits) codes[symbol] = next++;
		}
	}
	codes[EOS] = next;
	return codes;
}

const CODES = assignCodes();
/** Up to this length a code is packed with its length into one number: `code << 5 | length`; longer ones are 0 there. */
const LONGEST_PACKED = 16;
const PACKED = Uint32Array.from(LENGTHS, (length, octet) =>
	length <= LONGEST_PACKED ? ((CODES[octet] as number) << 5) | length : 0,
);

/**
 * Writes latin1 text and returns where it ends, or -1 if that would be beyond `limit` or a character is above 0xFF.
 * Two octets beyond the limit may be overwritten.
 */
export function huffmanEncode(text: string, out: Uint8Array, start: number, limit: number): number {
	let at = start;
	/** The low `held` bits are still to be written: at most 15 between characters. */
	let bits = 0;
	let held = 0;
	for (let i = 0; i < text.length; i++) {
		const octet = text.charCodeAt(i);
		const packed = PACKED[octet] ?? 0;
		if (packed !== 0) {
			bits = (bits << (packed & 31)) | (packed >>> 5);
			held += packed & 31;
		} else {
			if (octet > 0xff) return -1;
			const code = CODES[octet] as number;
			const length = (LENGTHS[octet] as number) - 16;
			bits = (bits << length) | (code >>> 16);
			held += length;
			if (held >= 16) {
				if (at + 2 > limit) return -1;
				held -= 16;
				out[at++] = bits >>> (held + 8);
				out[at++] = bits >>> held;
			}
			bits = (bits << 16) | (code & 0xffff);
			held += 16;
		}
		if (held >= 16) {
			if (at + 2 > limit) return -1;
			held -= 16;
			out[at++] = bits >>> (held + 8);
			out[at++] = bits >>> held;
		}
	}
	if (held >= 8) {
		held -= 8;
		out[at++] = bits >>> held;
	}
	// Padding is the beginning of EOS: ones.
	if (held > 0) out[at++] = (bits << (8 - held)) | (0xff >>> held);
	return at <= limit ? at : -1;
}

/** A decoder's state is a node of the code's tree; a string that comes to EOS stays in this one. */
const FAILED = 256;
const EMITS = 0x100;
const STATE_SHIFT = 9;

/** The tree's inner nodes: for each bit another node, or ~symbol. The first eight are the places where a string may end. */
function growTree(): Array<[number, number]> {
	const nodes: Array<[number, number]> = [];
	const node = (): number => nodes.push([0, 0]) - 1;
	node();
	for (let ones = 1; ones <= MOST_PADDING; ones++) (nodes[ones - 1] as [number, number])[1] = node();
	for (let symbol = 0; symbol <= EOS; symbol++) {
		const length = symbol === EOS ? EOS_BITS : (LENGTHS[symbol] as number);
		let from = nodes[0] as [number, number];
		for (let bit = length - 1; bit >= 0; bit--) {
			const side = (((CODES[symbol] as number) >>> bit) & 1) as 0 | 1;
			if (bit === 0) from[side] = ~symbol;
			else {
				if (from[side] === 0) from[side] = node();
				from = nodes[from[side]] as [number, number];
			}
		}
	}
	return nodes;
}

/** For each state and four bits: the next state times 16 above STATE_SHIFT, and at most one symbol, as no code is shorter than five bits. */
function buildSteps(): Uint32Array {
	const nodes = growTree();
	const steps = new Uint32Array((FAILED + 1) * 16).fill((FAILED << 4) << STATE_SHIFT);
	for (let state = 0; state < nodes.length; state++) {
		for (let nibble = 0; nibble < 16; nibble++) {
			let to = state;
			let emitted = 0;
			for (let bit = 3; bit >= 0 && to !== FAILED; bit--) {
				to = (nodes[to] as [number, number])[((nibble >>> bit) & 1) as 0 | 1];
				if (to >= 0) continue;
				if (~to === EOS) to = FAILED;
				else {
					emitted = EMITS | ~to;
					to = 0;
				}
			}
			steps[state * 16 + nibble] = ((to << 4) << STATE_SHIFT) | emitted;
		}
	}
	return steps;
}

const STEPS = buildSteps();

/** What decoding so many octets may need of room, one octet of slack included. */
export function huffmanRoom(octets: number): number {
	return Math.floor((octets * 8) / 5) + 1;
}

/**
 * Decodes `block[start, end)` into `out` from its beginning, which must have huffmanRoom().
 * Returns how many octets came of it; -1 if EOS occurs or the padding is not a prefix of EOS shorter than an octet.
 */
export function huffmanDecode(block: Uint8Array, start: number, end: number, out: Uint8Array): number {
	let state = 0;
	let length = 0;
	for (let at = start; at < end; at++) {
		const octet = block[at] as number;
		// Written always and kept only if it was a symbol: cheaper than a branch that cannot be predicted.
		let step = STEPS[state | (octet >>> 4)] as number;
		out[length] = step;
		length += (step >>> 8) & 1;
		step = STEPS[(step >>> STATE_SHIFT) | (octet & 15)] as number;
		out[length] = step;
		length += (step >>> 8) & 1;
		state = step >>> STATE_SHIFT;
	}
	return state >>> 4 <= MOST_PADDING ? length : -1;
}

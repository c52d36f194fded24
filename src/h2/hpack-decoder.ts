/**
 * Expands header blocks into field lists (RFC 7541 section 6), within limits on what a block may grow to.
 * It judges the compression only: what HTTP allows in a field is not its business.
 */
import { DynamicTable, ENTRY_OVERHEAD, FIRST_DYNAMIC, STATIC_TABLE, type TableEntry } from './hpack-tables.ts';
import { huffmanDecode, huffmanRoom } from './huffman.ts';
import { ConnectionError, DEFAULT_HEADER_TABLE_SIZE, ErrorCode } from './protocol.ts';

export interface HpackDecoderOptions {
	/** What we announce as SETTINGS_HEADER_TABLE_SIZE: 4096. */
	readonly maxTableSize?: number | undefined;
	/** Bytes of a list as RFC 9113 section 6.5.2 counts, name + value + 32: 65,536. */
	readonly maxListSize?: number | undefined;
	/** 1,000. */
	readonly maxFields?: number | undefined;
}

export interface Cursor {
	at: number;
}

/** Octets that may follow an integer's prefix: enough for 32 bits. */
const LAST_SHIFT = 28;
/** Texts up to this length are read faster by a loop than by a call into the runtime. */
const LOOP_OCTETS = 6;

/** Where Huffman strings are decoded before they become text; all decoders share it, as none stops in mid-string. */
let scratch = Buffer.allocUnsafeSlow(4096);

function malformed(what: string): ConnectionError {
	return new ConnectionError(ErrorCode.COMPRESSION_ERROR, `malformed header block: ${what}`);
}

/**
 * RFC 7541 section 5.1: reads the integer at the cursor, with a prefix of which `mask` is the ones.
 * @throws ConnectionError if the block ends in it or it takes more than 32 bits' worth of octets
 */
export function readInteger(cursor: Cursor, block: Uint8Array, end: number, mask: number): number {
	if (cursor.at >= end) throw malformed('it ends before an integer');
	let value = (block[cursor.at++] as number) & mask;
	if (value < mask) return value;
	for (let shift = 0; shift <= LAST_SHIFT; shift += 7) {
		if (cursor.at >= end) throw malformed('it ends in an integer');
		const octet = block[cursor.at++] as number;
		value += (octet & 0x7f) * (1 << shift);
		if (octet < 0x80) return value;
	}
	throw malformed('an integer is too large');
}

/**
 * RFC 7541 section 5.2. A string longer than `limit` is not made into text: null; below 0 it is passed over undecoded.
 * @throws ConnectionError if the block ends in it or its Huffman coding is bad
 */
function readString(cursor: Cursor, block: Buffer, end: number, limit: number): string | null {
	const huffman = (block[cursor.at] as number) >= 0x80;
	const octets = readInteger(cursor, block, end, 0x7f);
	const start = cursor.at;
	if (octets > end - start) throw malformed('it ends in a string');
	cursor.at += octets;
	if (limit < 0) return null;
	if (!huffman) return octets > limit ? null : text(block, start, octets);
	if (huffmanRoom(octets) > scratch.length) scratch = Buffer.allocUnsafeSlow(huffmanRoom(octets));
	const length = huffmanDecode(block, start, start + octets, scratch);
	if (length < 0) throw malformed('bad Huffman coding');
	return length > limit ? null : text(scratch, 0, length);
}

function text(from: Buffer, start: number, length: number): string {
	if (length > LOOP_OCTETS) return from.toString('latin1', start, start + length);
	let short = '';
	for (let at = start; at < start + length; at++) short += String.fromCharCode(from[at] as number);
	return short;
}

export class HpackDecoder {
	/** To be looked at only. */
	readonly table = new DynamicTable(DEFAULT_HEADER_TABLE_SIZE);
	/** Whether the last block's list went over a limit; what decode() returned is then its beginning. */
	overflow = false;
	/** Names of the last block's fields that came never-indexed and have to be passed on so; null when there were none. */
	neverIndexed: string[] | null = null;
	#maxTableSize: number;
	/** What the table's capacity must go down to at the start of the next block; Infinity when nothing is due. */
	#due = Number.POSITIVE_INFINITY;
	#maxListSize: number;
	readonly #maxFields: number;
	#listSize = 0;
	readonly #cursor: Cursor = { at: 0 };

	constructor(options: HpackDecoderOptions = {}) {
		this.#maxTableSize = options.maxTableSize ?? DEFAULT_HEADER_TABLE_SIZE;
		this.#maxListSize = options.maxListSize ?? 65_536;
		this.#maxFields = options.maxFields ?? 1000;
	}

	/**
	 * Call it when the peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE: if the table has to shrink, its next block
	 * must begin by saying so (RFC 9113 section 4.3.1). Until then a table of the default size is its right.
	 */
	setMaxTableSize(size: number): void {
		this.#maxTableSize = size;
		if (size < this.table.capacity) this.#due = Math.min(this.#due, size);
	}

	/** What the peer has acknowledged as our SETTINGS_MAX_HEADER_LIST_SIZE; it holds from the next block on. */
	setMaxListSize(size: number): void {
		this.#maxListSize = size;
	}

	/**
	 * Decodes one complete block: name, value, name, value … as latin1 text.
	 * @throws ConnectionError COMPRESSION_ERROR for anything malformed; the decoder is of no use after that
	 */
	decode(block: Buffer, start = 0, end = block.length): string[] {
		const fields: string[] = [];
		const cursor = this.#cursor;
		this.overflow = false;
		this.neverIndexed = null;
		this.#listSize = 0;
		cursor.at = start;
		this.#readSizeUpdates(block, end);
		while (cursor.at < end) {
			const octet = block[cursor.at] as number;
			if (octet < 0x80) {
				this.#readLiteral(block, end, octet, fields);
				continue;
			}
			let index = octet & 0x7f;
			if (index < 0x7f) cursor.at++;
			else index = readInteger(cursor, block, end, 0x7f);
			const entry = this.#entry(index);
			this.#collect(entry.name, entry.value, fields);
		}
		return fields;
	}

	/** RFC 7541 section 4.2, 6.3. */
	#readSizeUpdates(block: Buffer, end: number): void {
		const cursor = this.#cursor;
		while (cursor.at < end && ((block[cursor.at] as number) & 0xe0) === 0x20) {
			const capacity = readInteger(cursor, block, end, 0x1f);
			if (capacity > this.#maxTableSize) throw malformed('a table size above the limit');
			this.table.resize(capacity);
			if (capacity <= this.#due) this.#due = Number.POSITIVE_INFINITY;
		}
		if (this.#due !== Number.POSITIVE_INFINITY) throw malformed('the table was not shrunk');
	}

	/** RFC 7541 section 6.2. Only what is collected or kept in the table is turned into text. */
	#readLiteral(block: Buffer, end: number, octet: number, fields: string[]): void {
		const cursor = this.#cursor;
		const indexing = octet >= 0x40;
		if (!indexing && octet >= 0x20) throw malformed('a table size update after a field');
		const nameIndex = readInteger(cursor, block, end, indexing ? 0x3f : 0x0f);
		const collectable = this.overflow ? -1 : this.#maxListSize - this.#listSize;
		const limit = Math.max(collectable, indexing ? this.table.capacity : -1) - ENTRY_OVERHEAD;
		const name = nameIndex > 0 ? this.#entry(nameIndex).name : readString(cursor, block, end, limit);
		const value = readString(cursor, block, end, name === null ? -1 : limit - name.length);
		if (name === null || value === null) {
			this.overflow = true;
			if (indexing) this.table.clear();
			return;
		}
		if (indexing) this.table.add(name, value);
		this.#collect(name, value, fields);
		if (!indexing && octet >= 0x10 && !this.overflow) {
			if (this.neverIndexed) this.neverIndexed.push(name);
			else this.neverIndexed = [name];
		}
	}

	/** RFC 7541 section 2.3.3. */
	#entry(index: number): TableEntry {
		const entry = index < FIRST_DYNAMIC ? STATIC_TABLE[index] : this.table.at(index - FIRST_DYNAMIC);
		if (entry === undefined) throw malformed('no such index');
		return entry;
	}

	/** Once a list went over a limit, nothing more is collected. */
	#collect(name: string, value: string, fields: string[]): void {
		if (this.overflow) return;
		this.#listSize += name.length + value.length + ENTRY_OVERHEAD;
		if (this.#listSize > this.#maxListSize || fields.length >= this.#maxFields * 2) this.overflow = true;
		else fields.push(name, value);
	}
}

/**
 * Compresses field lists into header blocks (RFC 7541 section 6), with the policy of what is worth a place in the table.
 * It trusts its caller for what HTTP allows in a field, and knows nothing of frames.
 */
import {
	DynamicTable,
	ENTRY_OVERHEAD,
	FIRST_DYNAMIC,
	NO_ENTRY,
	STATIC_NAMES,
	type StaticName,
	type TableEntry,
} from './hpack-tables.ts';
import { huffmanEncode } from './huffman.ts';
import { DEFAULT_HEADER_TABLE_SIZE } from './protocol.ts';

export interface HpackEncoderOptions {
	/** Bytes that we are ready to spend on the dynamic table, whatever more the peer allows: 4096. */
	readonly maxTableSize?: number | undefined;
	/** Huffman coding wherever it is not longer: true. */
	readonly huffman?: boolean | undefined;
	/** Lower-case names which no one on the way may index (RFC 7541 section 7.1.3): NEVER_INDEXED. */
	readonly neverIndexed?: ReadonlySet<string> | undefined;
	/** Names whose values rarely come twice, so that they would only push others out of the table: UNINDEXED. */
	readonly unindexed?: ReadonlySet<string> | undefined;
}

export const NEVER_INDEXED: ReadonlySet<string> = new Set([
	'authorization',
	'cookie',
	'proxy-authorization',
	'set-cookie',
]);

export const UNINDEXED: ReadonlySet<string> = new Set([
	'age',
	'content-length',
	'content-range',
	'date',
	'etag',
	'expires',
	'if-modified-since',
	'if-none-match',
	'last-modified',
	'location',
	'range',
	'traceparent',
	'tracestate',
	'x-request-id',
]);

/** How a literal is sent: the pattern in front of its name (RFC 7541 section 6.2) tells which. */
const WITH_INDEXING = 0x40;
const WITHOUT_INDEXING = 0x00;
const NEVER = 0x10;

/** A longer value is not worth the entries that it would push out. */
const LONGEST_INDEXED_VALUE = 1024;
/** Nor is a field that takes more than this part of the table. */
const LARGEST_SHARE = 3 / 4;

const FIRST_BUFFER = 512;
/** A buffer that one large block made larger than this is not kept. */
const LARGEST_KEPT_BUFFER = 16 * 1024;
/** No integer that we write takes more octets. */
const INTEGER_OCTETS = 6;
/** Texts up to this length are written faster by a loop than by a call into the runtime. */
const LOOP_CHARS = 24;

const ABOVE_LATIN1 = /[\u0100-\uffff]/;

/** Places in a block whose field of last time is remembered; a power of two. */
const PLACES = 32;

/** What is known about one name: our policy for it and the entries that carry it. */
class NameRow {
	readonly fixed: StaticName | undefined;
	readonly policy: number;
	/** Newest entry of the dynamic table with this name. */
	latest: TableEntry | null = null;
	/** All of them by value, once there was more than one. */
	#values: Map<string, TableEntry> | null = null;

	constructor(fixed: StaticName | undefined, policy: number) {
		this.fixed = fixed;
		this.policy = policy;
	}

	find(value: string): TableEntry | undefined {
		if (this.latest?.value === value) return this.latest;
		return this.#values?.get(value) ?? this.fixed?.values.get(value);
	}

	add(entry: TableEntry): void {
		if (this.latest) this.#values ??= new Map([[this.latest.value, this.latest]]);
		this.#values?.set(entry.value, entry);
		this.latest = entry;
	}

	/** Entries go oldest first, so with the latest all have gone. */
	remove(entry: TableEntry): void {
		if (this.latest === entry) {
			this.latest = null;
			this.#values = null;
		} else {
			this.#values?.delete(entry.value);
		}
	}
}

/** RFC 7541 section 5.1: an integer with a prefix of which `mask` is the ones; returns where it ends. */
export function writeInteger(out: Uint8Array, start: number, pattern: number, mask: number, value: number): number {
	let at = start;
	if (value < mask) {
		out[at++] = pattern | value;
		return at;
	}
	out[at++] = pattern | mask;
	let rest = value - mask;
	while (rest > 0x7f) {
		out[at++] = 0x80 | (rest & 0x7f);
		rest >>>= 7;
	}
	out[at++] = rest;
	return at;
}

export class HpackEncoder {
	/** To be looked at only. */
	readonly table: DynamicTable;
	readonly #maxTableSize: number;
	readonly #huffman: boolean;
	readonly #neverIndexed: ReadonlySet<string>;
	readonly #unindexed: ReadonlySet<string>;
	/** Rows of names that have a policy, a static index or an entry in the table; so it is bounded. */
	readonly #names = new Map<string, NameRow>();
	/** Which entry each place of a block held last: requests of one kind come with the same fields in the same order. */
	readonly #expected = new Array<TableEntry>(PLACES).fill(NO_ENTRY);
	#out = Buffer.allocUnsafeSlow(FIRST_BUFFER);

	/** What the peer takes the table's capacity to be; Infinity when that is in doubt. */
	#announced = DEFAULT_HEADER_TABLE_SIZE;
	#peerTableSize = DEFAULT_HEADER_TABLE_SIZE;
	/** The least that the table's capacity had to be since the last block, while a size update is due; else -1. */
	#lowest = -1;

	constructor(options: HpackEncoderOptions = {}) {
		this.#maxTableSize = options.maxTableSize ?? DEFAULT_HEADER_TABLE_SIZE;
		this.#huffman = options.huffman ?? true;
		this.#neverIndexed = options.neverIndexed ?? NEVER_INDEXED;
		this.#unindexed = options.unindexed ?? UNINDEXED;
		// Using less than the peer set aside needs no announcement: what we evict we no longer refer to.
		this.table = new DynamicTable(Math.min(this.#maxTableSize, DEFAULT_HEADER_TABLE_SIZE), (entry) =>
			this.#drop(entry),
		);
	}

	/**
	 * The peer's SETTINGS_HEADER_TABLE_SIZE. The next block begins with what follows from it; if the size went down and up
	 * since the last block, with the smallest first (RFC 7541 section 4.2).
	 */
	setPeerTableSize(size: number): void {
		this.#peerTableSize = size;
		const capacity = Math.min(size, this.#maxTableSize);
		this.#lowest = this.#lowest < 0 ? capacity : Math.min(this.#lowest, capacity);
	}

	/**
	 * @param fields name, value, name, value …
	 * @param alsoNeverIndexed names that came never-indexed and so have to be passed on (RFC 7541 section 6.2.3)
	 * @returns the block: a view into a buffer of this encoder, valid until the next encode()
	 * @throws TypeError if a character is above 0xFF; the encoder stays usable
	 */
	encode(fields: readonly string[], alsoNeverIndexed?: readonly string[]): Buffer {
		try {
			return this.#encode(fields, alsoNeverIndexed);
		} catch (error) {
			// The peer will not see what this block put into the table or announced: the next one empties both tables.
			this.#lowest = 0;
			this.#announced = Number.POSITIVE_INFINITY;
			throw error;
		}
	}

	#encode(fields: readonly string[], alsoNeverIndexed: readonly string[] | undefined): Buffer {
		if (this.#out.length > LARGEST_KEPT_BUFFER) this.#out = Buffer.allocUnsafeSlow(FIRST_BUFFER);
		const expected = this.#expected;
		let at = this.#lowest < 0 ? 0 : this.#writeSizeUpdates();
		for (let i = 0; i < fields.length; i += 2) {
			const name = fields[i] as string;
			const value = fields[i + 1] as string;
			const place = (i >>> 1) & (PLACES - 1);
			const entry = expected[place] as TableEntry;
			if (entry.live && entry.value === value && entry.name === name && alsoNeverIndexed === undefined) {
				const index = this.#indexOf(entry);
				if (index < 0x7f && at < this.#out.length) this.#out[at++] = 0x80 | index;
				else at = this.#writeIndex(index, at);
			} else {
				at = this.#writeField(name, value, place, alsoNeverIndexed?.includes(name) ?? false, at);
			}
		}
		return this.#out.subarray(0, at);
	}

	#writeSizeUpdates(): number {
		const capacity = Math.min(this.#peerTableSize, this.#maxTableSize);
		let at = 0;
		if (this.#lowest < capacity && this.#lowest < this.#announced) at = this.#writeSizeUpdate(this.#lowest, at);
		if (capacity !== this.#announced) at = this.#writeSizeUpdate(capacity, at);
		this.#lowest = -1;
		return at;
	}

	/** RFC 7541 section 6.3. */
	#writeSizeUpdate(capacity: number, at: number): number {
		this.table.resize(capacity);
		this.#announced = capacity;
		return writeInteger(this.#out, at, 0x20, 0x1f, capacity);
	}

	#writeIndex(index: number, at: number): number {
		return writeInteger(this.#room(at, INTEGER_OCTETS), at, 0x80, 0x7f, index);
	}

	#indexOf(entry: TableEntry): number {
		return entry.staticIndex === 0 ? FIRST_DYNAMIC + this.table.age(entry) : entry.staticIndex;
	}

	#writeField(name: string, value: string, place: number, forbidden: boolean, at: number): number {
		const row = this.#names.get(name) ?? this.#meet(name);
		let policy = forbidden ? NEVER : row.policy;
		// A path with a query hardly ever comes again.
		if (policy === WITH_INDEXING && name === ':path' && value.includes('?')) policy = WITHOUT_INDEXING;
		if (policy === WITH_INDEXING) {
			const entry = row.find(value);
			if (entry) {
				this.#expected[place] = entry;
				return this.#writeIndex(this.#indexOf(entry), at);
			}
			const bytes = name.length + value.length + ENTRY_OVERHEAD;
			if (value.length > LONGEST_INDEXED_VALUE || bytes > this.table.capacity * LARGEST_SHARE)
				policy = WITHOUT_INDEXING;
		}
		const end = this.#writeLiteral(name, value, row, policy, at);
		if (policy === WITH_INDEXING) {
			const entry = this.table.add(name, value);
			if (entry) {
				// Adding may have evicted the name's last entry and with it the row.
				this.#names.set(name, row);
				row.add(entry);
				this.#expected[place] = entry;
			}
		}
		return end;
	}

	/** A row for a name without one; kept only if there cannot be many such names. */
	#meet(name: string): NameRow {
		const fixed = STATIC_NAMES.get(name);
		const policy = this.#neverIndexed.has(name) ? NEVER : this.#unindexed.has(name) ? WITHOUT_INDEXING : WITH_INDEXING;
		const row = new NameRow(fixed, policy);
		if (fixed || policy !== WITH_INDEXING) this.#names.set(name, row);
		return row;
	}

	#drop(entry: TableEntry): void {
		const row = this.#names.get(entry.name);
		row?.remove(entry);
		if (row && !row.latest && !row.fixed && row.policy === WITH_INDEXING) this.#names.delete(entry.name);
	}

	/** RFC 7541 section 6.2. */
	#writeLiteral(name: string, value: string, row: NameRow, policy: number, start: number): number {
		const out = this.#room(start, name.length + value.length + 3 * INTEGER_OCTETS);
		const nameIndex = row.fixed?.index ?? (row.latest ? this.#indexOf(row.latest) : 0);
		const at = writeInteger(out, start, policy, policy === WITH_INDEXING ? 0x3f : 0x0f, nameIndex);
		return this.#writeString(value, name, nameIndex === 0 ? this.#writeString(name, name, at) : at);
	}

	/** RFC 7541 section 5.2. There must be room. */
	#writeString(text: string, fieldName: string, start: number): number {
		const out = this.#out;
		const length = text.length;
		if (this.#huffman && length > 0) {
			const from = start + (length < 0x7f ? 1 : INTEGER_OCTETS);
			const end = huffmanEncode(text, out, from, from + length);
			if (end >= 0) {
				const at = writeInteger(out, start, 0x80, 0x7f, end - from);
				if (at < from) out.copyWithin(at, from, end);
				return at + end - from;
			}
		}
		if (ABOVE_LATIN1.test(text))
			throw new TypeError(`a character above 0xFF in the field ${JSON.stringify(fieldName)}`);
		const at = writeInteger(out, start, 0x00, 0x7f, length);
		if (length > LOOP_CHARS) out.write(text, at, 'latin1');
		else for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
		return at + length;
	}

	#room(at: number, bytes: number): Buffer {
		if (at + bytes > this.#out.length) {
			const larger = Buffer.allocUnsafeSlow(Math.max(this.#out.length * 2, at + bytes));
			this.#out.copy(larger, 0, 0, at);
			this.#out = larger;
		}
		return this.#out;
	}
}

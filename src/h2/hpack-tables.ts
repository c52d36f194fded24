/** HPACK's two address spaces: the static table, and a dynamic table as a ring (RFC 7541 section 2.3). Knows nothing of their encoding. */

/** What an entry costs beyond its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;

/** Insertions are counted modulo 2^30, so that the count stays a small integer however long a connection lives. */
const ORDER_MASK = 0x3fff_ffff;
const FIRST_RING = 16;

export class TableEntry {
	readonly name: string;
	readonly value: string;
	/** Index in the static table; 0 for an entry of a dynamic table. */
	readonly staticIndex: number;
	/** Which insertion into the dynamic table it was. */
	readonly order: number;
	/** False once it has been evicted. */
	live = true;

	constructor(name: string, value: string, staticIndex: number, order: number) {
		this.name = name;
		this.value = value;
		this.staticIndex = staticIndex;
		this.order = order;
	}
}

/** Stands where there is no entry. */
export const NO_ENTRY = new TableEntry('', '', 0, 0);
NO_ENTRY.live = false;

/** RFC 7541 Appendix A, from index 1. */
const APPENDIX_A: ReadonlyArray<readonly [name: string, ...values: string[]]> = [
	[':authority', ''],
	[':method', 'GET', 'POST'],
	[':path', '/', '/index.html'],
	[':scheme', 'http', 'https'],
	[':status', '200', '204', '206', '304', '400', '404', '500'],
	['accept-charset', ''],
	['accept-encoding', 'gzip, deflate'],
	['accept-language', ''],
	['accept-ranges', ''],
	['accept', ''],
	['access-control-allow-origin', ''],
	['age', ''],
	['allow', ''],
	['authorization', ''],
	['cache-control', ''],
	['content-disposition', ''],
	['content-encoding', ''],
	['content-language', ''],
	['content-length', ''],
	['content-location', ''],
	['content-range', ''],
	['content-type', ''],
	['cookie', ''],
	['date', ''],
	['etag', ''],
	['expect', ''],
	['expires', ''],
	['from', ''],
	['host', ''],
	['if-match', ''],
	['if-modified-since', ''],
	['if-none-match', ''],
	['if-range', ''],
	['if-unmodified-since', ''],
	['last-modified', ''],
	['link', ''],
	['location', ''],
	['max-forwards', ''],
	['proxy-authenticate', ''],
	['proxy-authorization', ''],
	['range', ''],
	['referer', ''],
	['refresh', ''],
	['retry-after', ''],
	['server', ''],
	['set-cookie', ''],
	['strict-transport-security', ''],
	['transfer-encoding', ''],
	['user-agent', ''],
	['vary', ''],
	['via', ''],
	['www-authenticate', ''],
];

export interface StaticName {
	/** The lowest index with this name. */
	readonly index: number;
	readonly values: ReadonlyMap<string, TableEntry>;
}

function layOut(): { entries: (TableEntry | undefined)[]; names: Map<string, StaticName> } {
	const entries: (TableEntry | undefined)[] = [undefined];
	const names = new Map<string, StaticName>();
	for (const [name, ...values] of APPENDIX_A) {
		const row = new Map<string, TableEntry>();
		names.set(name, { index: entries.length, values: row });
		for (const value of values) {
			const entry = new TableEntry(name, value, entries.length, 0);
			row.set(value, entry);
			entries.push(entry);
		}
	}
	return { entries, names };
}

const { entries, names } = layOut();

/** By index; nothing at 0. */
export const STATIC_TABLE: ReadonlyArray<TableEntry | undefined> = entries;
export const STATIC_NAMES: ReadonlyMap<string, StaticName> = names;
/** The dynamic table's newest entry has this index (RFC 7541 section 2.3.3). */
export const FIRST_DYNAMIC = entries.length;

/** First in, first out, bounded by `capacity` as RFC 7541 section 4 counts. */
export class DynamicTable {
	/** Bytes in use. */
	size = 0;
	/** Entries in use. */
	length = 0;
	#capacity: number;
	/** The newest entry's order. */
	#newest = 0;
	#ring: (TableEntry | undefined)[] = new Array<undefined>(FIRST_RING).fill(undefined);
	#mask = FIRST_RING - 1;
	readonly #evicted: ((entry: TableEntry) => void) | undefined;

	/** @param evicted is told of every entry that goes */
	constructor(capacity: number, evicted?: (entry: TableEntry) => void) {
		this.#capacity = capacity;
		this.#evicted = evicted;
	}

	get capacity(): number {
		return this.#capacity;
	}

	/** @param age 0 is the newest entry */
	at(age: number): TableEntry | undefined {
		return age < this.length ? this.#ring[(this.#newest - age) & this.#mask] : undefined;
	}

	/** How many entries are newer than this one, which must be live. */
	age(entry: TableEntry): number {
		return (this.#newest - entry.order) & ORDER_MASK;
	}

	/** RFC 7541 section 4.4. An entry over the capacity empties the table and is not kept: null. */
	add(name: string, value: string): TableEntry | null {
		const bytes = name.length + value.length + ENTRY_OVERHEAD;
		this.#shrinkTo(this.#capacity - bytes);
		if (bytes > this.#capacity) return null;
		if (this.length === this.#ring.length) this.#grow();
		const order = (this.#newest + 1) & ORDER_MASK;
		const entry = new TableEntry(name, value, 0, order);
		this.#ring[order & this.#mask] = entry;
		this.#newest = order;
		this.length++;
		this.size += bytes;
		return entry;
	}

	clear(): void {
		this.#shrinkTo(0);
	}

	/** RFC 7541 section 4.3. */
	resize(capacity: number): void {
		this.#capacity = capacity;
		this.#shrinkTo(capacity);
	}

	/** Evicts the oldest entries until at most `bytes` are in use, all of them if `bytes` is negative. */
	#shrinkTo(bytes: number): void {
		while (this.size > bytes && this.length > 0) {
			const slot = (this.#newest - this.length + 1) & this.#mask;
			const entry = this.#ring[slot] as TableEntry;
			this.#ring[slot] = undefined;
			this.length--;
			this.size -= entry.name.length + entry.value.length + ENTRY_OVERHEAD;
			entry.live = false;
			this.#evicted?.(entry);
		}
	}

	#grow(): void {
		const ring = new Array<TableEntry | undefined>(this.#ring.length * 2).fill(undefined);
		const mask = ring.length - 1;
		for (const entry of this.#ring) {
			if (entry) ring[entry.order & mask] = entry;
		}
		this.#ring = ring;
		this.#mask = mask;
	}
}

/** Who waits, and in which order. Owns lines and places in them; knows no agents, keeps no time and tells nobody anything. */
import type { Wanted } from './eligibility.ts';
import type { Lease } from './lease.ts';

export type Refusal = 'queue_timeout' | 'draining';

/** Is told one of the two, once, and never before `wait` has returned. Does not throw. */
export interface Waiter<M> {
	granted(lease: Lease<M>): void;
	refused(code: Refusal): void;
}

/** One waiting request. */
export class Entry<M> {
	readonly wanted: Wanted;
	/** RFC 9218: 0 goes first, 7 last. */
	readonly urgency: number;
	readonly seq: number;
	readonly waiter: Waiter<M>;
	timer: NodeJS.Timeout | undefined;
	/** Where it stands; none once its fate is decided. */
	line: Line<M> | undefined;
	ahead: Entry<M> | undefined;
	behind: Entry<M> | undefined;

	constructor(wanted: Wanted, urgency: number, seq: number, waiter: Waiter<M>) {
		this.wanted = wanted;
		this.urgency = urgency;
		this.seq = seq;
		this.waiter = waiter;
	}

	goesBefore(other: Entry<M>): boolean {
		return this.urgency === other.urgency ? this.seq < other.seq : this.urgency < other.urgency;
	}
}

/** Entries of one urgency by seq, as a linked list: joining at either end and leaving from anywhere cost the same always. */
class Rank<M> {
	first: Entry<M> | undefined;
	#last: Entry<M> | undefined;

	insert(entry: Entry<M>): void {
		let behind = this.#last === undefined || this.#last.seq < entry.seq ? undefined : this.first;
		while (behind !== undefined && behind.seq < entry.seq) behind = behind.behind;
		const ahead = behind === undefined ? this.#last : behind.ahead;
		entry.ahead = ahead;
		entry.behind = behind;
		if (ahead === undefined) this.first = entry;
		else ahead.behind = entry;
		if (behind === undefined) this.#last = entry;
		else behind.ahead = entry;
	}

	remove(entry: Entry<M>): void {
		const { ahead, behind } = entry;
		if (ahead === undefined) this.first = behind;
		else ahead.behind = behind;
		if (behind === undefined) this.#last = ahead;
		else behind.ahead = ahead;
		entry.ahead = undefined;
		entry.behind = undefined;
	}
}

/** Those that exactly the same agents may serve. */
export class Line<M> {
	readonly key: string;
	readonly scope: string | undefined;
	/** The known path patterns that their paths match. */
	readonly patterns: readonly string[];
	readonly #ranks: (Rank<M> | undefined)[] = [];

	constructor(key: string, scope: string | undefined, patterns: readonly string[]) {
		this.key = key;
		this.scope = scope;
		this.patterns = patterns;
	}

	get first(): Entry<M> | undefined {
		for (const rank of this.#ranks) {
			if (rank?.first !== undefined) return rank.first;
		}
		return undefined;
	}

	insert(entry: Entry<M>): void {
		const rank = this.#ranks[entry.urgency] ?? new Rank();
		this.#ranks[entry.urgency] = rank;
		rank.insert(entry);
	}

	remove(entry: Entry<M>): void {
		this.#ranks[entry.urgency]?.remove(entry);
	}

	*[Symbol.iterator](): Generator<Entry<M>> {
		for (const rank of this.#ranks) {
			for (let entry = rank?.first; entry !== undefined; entry = entry.behind) yield entry;
		}
	}
}

/** All lines. A line exists while somebody stands in it. */
export class Queue<M> {
	readonly #lines = new Map<string, Line<M>>();
	#length = 0;

	get length(): number {
		return this.#length;
	}

	lines(): Iterable<Line<M>> {
		return this.#lines.values();
	}

	/** @returns the line, if it begins with this entry */
	add(entry: Entry<M>, patterns: readonly string[]): Line<M> | undefined {
		const { scope } = entry.wanted;
		const key = JSON.stringify([scope, patterns]);
		const known = this.#lines.get(key);
		const line = known ?? new Line<M>(key, scope, patterns);
		line.insert(entry);
		entry.line = line;
		this.#lines.set(key, line);
		this.#length++;
		return known === undefined ? line : undefined;
	}

	/** @returns the line, if it ended with this entry */
	remove(entry: Entry<M>): Line<M> | undefined {
		const { line } = entry;
		if (line === undefined) return undefined;
		line.remove(entry);
		entry.line = undefined;
		this.#length--;
		if (line.first !== undefined) return undefined;
		this.#lines.delete(line.key);
		return line;
	}

	/** Takes everybody out of every line. @returns them, first come first */
	clear(): Entry<M>[] {
		const entries = [...this.#lines.values()].flatMap((line) => [...line]).sort((a, b) => a.seq - b.seq);
		for (const entry of entries) this.remove(entry);
		return entries;
	}
}

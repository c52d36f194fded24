/**
 * Who waits, and in which order: by urgency, which rises with time; round-robin between callers; first come, first served for
 * each. Owns lines and places in them; knows no agents, is told the time and tells nobody anything.
 */
import { type Scope, textOf, type Wanted } from './eligibility.ts';
import { FairShare } from './fair-share.ts';
import { type HeapItem, IndexedHeap } from './indexed-heap.ts';
import type { Lease } from './lease.ts';
import type { TimeLimit } from './time-limits.ts';

export type Refusal = 'queue_timeout' | 'draining';

/** RFC 9218: 0 goes first, 7 last. */
const URGENCIES = 8;

/** Is told one of the two, once, and never before `wait` has returned. Does not throw. */
export interface Waiter<M> {
	granted(lease: Lease<M>): void;
	refused(code: Refusal): void;
}

/** Where a request stands, for as long as it lives: it may be given a slot, be refused by its agent and come back. */
export interface Place {
	/** Order of arrival. */
	readonly seq: number;
	/** Its turn among callers, of `urgency`. */
	readonly turn: number;
	readonly urgency: number;
	/** When it got this urgency, in milliseconds. */
	readonly since: number;
}

/** One waiting request. */
export class Entry<M> {
	readonly wanted: Wanted;
	/** Who asks, by any name that is the same for all of its requests. */
	readonly caller: string;
	readonly seq: number;
	readonly waiter: Waiter<M>;
	/** Of RFC 9218, until it has aged. */
	urgency: number;
	turn: number;
	/** When it got this urgency, in milliseconds. */
	since: number;
	/** Until when it may wait. */
	limit: TimeLimit<Entry<M>> | undefined;
	/** Where it stands; none once its fate is decided. */
	line: Line<M> | undefined;
	/** Its neighbours of the same caller and urgency. */
	ahead: Entry<M> | undefined;
	behind: Entry<M> | undefined;
	/** Its neighbours in the order in which they got their urgency. */
	older: Entry<M> | undefined;
	younger: Entry<M> | undefined;

	constructor(wanted: Wanted, caller: string, place: Place, waiter: Waiter<M>) {
		this.wanted = wanted;
		this.caller = caller;
		this.seq = place.seq;
		this.turn = place.turn;
		this.urgency = place.urgency;
		this.since = place.since;
		this.waiter = waiter;
	}

	get place(): Place {
		return { seq: this.seq, turn: this.turn, urgency: this.urgency, since: this.since };
	}

	goesBefore(other: Entry<M>): boolean {
		if (this.urgency !== other.urgency) return this.urgency < other.urgency;
		return this.turn === other.turn ? this.seq < other.seq : this.turn < other.turn;
	}
}

/** One caller's entries of one urgency by seq, as a linked list: joining at either end and leaving from anywhere cost the same always. */
class CallerLine<M> implements HeapItem<CallerLine<M>> {
	position = -1;
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

	goesBefore(other: CallerLine<M>): boolean {
		return this.first !== undefined && other.first !== undefined && this.first.goesBefore(other.first);
	}
}

/** Entries of one urgency: their callers, whose turn it is on top. */
class Rank<M> {
	readonly #callers = new Map<string, CallerLine<M>>();
	readonly #heap = new IndexedHeap<CallerLine<M>>();
	oldest: Entry<M> | undefined;
	#youngest: Entry<M> | undefined;

	get first(): Entry<M> | undefined {
		return this.#heap.top?.first;
	}

	insert(entry: Entry<M>): void {
		const callers = this.#callers.get(entry.caller) ?? new CallerLine<M>();
		this.#callers.set(entry.caller, callers);
		callers.insert(entry);
		this.#heap.put(callers);
		this.#insertByAge(entry);
	}

	remove(entry: Entry<M>): void {
		const callers = this.#callers.get(entry.caller);
		if (callers === undefined) return;
		callers.remove(entry);
		if (callers.first === undefined) {
			this.#callers.delete(entry.caller);
			this.#heap.remove(callers);
		} else {
			this.#heap.put(callers);
		}
		const { older, younger } = entry;
		if (older === undefined) this.oldest = younger;
		else older.younger = younger;
		if (younger === undefined) this.#youngest = older;
		else younger.older = older;
		entry.older = undefined;
		entry.younger = undefined;
	}

	/** Behind all others, but for one that was refused by its agent and comes back. */
	#insertByAge(entry: Entry<M>): void {
		let older = this.#youngest;
		while (older !== undefined && older.since > entry.since) older = older.older;
		const younger = older === undefined ? this.oldest : older.younger;
		entry.older = older;
		entry.younger = younger;
		if (older === undefined) this.oldest = entry;
		else older.younger = entry;
		if (younger === undefined) this.#youngest = entry;
		else younger.older = entry;
	}

	*[Symbol.iterator](): Generator<Entry<M>> {
		for (const callers of this.#callers.values()) {
			for (let entry = callers.first; entry !== undefined; entry = entry.behind) yield entry;
		}
	}
}

/** Those that exactly the same agents may serve. */
export class Line<M> {
	readonly key: string;
	readonly scope: Scope;
	/** The known path patterns that their paths match. */
	readonly patterns: readonly string[];
	readonly #ranks: (Rank<M> | undefined)[] = [];

	constructor(key: string, scope: Scope, patterns: readonly string[]) {
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

	/** The one that has had this urgency longest. */
	oldest(urgency: number): Entry<M> | undefined {
		return this.#ranks[urgency]?.oldest;
	}

	/** All, in the order in which they would be served if nobody came or aged. */
	*[Symbol.iterator](): Generator<Entry<M>> {
		for (const rank of this.#ranks) {
			if (rank !== undefined) yield* [...rank].sort((a, b) => (a.goesBefore(b) ? -1 : 1));
		}
	}
}

/** The same for those that the same agents may serve. Most requests match no pattern. */
function lineKey(scope: Scope, patterns: readonly string[]): string {
	if (patterns.length > 0) return JSON.stringify([scope, patterns]);
	return scope === undefined ? '' : `=${textOf(scope)}`;
}

/** All lines. A line exists while somebody stands in it. */
export class Queue<M> {
	readonly #lines = new Map<string, Line<M>>();
	readonly #shares = Array.from({ length: URGENCIES }, () => new FairShare());
	#length = 0;

	get length(): number {
		return this.#length;
	}

	lines(): Iterable<Line<M>> {
		return this.#lines.values();
	}

	/** The place of a request that arrives now and does not have to wait. */
	placeAtOnce(seq: number, urgency: number, now: number): Place {
		return { seq, turn: this.#share(urgency).now, urgency, since: now };
	}

	/** A place at the end, among the requests of its caller. */
	placeFor(caller: string, seq: number, urgency: number, now: number): Place {
		return { seq, turn: this.#share(urgency).join(caller), urgency, since: now };
	}

	/** The place of one that had one before; it has aged meanwhile, so that nobody who came later is ahead of it now. */
	placeAgain(caller: string, place: Place, now: number, after: number): Place {
		const steps = after > 0 ? Math.min(place.urgency, Math.floor((now - place.since) / after)) : 0;
		if (steps <= 0) {
			this.#share(place.urgency).rejoin(caller, place.turn);
			return place;
		}
		const urgency = place.urgency - steps;
		return this.placeFor(caller, place.seq, urgency, place.since + steps * after);
	}

	/** @param entry with a place of one of the three kinds @returns the line, if it begins with this entry */
	add(entry: Entry<M>, patterns: readonly string[]): Line<M> | undefined {
		const { scope } = entry.wanted;
		const key = lineKey(scope, patterns);
		const known = this.#lines.get(key);
		const line = known ?? new Line<M>(key, scope, patterns);
		line.insert(entry);
		entry.line = line;
		this.#lines.set(key, line);
		this.#length++;
		return known === undefined ? line : undefined;
	}

	/** @param served whether it is given a slot @returns the line, if it ended with this entry */
	remove(entry: Entry<M>, served = false): Line<M> | undefined {
		const { line } = entry;
		if (line === undefined) return undefined;
		this.#share(entry.urgency).leave(entry.caller, entry.turn, served);
		return this.#takeOut(entry, line);
	}

	/** Takes everybody out of every line, places kept. @returns them, first come first */
	clear(): Entry<M>[] {
		const entries = [...this.#lines.values()].flatMap((line) => [...line]).sort((a, b) => a.seq - b.seq);
		for (const entry of entries) if (entry.line !== undefined) this.#takeOut(entry, entry.line);
		return entries;
	}

	/** Whoever has had an urgency for so long gets the next better one, so that nobody waits for ever behind the more urgent. */
	age(now: number, after: number): void {
		for (const line of this.#lines.values()) {
			for (let urgency = 1; urgency < URGENCIES; urgency++) {
				for (let entry = line.oldest(urgency); entry !== undefined; entry = line.oldest(urgency)) {
					if (now - entry.since < after) break;
					this.#promote(entry, line, now);
				}
			}
		}
	}

	#promote(entry: Entry<M>, line: Line<M>, now: number): void {
		line.remove(entry);
		this.#share(entry.urgency).leave(entry.caller, entry.turn, false);
		entry.urgency--;
		entry.since = now;
		entry.turn = this.#share(entry.urgency).join(entry.caller);
		line.insert(entry);
	}

	#takeOut(entry: Entry<M>, line: Line<M>): Line<M> | undefined {
		line.remove(entry);
		entry.line = undefined;
		this.#length--;
		if (line.first !== undefined) return undefined;
		this.#lines.delete(line.key);
		return line;
	}

	#share(urgency: number): FairShare {
		return this.#shares[urgency] as FairShare;
	}
}

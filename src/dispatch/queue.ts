/**
 * Who waits, and in which order: by urgency, which rises with time; round-robin between callers; first come, first served for
 * each. Owns lines and places in them; knows no agents, is told the time and tells nobody anything.
 */
import { patternsKey, type Scope, textOf, type Wanted } from './eligibility.ts';
import { FairShare } from './fair-share.ts';
import { type HeapItem, IndexedHeap } from './indexed-heap.ts';
import type { Lease } from './lease.ts';
import type { Limited } from './time-limits.ts';

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
	/** When it got this urgency, in whole milliseconds. */
	readonly since: number;
}

/** One waiting request. */
export class Entry<M> implements Limited {
	readonly wanted: Wanted;
	/** Who asks, by any name that is the same for all of its requests. */
	readonly caller: string;
	readonly seq: number;
	readonly waiter: Waiter<M>;
	/** Of RFC 9218, until it has aged. */
	urgency: number;
	turn: number;
	/** When it got this urgency, in whole milliseconds. */
	since: number;
	/** How many waited when it began to, itself included. */
	position = 0;
	until: number | undefined;
	/** Where it stands; none once its fate is decided. */
	line: Line<M> | undefined;
	/** What is still to be told. */
	decision: Lease<M> | Refusal | undefined;
	/** Those of its caller and urgency, and its neighbours among them. */
	callers: CallerLine<M> | undefined;
	ahead: Entry<M> | undefined;
	behind: Entry<M> | undefined;
	readonly #left: ((entry: Entry<M>) => void) | undefined;

	/** @param left is told when it does not want to wait any more */
	constructor(wanted: Wanted, caller: string, place: Place, waiter: Waiter<M>, left?: (entry: Entry<M>) => void) {
		this.wanted = wanted;
		this.caller = caller;
		this.seq = place.seq;
		this.turn = place.turn;
		this.urgency = place.urgency;
		this.since = place.since;
		this.waiter = waiter;
		this.#left = left;
	}

	get place(): Place {
		return { seq: this.seq, turn: this.turn, urgency: this.urgency, since: this.since };
	}

	leave(): void {
		this.#left?.(this);
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
	/** Of the first: to look at it costs more than all else, with many of them. */
	#turn = 0;
	#seq = 0;

	/** @returns whether another one is the first now */
	insert(entry: Entry<M>): boolean {
		let behind = this.#last === undefined || this.#last.seq < entry.seq ? undefined : this.first;
		while (behind !== undefined && behind.seq < entry.seq) behind = behind.behind;
		const ahead = behind === undefined ? this.#last : behind.ahead;
		entry.ahead = ahead;
		entry.behind = behind;
		if (behind === undefined) this.#last = entry;
		else behind.ahead = entry;
		entry.callers = this;
		if (ahead === undefined) return this.#begin(entry);
		ahead.behind = entry;
		return false;
	}

	/** @returns whether another one is the first now, or none */
	remove(entry: Entry<M>): boolean {
		const { ahead, behind } = entry;
		if (behind === undefined) this.#last = ahead;
		else behind.ahead = ahead;
		entry.callers = undefined;
		entry.ahead = undefined;
		entry.behind = undefined;
		if (ahead === undefined) return this.#begin(behind);
		ahead.behind = behind;
		return false;
	}

	goesBefore(other: CallerLine<M>): boolean {
		return this.#turn === other.#turn ? this.#seq < other.#seq : this.#turn < other.#turn;
	}

	#begin(first: Entry<M> | undefined): true {
		this.first = first;
		if (first === undefined) return true;
		this.#turn = first.turn;
		this.#seq = first.seq;
		return true;
	}
}

/** Entries of one urgency: their callers, whose turn it is on top. */
class Rank<M> {
	readonly #callers = new Map<string, CallerLine<M>>();
	readonly #heap = new IndexedHeap<CallerLine<M>>();

	get first(): Entry<M> | undefined {
		return this.#heap.top?.first;
	}

	insert(entry: Entry<M>): void {
		const callers = this.#callers.get(entry.caller) ?? new CallerLine<M>();
		if (callers.first === undefined) this.#callers.set(entry.caller, callers);
		if (callers.insert(entry)) this.#heap.put(callers);
	}

	remove(entry: Entry<M>): void {
		const { callers } = entry;
		if (callers?.remove(entry) !== true) return;
		if (callers.first === undefined) {
			this.#callers.delete(entry.caller);
			this.#heap.remove(callers);
		} else {
			this.#heap.put(callers);
		}
	}

	*[Symbol.iterator](): Generator<Entry<M>> {
		for (const callers of this.#callers.values()) {
			for (let entry = callers.first; entry !== undefined; entry = entry.behind) yield entry;
		}
	}
}

/** Those that exactly the same agents may serve. */
export class Line<M> {
	readonly scope: Scope;
	/** The known path patterns that their paths match. */
	readonly patterns: readonly string[];
	/** How many stand in it. */
	length = 0;
	/** Whether an agent is connected that may serve them. */
	served = false;
	readonly #ranks: (Rank<M> | undefined)[] = [];

	constructor(scope: Scope, patterns: readonly string[]) {
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

	/** Those that have had an urgency above 0 since then or longer, in any order. */
	agedSince(then: number): Entry<M>[] {
		const aged: Entry<M>[] = [];
		for (let urgency = 1; urgency < this.#ranks.length; urgency++) {
			for (const entry of this.#ranks[urgency] ?? []) if (entry.since <= then) aged.push(entry);
		}
		return aged;
	}

	/** All, in the order in which they would be served if nobody came or aged. */
	*[Symbol.iterator](): Generator<Entry<M>> {
		for (const rank of this.#ranks) {
			if (rank !== undefined) yield* [...rank].sort((a, b) => (a.goesBefore(b) ? -1 : 1));
		}
	}
}

/** All lines. A line exists while somebody stands in it. */
export class Queue<M> {
	/** By patterns, then by scope. */
	readonly #lines = new Map<string, Map<string | undefined, Line<M>>>();
	readonly #shares = Array.from({ length: URGENCIES }, () => new FairShare());
	#length = 0;
	/** When everybody was last looked at for their age, in whole milliseconds. */
	#lookedAt = 0;

	get length(): number {
		return this.#length;
	}

	*lines(): Generator<Line<M>> {
		for (const shelf of this.#lines.values()) yield* shelf.values();
	}

	/** The place of a request that arrives now and does not have to wait. */
	placeAtOnce(seq: number, urgency: number, now: number): Place {
		return { seq, turn: this.#share(urgency).now, urgency, since: now };
	}

	/** A place at the end, among the requests of its caller. */
	placeFor(caller: string, seq: number, urgency: number, now: number): Place {
		return { seq, turn: this.#share(urgency).join(caller), urgency, since: now };
	}

	/**
	 * The place of one that had one before. It has aged with those who waited, as of the same moment: so nobody who came later is ahead of
	 * it now, and it is ahead of nobody who came earlier.
	 */
	placeAgain(caller: string, place: Place, after: number): Place {
		const steps = stepsOf(place, this.#lookedAt, after);
		if (steps === 0) {
			this.#share(place.urgency).rejoin(caller, place.turn);
			return place;
		}
		const urgency = place.urgency - steps;
		return this.placeFor(caller, place.seq, urgency, place.since + steps * after);
	}

	/** @param entry with a place of one of the three kinds @returns the line, if it begins with this entry */
	add(entry: Entry<M>, patterns: readonly string[]): Line<M> | undefined {
		const { scope } = entry.wanted;
		const key = patternsKey(patterns);
		const shelf = this.#lines.get(key) ?? new Map<string | undefined, Line<M>>();
		const known = shelf.get(scopeKey(scope));
		const line = known ?? new Line<M>(scope, patterns);
		if (known === undefined) this.#lines.set(key, shelf.set(scopeKey(scope), line));
		line.insert(entry);
		line.length++;
		entry.line = line;
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
		const entries = [...this.lines()].flatMap((line) => [...line]).sort((a, b) => a.seq - b.seq);
		for (const entry of entries) if (entry.line !== undefined) this.#takeOut(entry, entry.line);
		return entries;
	}

	/**
	 * Whoever has had an urgency for so long gets the next better one, so that nobody waits for ever behind the more urgent. Looks at
	 * everybody: once a second that is less than what a list by age would cost each who comes and goes.
	 */
	age(now: number, after: number): void {
		this.#lookedAt = now;
		const aged = [...this.lines()].flatMap((line) => line.agedSince(now - after));
		aged.sort((a, b) => a.since - b.since || a.seq - b.seq);
		for (const entry of aged)
			if (entry.line !== undefined) this.#promote(entry, entry.line, stepsOf(entry, now, after), after);
	}

	#promote(entry: Entry<M>, line: Line<M>, steps: number, after: number): void {
		line.remove(entry);
		this.#share(entry.urgency).leave(entry.caller, entry.turn, false);
		entry.urgency -= steps;
		// By its arrival, not by when somebody looked: whoever came earlier ages no later.
		entry.since += steps * after;
		entry.turn = this.#share(entry.urgency).join(entry.caller);
		line.insert(entry);
	}

	#takeOut(entry: Entry<M>, line: Line<M>): Line<M> | undefined {
		line.remove(entry);
		entry.line = undefined;
		this.#length--;
		if (--line.length > 0) return undefined;
		const key = patternsKey(line.patterns);
		const shelf = this.#lines.get(key);
		shelf?.delete(scopeKey(line.scope));
		if (shelf?.size === 0) this.#lines.delete(key);
		return line;
	}

	#share(urgency: number): FairShare {
		return this.#shares[urgency] as FairShare;
	}
}

/** By how many steps it has become more urgent then, one for each `after` milliseconds. */
function stepsOf({ urgency, since }: Pick<Place, 'urgency' | 'since'>, then: number, after: number): number {
	return after > 0 ? Math.max(0, Math.min(urgency, Math.floor((then - since) / after))) : 0;
}

function scopeKey(scope: Scope): string | undefined {
	return scope === undefined ? undefined : textOf(scope);
}

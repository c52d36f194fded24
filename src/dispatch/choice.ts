/** Which of several agents gets the next request: the freest, then the longest unchanged; or the one that served a key last. */
import { LRUCache } from 'lru-cache';
import { type Grants, type Scope, textOf, type Wanted } from './eligibility.ts';
import { type HeapItem, IndexedHeap } from './indexed-heap.ts';
import type { Line } from './queue.ts';

const AFFINITY_KEYS = 100_000;
/** Applications choose their keys, and a key may be as long as a header: one longer than this takes the room of several. */
const AFFINITY_KEY_LENGTH = 320;

/** Twice as much is the most that V8 keeps without a box. */
const WHOLE = 2 ** 29;
const MOST_RANKS = 256;

/** One agent's slots. Whoever changes them calls `update` of the profile. */
export class Slots<M> {
	/** Those that have as much free as it; none while it has nothing free. */
	rank: Rank<M> | undefined;
	/** Its neighbours in that rank. */
	before: Slots<M> | undefined;
	after: Slots<M> | undefined;
	/** Number of the change that brought it there: of equals the one that has been unused longest has the lowest. */
	changed = 0;
	readonly member: M;
	/** Another object for the same grants when it is opened again and nobody had them meanwhile. */
	profile: Profile<M>;
	limit = 0;
	/** May be above a limit that was lowered. */
	leased = 0;
	/** Whether it may be given new leases. */
	open = true;
	/** It came back a moment ago: others go first while they can. */
	fresh = false;
	/** Its upstream failed again and again: it is passed over until it is tried again. */
	aside = false;
	/** What its agent says of its upstream: whether it can be reached, and whether it passes its health checks. */
	fault: 'none' | 'failing' | 'down' = 'none';
	/** It is passed over for that: always while it is down, while there are others if it is failing. */
	out = false;
	/** Failures since its upstream last served a request. */
	failures = 0;
	/** Milliseconds that it was set aside for last. */
	rest = 0;
	/** Ends its being set aside or fresh. */
	timer: NodeJS.Timeout | undefined;

	constructor(member: M, profile: Profile<M>) {
		this.member = member;
		this.profile = profile;
	}

	get free(): number {
		return this.usable ? Math.max(0, this.limit - this.leased) : 0;
	}

	/** Whether it may be chosen once it has a slot. */
	get usable(): boolean {
		return this.open && !this.aside && !this.out;
	}

	/** Whether nothing speaks against it. */
	get sound(): boolean {
		return this.open && !this.aside && this.fault === 'none';
	}

	/** The part of its slots that is free, of WHOLE; of one that is fresh below 0. */
	get share(): number {
		const share = Math.floor((this.free / this.limit) * WHOLE);
		return this.fresh ? share - 2 * WHOLE : share;
	}

	/** Whether it is to be chosen rather than the other; both have something free. */
	goesBefore(other: Slots<M>): boolean {
		if (this.rank === undefined || other.rank === undefined) return this.rank !== undefined;
		return this.rank.share === other.rank.share ? this.changed < other.changed : this.rank.share > other.rank.share;
	}
}

/** Agents that have the same part free, as a list: whoever changes goes to its end, so that one change costs what any other does. */
class Rank<M> implements HeapItem<Rank<M>> {
	position = -1;
	readonly share: number;
	first: Slots<M> | undefined;
	#last: Slots<M> | undefined;

	constructor(share: number) {
		this.share = share;
	}

	append(slots: Slots<M>): void {
		slots.rank = this;
		slots.before = this.#last;
		if (this.#last === undefined) this.first = slots;
		else this.#last.after = slots;
		this.#last = slots;
	}

	remove(slots: Slots<M>): void {
		const { before, after } = slots;
		if (before === undefined) this.first = after;
		else before.after = after;
		if (after === undefined) this.#last = before;
		else after.before = before;
		slots.rank = undefined;
		slots.before = undefined;
		slots.after = undefined;
	}

	goesBefore(other: Rank<M>): boolean {
		return this.share > other.share;
	}
}

/** Agents with equal grants; those with a free slot by how much of theirs is free. */
export class Profile<M> implements Grants {
	readonly scopes: readonly string[];
	readonly scopePaths: readonly string[];
	/** Those that wait for one of these agents. */
	readonly lines = new Set<Line<M>>();
	/** How many agents share it, free or not; how many of them may be chosen, and how many are sound. */
	members = 0;
	usable = 0;
	sound = 0;
	/** By share. There are as many as different shares, few even of many agents. */
	readonly #ranks = new Map<number, Rank<M>>();
	/** Those in which somebody is, the one with the largest share on top. */
	readonly #heap = new IndexedHeap<Rank<M>>();

	constructor(grants: Grants) {
		this.scopes = grants.scopes;
		this.scopePaths = grants.scopePaths;
	}

	/** The same for equal grants, in whatever order they are written. */
	static keyOf(grants: Grants): string {
		return JSON.stringify([[...new Set(grants.scopes)].sort(), [...new Set(grants.scopePaths)].sort()]);
	}

	get hasFree(): boolean {
		return this.#heap.size > 0;
	}

	/** The best choice, passing over the members of `except`. */
	first(except?: ReadonlySet<M>): Slots<M> | undefined {
		return except === undefined ? this.#heap.top?.first : this.#firstExcept(except);
	}

	/** Puts an agent where it belongs after its slots changed. @param change a number higher than any before */
	update(slots: Slots<M>, change: number): void {
		const before = slots.rank;
		const share = slots.free === 0 ? undefined : slots.share;
		if (before?.share === share) return;
		if (before !== undefined) {
			before.remove(slots);
			if (before.first === undefined) this.#emptied(before);
		}
		if (share === undefined) return;
		const rank = this.#ranks.get(share) ?? new Rank<M>(share);
		if (rank.first === undefined) {
			this.#ranks.set(share, rank);
			this.#heap.put(rank);
		}
		slots.changed = change;
		rank.append(slots);
	}

	/** An empty one is kept for the next, unless there are too many of them: agents come with any number of workers. */
	#emptied(rank: Rank<M>): void {
		this.#heap.remove(rank);
		if (this.#ranks.size > MOST_RANKS) this.#ranks.delete(rank.share);
	}

	/** Looks at those in the way only, not at all agents. */
	#firstExcept(except: ReadonlySet<M>): Slots<M> | undefined {
		let best: Slots<M> | undefined;
		for (let at = 0; at < this.#heap.size; at++) {
			let slots = this.#heap.at(at)?.first;
			if (slots === undefined || best?.goesBefore(slots)) continue;
			while (slots !== undefined && except.has(slots.member)) slots = slots.after;
			if (slots !== undefined && best?.goesBefore(slots) !== true) best = slots;
		}
		return best;
	}
}

/** Which agent served a key last, by name: an agent that comes back finds its keys again, and none is kept from being collected. */
export class Affinity {
	readonly #served = new LRUCache<string, string>({
		// Not `max`, which sets aside room for all of them at once.
		maxSize: AFFINITY_KEYS * AFFINITY_KEY_LENGTH,
		sizeCalculation: (member, key) => Math.max(AFFINITY_KEY_LENGTH, key.length + member.length),
	});

	/** The key of the member that served this request's affinity last. */
	of(wanted: Wanted): string | undefined {
		return wanted.affinity === undefined ? undefined : this.#served.get(keyOf(wanted.scope, wanted.affinity));
	}

	remember(wanted: Wanted, member: string): void {
		if (wanted.affinity !== undefined) this.#served.set(keyOf(wanted.scope, wanted.affinity), member);
	}
}

/** Neither a scope nor an affinity can hold a line feed: both are header values. */
function keyOf(scope: Scope, affinity: string): string {
	return scope === undefined ? affinity : `${textOf(scope)}\n${affinity}`;
}

/** Which of several agents gets the next request: the freest, then the longest unused; or the one that served a key last. */
import { LRUCache } from 'lru-cache';
import { type Grants, type Scope, textOf, type Wanted } from './eligibility.ts';
import { type HeapItem, IndexedHeap } from './indexed-heap.ts';
import type { Line } from './queue.ts';

const AFFINITY_KEYS = 100_000;
/** Applications choose their keys, and a key may be as long as a header: one longer than this takes the room of several. */
const AFFINITY_KEY_LENGTH = 320;

/** Twice as much is the most that V8 keeps without a box. */
const WHOLE = 2 ** 29;

/** One agent's slots. Whoever changes them calls `update` of the profile. */
export class Slots<M> implements HeapItem<Slots<M>> {
	// What decides between two comes first, and is small integers: with many agents, memory is what comparing them costs.
	/** Where the profile keeps it; -1 while it has nothing free. */
	position = -1;
	/** The part of its slots that is free, of WHOLE, as of the last `update`; of one that is fresh below 0. The larger goes first. */
	rank = 0;
	/** Number of the last lease that was given, 0 before the first. */
	used = 0;
	/** Place in the order in which agents joined. */
	readonly joined: number;
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
	/** Failures since its upstream last served a request. */
	failures = 0;
	/** Milliseconds that it was set aside for last. */
	rest = 0;
	/** Ends its being set aside or fresh. */
	timer: NodeJS.Timeout | undefined;

	constructor(member: M, profile: Profile<M>, joined: number) {
		this.member = member;
		this.profile = profile;
		this.joined = joined;
	}

	get free(): number {
		return this.open && !this.aside ? Math.max(0, this.limit - this.leased) : 0;
	}

	/** Whether it is to be chosen rather than the other; both have something free. */
	goesBefore(other: Slots<M>): boolean {
		if (this.rank !== other.rank) return this.rank > other.rank;
		return this.used === other.used ? this.joined < other.joined : this.used < other.used;
	}
}

/** Agents with equal grants; those with a free slot in a binary heap, the best choice on top. */
export class Profile<M> implements Grants {
	readonly scopes: readonly string[];
	readonly scopePaths: readonly string[];
	/** Those that wait for one of these agents. */
	readonly lines = new Set<Line<M>>();
	/** How many agents share it, free or not. */
	members = 0;
	readonly #heap = new IndexedHeap<Slots<M>>();

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
		return except === undefined ? this.#heap.top : this.#firstFrom(0, except);
	}

	/** Puts an agent where it belongs after its slots changed. */
	update(slots: Slots<M>): void {
		const { free } = slots;
		const share = free === 0 ? 0 : Math.floor((free / slots.limit) * WHOLE);
		slots.rank = slots.fresh ? share - 2 * WHOLE : share;
		if (free === 0) this.#heap.remove(slots);
		else this.#heap.put(slots);
	}

	/** Descends only below members that are passed over, so that it costs what `except` holds and not what the heap holds. */
	#firstFrom(position: number, except: ReadonlySet<M>): Slots<M> | undefined {
		const slots = this.#heap.at(position);
		if (slots === undefined || !except.has(slots.member)) return slots;
		const left = this.#firstFrom(2 * position + 1, except);
		const right = this.#firstFrom(2 * position + 2, except);
		return left !== undefined && right?.goesBefore(left) !== true ? left : right;
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

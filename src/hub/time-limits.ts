/**
 * Until when each of many may wait, with one timer, for the one whose time ends first. Node's own, one for each, would be most of the
 * memory of somebody who waits, and so of what its garbage costs.
 */
import { type HeapItem, IndexedHeap } from './indexed-heap.ts';

export class TimeLimit<T> implements HeapItem<TimeLimit<T>> {
	position = -1;
	readonly at: number;
	readonly item: T;

	/** @param at from performance.now() */
	constructor(item: T, at: number) {
		this.item = item;
		this.at = at;
	}

	goesBefore(other: TimeLimit<T>): boolean {
		return this.at < other.at;
	}
}

export class TimeLimits<T> {
	readonly #expired: (item: T) => void;
	readonly #limits = new IndexedHeap<TimeLimit<T>>();
	#timer: NodeJS.Timeout | undefined;
	/** What the timer is for: it may have gone meanwhile. */
	#next = Number.POSITIVE_INFINITY;

	/** @param expired is called once, not from within `add`, and may add and remove: also one whose time has ended with its own */
	constructor(expired: (item: T) => void) {
		this.#expired = expired;
	}

	/** @param delay milliseconds, at most what a Node timer can take */
	add(item: T, delay: number): TimeLimit<T> {
		const limit = new TimeLimit(item, performance.now() + delay);
		this.#limits.put(limit);
		if (limit.at < this.#next) this.#arm(limit.at, delay);
		return limit;
	}

	/** Any number of times. */
	remove(limit: TimeLimit<T>): void {
		this.#limits.remove(limit);
		if (this.#limits.size === 0) this.#disarm();
	}

	#arm(at: number, delay: number): void {
		this.#disarm();
		this.#next = at;
		this.#timer = setTimeout(() => this.#look(at), delay);
	}

	#disarm(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#next = Number.POSITIVE_INFINITY;
	}

	/** @param at when the timer was to end, which may be a fraction of a millisecond from now */
	#look(at: number): void {
		this.#disarm();
		const now = performance.now();
		const until = Math.max(now, at);
		const due: TimeLimit<T>[] = [];
		for (let top = this.#limits.top; top !== undefined && top.at <= until; top = this.#limits.top) {
			this.#limits.remove(top);
			due.push(top);
		}
		const next = this.#limits.top;
		if (next !== undefined) this.#arm(next.at, Math.max(0, next.at - now));
		for (const { item } of due) this.#expired(item);
	}
}

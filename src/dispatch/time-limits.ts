/**
 * Until when each of many may wait, with one timer, for the one whose time ends first. Node's own, one for each, would be most of the
 * memory of somebody who waits, and so of what its garbage costs.
 */
import { LazyHeap } from './lazy-heap.ts';

export interface Limited {
	/** Kept here: of performance.now(), in whole milliseconds; none once its time is over, or it waits no more. */
	until: number | undefined;
}

function isLimited({ until }: Limited): boolean {
	return until !== undefined;
}

export class TimeLimits<T extends Limited> {
	readonly #expired: (item: T) => void;
	readonly #items = new LazyHeap<T>(isLimited);
	#timer: NodeJS.Timeout | undefined;
	/** What the timer is for: it may wait no more. */
	#next = Number.POSITIVE_INFINITY;

	/** @param expired is called once, not from within `add`, and may add and remove: also one whose time has ended with its own */
	constructor(expired: (item: T) => void) {
		this.#expired = expired;
	}

	/** @param item never before @param delay milliseconds, at most what a Node timer can take */
	add(item: T, delay: number): void {
		const until = Math.ceil(performance.now() + delay);
		item.until = until;
		this.#items.put(item, until, 0);
		if (until < this.#next) this.#arm(until, delay);
	}

	/** Any number of times. */
	remove(item: T): void {
		if (item.until === undefined) return;
		item.until = undefined;
		this.#items.left();
		if (this.#items.size === 0) this.#disarm();
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
		const end = Math.max(now, at);
		const due: T[] = [];
		let top = this.#items.top;
		while (top?.until !== undefined && top.until <= end) {
			due.push(top);
			top.until = undefined;
			this.#items.left();
			top = this.#items.top;
		}
		if (top?.until !== undefined) this.#arm(top.until, Math.max(0, top.until - now));
		for (const item of due) this.#expired(item);
	}
}

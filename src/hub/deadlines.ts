/** One limit in time for many waiting things, with one timer: they come and go in order, so only the oldest is looked at. */

export interface Timed {
	/** When its waiting began, from performance.now(). */
	readonly since: number;
	expired(): void;
}

/** How late an expiry may be noticed, as a share of the limit, and at most. */
const SHARE = 1 / 8;
const AT_MOST = 1000;

export class Deadlines {
	readonly #limit: number;
	readonly #waiting = new Set<Timed>();
	#timer: NodeJS.Timeout | undefined;

	/** @param limit milliseconds */
	constructor(limit: number) {
		this.#limit = limit;
	}

	/** `item.since` must not be before that of anything added earlier. */
	add(item: Timed): void {
		this.#waiting.add(item);
		this.#timer ??= setInterval(() => this.#look(), Math.min(AT_MOST, Math.max(1, this.#limit * SHARE)));
	}

	remove(item: Timed): void {
		this.#waiting.delete(item);
	}

	#look(): void {
		const latest = performance.now() - this.#limit;
		for (const item of this.#waiting) {
			if (item.since > latest) return;
			this.#waiting.delete(item);
			item.expired();
		}
		if (this.#waiting.size === 0) {
			clearInterval(this.#timer);
			this.#timer = undefined;
		}
	}
}

/** How long to wait before the next try: full jitter under a ceiling that doubles. Owns no timer. */

export interface BackoffOptions {
	/** Ceiling of the first delay, in milliseconds. */
	readonly min: number;
	/** Highest ceiling. */
	readonly max: number;
	/** A connection that lasted this long starts the delays over; a shorter one counts as one more failed try. */
	readonly stableAfter: number;
	/** 0 up to 1. */
	readonly random?: () => number;
	/** Milliseconds of a clock that never goes back. */
	readonly now?: () => number;
}

export class Backoff {
	readonly #options: BackoffOptions;
	readonly #random: () => number;
	readonly #now: () => number;
	#ceiling: number;
	#connectedAt: number | undefined;

	constructor(options: BackoffOptions = { min: 250, max: 30_000, stableAfter: 30_000 }) {
		this.#options = options;
		this.#random = options.random ?? Math.random;
		this.#now = options.now ?? (() => performance.now());
		this.#ceiling = options.min;
	}

	/** Milliseconds to wait before the next try; the ceiling of the one after it is twice as high. */
	next(): number {
		const delay = this.#random() * this.#ceiling;
		this.#ceiling = Math.min(this.#ceiling * 2, this.#options.max);
		return delay;
	}

	/** Milliseconds to wait where a quick try is pointless: the upper half of the highest ceiling. */
	atCap(): number {
		this.#ceiling = this.#options.max;
		return this.#options.max * (0.5 + this.#random() / 2);
	}

	connected(): void {
		this.#connectedAt = this.#now();
	}

	/** May be called without a connection; then it changes nothing. */
	disconnected(): void {
		if (this.#connectedAt === undefined) return;
		if (this.#now() - this.#connectedAt >= this.#options.stableAfter) this.#ceiling = this.#options.min;
		this.#connectedAt = undefined;
	}
}

/** How fast slots come free, counted by the second, and what that means for somebody who asks when to try again. Pure but for the time. */

/** Seconds that are looked back on. */
const SPAN = 30;
const LONGEST_RETRY = 30;

export class DrainRate {
	readonly #counts = new Array<number>(SPAN).fill(0);
	/** The second that is being counted, and the first that ever was. */
	#second: number;
	#since: number;
	#total = 0;

	/** @param now seconds, from any origin */
	constructor(now: number) {
		this.#second = this.#since = Math.floor(now);
	}

	count(now: number): void {
		this.#advance(now);
		const at = this.#second % SPAN;
		this.#counts[at] = (this.#counts[at] ?? 0) + 1;
		this.#total++;
	}

	/** Slots a second; 0 if none came free lately. */
	rate(now: number): number {
		this.#advance(now);
		return this.#total / Math.min(SPAN, Math.max(1, now - this.#since));
	}

	/** Whole seconds until somebody behind so many others can hope for a slot: 1 to 30. */
	retryAfter(now: number, waiting: number): number {
		const rate = this.rate(now);
		if (rate === 0) return waiting === 0 ? 1 : LONGEST_RETRY;
		return Math.min(LONGEST_RETRY, Math.max(1, Math.ceil((waiting + 1) / rate)));
	}

	#advance(now: number): void {
		const second = Math.floor(now);
		if (second - this.#second >= SPAN) {
			this.#counts.fill(0);
			this.#total = 0;
			this.#second = second;
		}
		while (this.#second < second) {
			this.#second++;
			const at = this.#second % SPAN;
			this.#total -= this.#counts[at] ?? 0;
			this.#counts[at] = 0;
		}
	}
}

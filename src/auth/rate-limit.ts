/** A token bucket as one number: when it would be full again (the generic cell rate algorithm, ITU-T I.371). Is told the time; knows nothing of requests. */

/** So many per period (milliseconds), all at once or spread. */
export interface Rate {
	readonly requests: number;
	readonly period: number;
}

/** Whoever waits exactly as long as it was told is let in, whatever floating point makes of the sums. */
const TOLERANCE_MS = 1e-3;

export class RateLimit {
	#rate: Rate;
	/** Milliseconds; in the past while the bucket is full. */
	#fullAt = Number.NEGATIVE_INFINITY;

	constructor(rate: Rate) {
		this.#rate = rate;
	}

	/** From now on; the bucket is full when it would have been. */
	set rate(rate: Rate) {
		this.#rate = rate;
	}

	/**
	 * Takes one, if there is one.
	 * @param now milliseconds of a clock that never goes back
	 * @returns milliseconds until there is one, 0 if it was taken
	 */
	take(now: number): number {
		const { requests, period } = this.#rate;
		const fullAt = Math.max(this.#fullAt, now) + period / requests;
		const early = fullAt - now - period;
		if (early > TOLERANCE_MS) return early;
		this.#fullAt = fullAt;
		return 0;
	}
}

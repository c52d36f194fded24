/** One direction of a simulated connection. */
import type { Clock } from './clock.ts';

/** Messages arrive in the order in which they were sent, each after a time of its own. */
export class Wire<T> {
	readonly #clock: Clock;
	readonly #random: (below: number) => number;
	readonly #slow: number;
	readonly #arrive: (message: T) => void;
	#last = 0;
	cut = false;

	/** @param slow the longest time, in milliseconds */
	constructor(clock: Clock, random: (below: number) => number, slow: number, arrive: (message: T) => void) {
		this.#clock = clock;
		this.#random = random;
		this.#slow = slow;
		this.#arrive = arrive;
	}

	send(message: T): void {
		if (this.cut) return;
		this.#last = Math.max(this.#last, this.#clock.now + this.#random(this.#slow));
		this.#clock.after(this.#last - this.#clock.now, () => {
			if (!this.cut) this.#arrive(message);
		});
	}
}

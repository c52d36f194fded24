/** Lets those who wait become more urgent with time, so that nobody waits for ever: when it is looked at, and that it is not while nobody waits. */
import type { Queue } from './queue.ts';

/** How often those who wait are looked at for their age, in milliseconds. */
const INTERVAL = 1000;

export class Aging<M> {
	/** Milliseconds until a waiting request counts as one step more urgent; 0 for never. */
	after = 0;
	readonly #queue: Queue<M>;
	readonly #now: () => number;
	#timer: NodeJS.Timeout | undefined;

	/** @param now the clock by which requests have their places, in whole milliseconds */
	constructor(queue: Queue<M>, now: () => number) {
		this.#queue = queue;
		this.#now = now;
	}

	/** Somebody waits. */
	keep(): void {
		if (this.after > 0) this.#timer ??= setInterval(() => this.#look(), INTERVAL);
	}

	#look(): void {
		if (this.#queue.length > 0 && this.after > 0) {
			this.#queue.age(this.#now(), this.after);
			return;
		}
		clearInterval(this.#timer);
		this.#timer = undefined;
	}
}

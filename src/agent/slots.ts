/**
 * The agent's workers as a semaphore, shared by all its tunnels: whoever holds a slot may have one request at the upstream.
 * It alone says what is free; to which tunnel that is offered `Offers` decides.
 */
import { Offers, type Turn } from './offers.ts';

export interface Slot {
	/** May be called twice without harm and counts once. */
	release(): void;
}

/** One tunnel's part in the slots. */
export interface Share {
	/** Free slots that its hub may count on; 0 after leave(). */
	readonly offered: number;
	/** While one of those is for this tunnel alone. */
	readonly turn: Turn | null;
	/** Null when there is none for this tunnel. */
	take(): Slot | null;
	/** The turn has lasted long enough. Without effect when it is over. */
	pass(turn: Turn): void;
	/** The tunnel drains or is closed: it is offered nothing more and told of no change. May be called twice. */
	leave(): void;
}

export class Slots {
	#capacity: number;
	readonly #offers: Offers;
	#free: number;
	readonly #listeners = new Set<() => void>();

	/** @param now the time in milliseconds, from any origin */
	constructor(capacity: number, now: () => number = () => performance.now()) {
		this.#capacity = capacity;
		this.#free = capacity;
		this.#offers = new Offers(now);
	}

	get capacity(): number {
		return this.#capacity;
	}

	/** Below 0 while more requests are at work than there are workers, after a `resize`. */
	get free(): number {
		return this.#free;
	}

	/** More workers are offered at once; of fewer, those that hold a request finish it. */
	resize(capacity: number): void {
		const more = capacity - this.#capacity;
		this.#capacity = capacity;
		if (more < 0) this.#free += more;
		for (let i = 0; i < more; i++) {
			this.#free++;
			this.#offers.freed(this.#free);
		}
		if (more !== 0) this.#changed();
	}

	/** @param changed is called whenever what is offered to this tunnel may have changed */
	join(changed: () => void): Share {
		const offers = this.#offers;
		const candidate = offers.join();
		const offered = () => offers.offered(candidate, this.#free);
		this.#listeners.add(changed);
		return {
			get offered() {
				return offered();
			},
			get turn() {
				return candidate.turn;
			},
			take: () => {
				if (!offers.mayTake(candidate, this.#free)) {
					offers.refused(candidate);
					return null;
				}
				this.#free--;
				offers.took(candidate, this.#free);
				this.#changed();
				return this.#held();
			},
			pass: (turn) => {
				offers.passed(candidate, turn, this.#free);
				this.#changed();
			},
			leave: () => {
				this.#listeners.delete(changed);
				offers.leave(candidate, this.#free);
				this.#changed();
			},
		};
	}

	#held(): Slot {
		let held = true;
		return {
			release: () => {
				if (!held) return;
				held = false;
				this.#free++;
				this.#offers.freed(this.#free);
				this.#changed();
			},
		};
	}

	#changed(): void {
		for (const listener of this.#listeners) listener();
	}
}

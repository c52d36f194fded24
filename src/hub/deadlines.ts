/**
 * One limit in time for many waiting things, with one timer: they come and go in order, so only the oldest is looked at. They are
 * linked to each other, since a Set of V8 under constant change keeps what was in it from dying young.
 */

export abstract class Timed {
	/** When its waiting began, from performance.now(). */
	readonly since = performance.now();
	/** For Deadlines: its neighbours, null while it is in none. */
	earlier: Timed | null = null;
	later: Timed | null = null;

	abstract expired(): void;
}

/** How late an expiry may be noticed, as a share of the limit, and at most. */
const SHARE = 1 / 8;
const AT_MOST = 1000;

/** Both ends of the line. */
class Ends extends Timed {
	override earlier: Timed = this;
	override later: Timed = this;

	override expired(): void {}
}

export class Deadlines {
	readonly #limit: number;
	readonly #ends = new Ends();
	#timer: NodeJS.Timeout | undefined;

	/** @param limit milliseconds */
	constructor(limit: number) {
		this.#limit = limit;
	}

	/** `item.since` must not be before that of anything added earlier. */
	add(item: Timed): void {
		if (item.later !== null) return;
		const ends = this.#ends;
		item.earlier = ends.earlier;
		item.later = ends;
		ends.earlier.later = item;
		ends.earlier = item;
		this.#timer ??= setInterval(() => this.#look(), Math.min(AT_MOST, Math.max(1, this.#limit * SHARE)));
	}

	/** Any number of times. */
	remove(item: Timed): void {
		if (item.later === null || item.earlier === null) return;
		item.earlier.later = item.later;
		item.later.earlier = item.earlier;
		item.earlier = item.later = null;
	}

	#look(): void {
		const latest = performance.now() - this.#limit;
		const ends = this.#ends;
		while (ends.later !== ends && ends.later.since <= latest) {
			const item = ends.later;
			this.remove(item);
			item.expired();
		}
		if (ends.later === ends) {
			clearInterval(this.#timer);
			this.#timer = undefined;
		}
	}
}

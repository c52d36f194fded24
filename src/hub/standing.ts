/**
 * Which agents others are preferred to: one that came back a moment ago, and one whose upstream failed again and again, which is set
 * aside and tried again. Owns their timers; who is chosen is the choice's business.
 */
import type { Slots } from './choice.ts';
import type { Outcome } from './lease.ts';

/** How long an agent is set aside: at first, and at most; each time in a row twice as long. In milliseconds. */
const FIRST_REST = 1000;
const LONGEST_REST = 60_000;
/** Agents that were here are remembered, so that one which comes back is known. */
const REMEMBERED_KEYS = 10_000;

export interface StandingOptions {
	/** Failures in a row after which an agent is set aside while there are others; 0 for never. */
	readonly setAsideAfter: number;
	/** Milliseconds for which others go before an agent that has come back; 0 for not at all. */
	readonly slowStart: number;
}

interface Standee {
	readonly key: string;
}

export class Standing<M extends Standee> {
	readonly #options: StandingOptions;
	readonly #changed: (slots: Slots<M>) => void;
	/** Oldest first. */
	readonly #known = new Set<string>();

	/** @param changed an agent may be chosen again, or is an equal again; never called from within a call to this */
	constructor(options: StandingOptions, changed: (slots: Slots<M>) => void) {
		this.#options = options;
		this.#changed = changed;
	}

	join(slots: Slots<M>): void {
		const { slowStart } = this.#options;
		if (slowStart === 0) return;
		const { key } = slots.member;
		if (this.#known.delete(key)) {
			slots.fresh = true;
			slots.timer = setTimeout(() => {
				slots.fresh = false;
				this.#changed(slots);
			}, slowStart);
		}
		this.#known.add(key);
		if (this.#known.size <= REMEMBERED_KEYS) return;
		for (const oldest of this.#known) {
			this.#known.delete(oldest);
			return;
		}
	}

	leave(slots: Slots<M>): void {
		clearTimeout(slots.timer);
	}

	/** What a request's end says of the agent's upstream. @param hasOther whether somebody else may serve what it serves */
	judge(slots: Slots<M>, outcome: Outcome, hasOther: () => boolean): void {
		if (outcome === 'served') {
			slots.failures = 0;
			slots.rest = 0;
			return;
		}
		const { setAsideAfter } = this.#options;
		slots.failures++;
		if (setAsideAfter === 0 || slots.failures < setAsideAfter || slots.aside || !slots.open || !hasOther()) return;
		slots.aside = true;
		slots.fresh = false;
		slots.rest = Math.min(LONGEST_REST, Math.max(FIRST_REST, 2 * slots.rest));
		clearTimeout(slots.timer);
		slots.timer = setTimeout(() => {
			this.bringBack(slots);
			this.#changed(slots);
		}, slots.rest);
	}

	/** It is tried again: one more failure sets it aside for longer. */
	bringBack(slots: Slots<M>): void {
		clearTimeout(slots.timer);
		slots.aside = false;
		slots.failures = this.#options.setAsideAfter - 1;
	}
}

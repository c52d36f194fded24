/**
 * Which agents others are preferred to: one that came back a moment ago, one whose upstream failed again and again, which is set
 * aside and tried again, and one that says that its upstream is not well. Owns their timers; who is chosen is the choice's business.
 */
import type { Profile, Slots } from './choice.ts';
import type { Outcome } from './lease.ts';

/** How long an agent is set aside: at first, and at most; each time in a row twice as long. In milliseconds. */
const FIRST_REST = 1000;
const LONGEST_REST = 60_000;
/** Agents that were here are remembered, so that one which comes back is known. */
const REMEMBERED_KEYS = 10_000;

export interface StandingOptions {
	/** Failures in a row after which an agent is set aside; 0 for never. */
	readonly setAsideAfter: number;
	/** Whether that is done also to those besides whom there is nobody: their requests are then refused, or wait. */
	readonly setAsideLast?: boolean | undefined;
	/** Milliseconds for which others go before an agent that has come back; 0 for not at all. */
	readonly slowStart: number;
}

interface Standee {
	readonly key: string;
}

export class Standing<M extends Standee> {
	#options: StandingOptions;
	readonly #changed: (slots: Slots<M>) => void;
	/** Oldest first. */
	readonly #known = new Set<string>();

	/** @param changed an agent may be chosen again, or is an equal again; never called from within a call to this */
	constructor(options: StandingOptions, changed: (slots: Slots<M>) => void) {
		this.#options = options;
		this.#changed = changed;
	}

	/** From now on; what others are preferred to by what was before stays so until its time is over. */
	configure(options: StandingOptions): void {
		this.#options = options;
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

	/**
	 * What a request's end says of the agent's upstream.
	 * @param hasOther whether somebody else, who is sound, may serve what it serves
	 * @returns whether it is set aside now
	 */
	judge(slots: Slots<M>, outcome: Outcome, hasOther: boolean): boolean {
		if (outcome === 'served') {
			slots.failures = 0;
			slots.rest = 0;
			return false;
		}
		const { setAsideAfter, setAsideLast } = this.#options;
		slots.failures++;
		if (setAsideAfter === 0 || slots.failures < setAsideAfter || slots.aside || !slots.open) return false;
		if (!hasOther && !setAsideLast) return false;
		slots.aside = true;
		slots.fresh = false;
		slots.rest = Math.min(LONGEST_REST, Math.max(FIRST_REST, 2 * slots.rest));
		clearTimeout(slots.timer);
		slots.timer = setTimeout(() => {
			this.bringBack(slots);
			this.#changed(slots);
		}, slots.rest);
		return true;
	}

	/**
	 * Who of the agents of a profile may be chosen. While one is sound those are passed over that are not; if none is, they are used all
	 * the same unless `setAsideLast` says otherwise. One that is down takes nothing in any case.
	 * @param members those that are open
	 */
	settle(profile: Profile<M>, members: readonly Slots<M>[]): void {
		const all = this.#options.setAsideLast === true;
		if (!all && !members.some(({ sound }) => sound)) {
			for (const slots of members) if (slots.aside) this.bringBack(slots);
		}
		const anySound = members.some(({ sound }) => sound);
		for (const slots of members) {
			slots.out = slots.fault === 'down' || (slots.fault === 'failing' && (all || anySound));
		}
		profile.usable = members.filter(({ usable }) => usable).length;
		profile.sound = members.filter(({ sound }) => sound).length;
	}

	/** It is tried again: one more failure sets it aside for longer. */
	bringBack(slots: Slots<M>): void {
		clearTimeout(slots.timer);
		slots.aside = false;
		slots.failures = this.#options.setAsideAfter - 1;
	}

	/** Its agent says that its upstream is up again. */
	forgive(slots: Slots<M>): void {
		if (slots.aside) this.bringBack(slots);
		slots.failures = 0;
		slots.rest = 0;
	}
}

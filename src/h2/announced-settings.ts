/**
 * Our SETTINGS on their way: what was announced and waits for its acknowledgement, and what is wanted after that
 * (RFC 9113 section 6.5.3). Only one announcement is under way at a time, but for the first ones of a connection.
 */
import type { Settings } from './settings.ts';

export class AnnouncedSettings {
	/** Oldest first. */
	readonly #underWay: Array<Partial<Settings>> = [];
	#wanted: Partial<Settings> | null = null;

	/** True when nothing waits to be sent or acknowledged. */
	get settled(): boolean {
		return this.#underWay.length === 0;
	}

	/** True when the newest were sent, acknowledged or not. */
	get sent(): boolean {
		return this.#wanted === null;
	}

	/** Takes note of settings that are being sent. */
	announce(settings: Partial<Settings>): void {
		this.#underWay.push(settings);
	}

	/** Whether they may be sent now; if not, they go out with whatever else changes until the next acknowledgement. */
	want(settings: Partial<Settings>): boolean {
		if (this.settled) return true;
		this.#wanted = { ...this.#wanted, ...settings };
		return false;
	}

	/** The settings that the peer has just acknowledged; undefined if there were none. */
	acknowledged(): Partial<Settings> | undefined {
		return this.#underWay.shift();
	}

	/** What is to be sent now that an acknowledgement came; null if nothing. */
	next(): Partial<Settings> | null {
		const wanted = this.#wanted;
		this.#wanted = null;
		return wanted;
	}

	/**
	 * How many streams the peer may have open: the newest announcement may not have reached it, so the largest counts. A limit
	 * holds from the first announcement on, or a peer that never acknowledges it would have none.
	 * @param acknowledged the limit that the peer has taken note of, Infinity if there is none
	 */
	mostStreams(acknowledged: number): number {
		let most = acknowledged;
		const first = this.#underWay[0]?.maxConcurrentStreams;
		if (most === Number.POSITIVE_INFINITY && first !== undefined) most = first;
		for (const settings of this.#underWay) most = Math.max(most, settings.maxConcurrentStreams ?? 0);
		return most;
	}
}

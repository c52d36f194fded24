/**
 * To which of several hubs the agent's free workers are offered (PROTOCOL.md, slots). A hub without one waits; a worker that
 * becomes free is kept for the hub whose last turn is longest ago, and offered to all when that one lets its turn pass.
 * Pure: no I/O, no timers, time is given. It does not count the workers; whoever does tells how many are free.
 */

/** One worker kept for one hub. */
export interface Turn {
	/** Milliseconds, of the clock that `Offers` was given. */
	readonly since: number;
}

/** One tunnel in the eyes of the policy. */
export interface Candidate {
	/** A free worker is its alone. */
	readonly turn: Turn | null;
}

interface Known extends Candidate {
	turn: Turn | null;
	/** Milliseconds between the turns of a hub that leaves them unused; 0 since it took a worker or was refused one. */
	rest: number;
	restsUntil: number;
}

/** A turn that nobody uses costs a worker's time: at most one part of it in so many. */
const SHARE_OF_TIME = 10;
/** Milliseconds. A hub that leaves every turn unused rests twice as long each time, but hears of a worker after LONGEST_REST. */
const SHORTEST_REST = 50;
const LONGEST_REST = 5000;
/** Milliseconds. Whoever left a worker that was offered to all for so long has nobody waiting. */
const UNUSED = 1000;

export class Offers {
	readonly #now: () => number;
	/** The one whose last turn is longest ago comes first. */
	readonly #line = new Set<Known>();
	/** Workers that are kept for one hub each; the other free ones are offered to all. */
	#kept = 0;
	/** Since when there is one that is offered to all. */
	#openSince: number;

	/** @param now the time in milliseconds, from any origin */
	constructor(now: () => number) {
		this.#now = now;
		this.#openSince = now();
	}

	join(): Candidate {
		const candidate: Known = { turn: null, rest: 0, restsUntil: 0 };
		this.#line.add(candidate);
		return candidate;
	}

	/** It is offered nothing more; what was kept for it goes to the next. May be called twice. */
	leave(candidate: Candidate, free: number): void {
		const known = candidate as Known;
		this.#line.delete(known);
		if (known.turn === null) return;
		this.#endTurn(known);
		this.freed(free);
	}

	/** How many of the free workers its hub may count on. */
	offered(candidate: Candidate, free: number): number {
		if (!this.#line.has(candidate as Known)) return 0;
		// There may be fewer workers than requests for a while, when their number was lowered.
		return Math.max(0, free - this.#kept + (candidate.turn === null ? 0 : 1));
	}

	/** Whether a request that came may have a worker. A hub that is leaving may have sent one before it knew. */
	mayTake(candidate: Candidate, free: number): boolean {
		return free > 0 && (candidate.turn !== null || free > this.#kept);
	}

	/** @param free what is left */
	took(candidate: Candidate, free: number): void {
		const known = candidate as Known;
		if (known.turn !== null) this.#endTurn(known);
		else if (free === this.#kept) this.#allTaken(known);
		known.rest = 0;
		known.restsUntil = 0;
		this.#toTheEnd(known);
	}

	/** Its hub has somebody waiting: it rests no longer. */
	refused(candidate: Candidate): void {
		const known = candidate as Known;
		known.rest = 0;
		known.restsUntil = 0;
	}

	/** @param free with the one that became free */
	freed(free: number): void {
		// While one is offered to all nobody is without.
		if (free - this.#kept !== 1) return;
		const now = this.#now();
		const next = this.#line.size > 1 ? this.#longestWaiting(now) : undefined;
		if (next === undefined) {
			this.#openSince = now;
			return;
		}
		next.turn = { since: now };
		this.#kept++;
	}

	/** Its hub has had its time: the worker is offered to all. Without effect when that turn is over. */
	passed(candidate: Candidate, turn: Turn, free: number): void {
		const known = candidate as Known;
		if (known.turn !== turn) return;
		const now = this.#now();
		const price = SHARE_OF_TIME * (now - turn.since);
		this.#endTurn(known);
		known.rest = Math.min(Math.max(2 * known.rest, price, SHORTEST_REST), Math.max(LONGEST_REST, price));
		known.restsUntil = now + known.rest;
		this.#toTheEnd(known);
		if (free - this.#kept === 1) this.#openSince = now;
	}

	#longestWaiting(now: number): Known | undefined {
		for (const known of this.#line) if (known.turn === null && known.restsUntil <= now) return known;
		return undefined;
	}

	#allTaken(by: Known): void {
		const now = this.#now();
		if (now - this.#openSince < UNUSED) return;
		for (const known of this.#line) {
			if (known === by || known.turn !== null) continue;
			known.rest = Math.max(known.rest, SHORTEST_REST);
			known.restsUntil = now + known.rest;
		}
	}

	#endTurn(known: Known): void {
		known.turn = null;
		this.#kept--;
	}

	#toTheEnd(known: Known): void {
		if (this.#line.delete(known)) this.#line.add(known);
	}
}

/** A worker's slot held for one request. Owns that it is given back once; knows nothing of who counts it. */
import type { Place } from './queue.ts';

/** Whether an upstream did what it is there for, whatever it answered. */
export type Outcome = 'served' | 'failed';

export interface Lease<M> {
	readonly member: M;
	/** The request's place in the queue: what `wait` is given when the agent refused a request that had not started. */
	readonly place: Place;
	/** What became of the request, as far as it says anything of the agent's upstream; told along with the release. */
	outcome: Outcome | null;
	/** Gives the slot back. May be called twice without harm and counts once. */
	release(): void;
}

export class HeldLease<M> implements Lease<M> {
	readonly member: M;
	readonly place: Place;
	outcome: Outcome | null = null;
	#giveBack: ((outcome: Outcome | null) => void) | undefined;

	constructor(member: M, place: Place, giveBack: (outcome: Outcome | null) => void) {
		this.member = member;
		this.place = place;
		this.#giveBack = giveBack;
	}

	release(): void {
		const giveBack = this.#giveBack;
		this.#giveBack = undefined;
		giveBack?.(this.outcome);
	}
}

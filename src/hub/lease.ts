/** A worker's slot held for one request. Owns that it is given back once; knows nothing of who counts it. */

export interface Lease<M> {
	readonly member: M;
	/** The request's place in the queue: what `wait` is given when the agent refused a request that had not started. */
	readonly seq: number;
	/** Gives the slot back. May be called twice without harm and counts once. */
	release(): void;
}

export class HeldLease<M> implements Lease<M> {
	readonly member: M;
	readonly seq: number;
	#giveBack: (() => void) | undefined;

	constructor(member: M, seq: number, giveBack: () => void) {
		this.member = member;
		this.seq = seq;
		this.#giveBack = giveBack;
	}

	release(): void {
		const giveBack = this.#giveBack;
		this.#giveBack = undefined;
		giveBack?.();
	}
}

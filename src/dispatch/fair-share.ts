/**
 * Round-robin between callers by virtual time: each request is given a turn, the next one after its caller's last, but none before
 * those that are being served now. By these numbers callers take turns whatever they send, and each is first come, first served.
 * (Start-time fair queueing, Goyal, Vin and Cheng 1996, every request counting the same.) Pure.
 */

interface Caller {
	last: number;
	waiting: number;
}

export class FairShare {
	/** The turn that was served last. */
	#now = 0;
	/** Callers with somebody waiting. */
	readonly #callers = new Map<string, Caller>();

	/** The turn of a request that begins to wait. */
	join(caller: string): number {
		const known = this.#callers.get(caller);
		if (known === undefined) {
			this.#callers.set(caller, { last: this.#now, waiting: 1 });
			return this.#now;
		}
		known.waiting++;
		known.last = Math.max(this.#now, known.last + 1);
		return known.last;
	}

	/** A request comes back that had its turn: it takes nothing from its caller's next ones. */
	rejoin(caller: string, turn: number): void {
		const known = this.#callers.get(caller);
		if (known === undefined) this.#callers.set(caller, { last: turn, waiting: 1 });
		else known.waiting++;
	}

	/** A request waits no longer. @param served whether it had its turn */
	leave(caller: string, turn: number, served: boolean): void {
		if (served) this.#now = Math.max(this.#now, turn);
		const known = this.#callers.get(caller);
		if (known !== undefined && --known.waiting === 0) this.#callers.delete(caller);
	}

	/** The turn of a request that never had to wait. */
	get now(): number {
		return this.#now;
	}
}

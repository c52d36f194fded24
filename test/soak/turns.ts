/** What must not happen at the same time: one after the other. */
export class Turns {
	#last: Promise<unknown> = Promise.resolve();

	take<T>(what: () => Promise<T>): Promise<T> {
		const next = this.#last.then(what);
		// Whoever asked for it is told of its failure.
		this.#last = next.catch(() => undefined);
		return next;
	}
}

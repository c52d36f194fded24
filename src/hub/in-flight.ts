/**
 * The requests that have not ended, for operators to look at. They are linked to each other, oldest first: coming and going costs a few
 * writes, since a Set of V8 under constant change keeps what was in it from dying young.
 */

export abstract class InFlight {
	/** For InFlightList: its neighbours, null while it is in none. */
	older: InFlight | null = null;
	younger: InFlight | null = null;
}

export class InFlightList<R extends InFlight> {
	#oldest: R | null = null;
	#youngest: R | null = null;
	#length = 0;

	get length(): number {
		return this.#length;
	}

	/** Once. */
	add(request: R): void {
		request.older = this.#youngest;
		if (this.#youngest === null) this.#oldest = request;
		else this.#youngest.younger = request;
		this.#youngest = request;
		this.#length++;
	}

	/** Once, after `add`. */
	remove(request: R): void {
		const { older, younger } = request as { older: R | null; younger: R | null };
		if (older === null) this.#oldest = younger;
		else older.younger = younger;
		if (younger === null) this.#youngest = older;
		else younger.older = older;
		request.older = request.younger = null;
		this.#length--;
	}

	/** Oldest first. */
	*[Symbol.iterator](): Generator<R> {
		for (let request = this.#oldest; request !== null; request = request.younger as R | null) yield request;
	}
}

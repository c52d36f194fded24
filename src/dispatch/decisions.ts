/**
 * What was decided about those who wait and is still to be told to them, in order. Deciding calls nobody, so that whoever is told finds
 * everything settled; owns when telling happens, nothing of why.
 */
import type { Lease } from './lease.ts';
import type { Entry, Refusal } from './queue.ts';

export class Decisions<M> {
	readonly #due: Entry<M>[] = [];
	#telling = false;

	add(entry: Entry<M>, decision: Lease<M> | Refusal): void {
		entry.decision = decision;
		this.#due.push(entry);
	}

	/**
	 * A waiter that is told may call anything. What that decides is told in a later turn of the event loop, so that one which fails at
	 * once and waits again, and again, holds up nothing.
	 */
	tell(): void {
		const due = this.#due.length;
		if (this.#telling || due === 0) return;
		let told = 0;
		this.#telling = true;
		try {
			while (told < due) {
				const entry = this.#due[told++];
				const decision = entry?.decision;
				if (entry === undefined || decision === undefined) continue; // it left meanwhile
				entry.decision = undefined;
				if (typeof decision === 'string') entry.waiter.refused(decision);
				else entry.waiter.granted(decision);
			}
		} finally {
			this.#telling = false;
			this.#due.splice(0, told);
			if (this.#due.length > 0) this.tellLater();
		}
	}

	tellLater(): void {
		setImmediate(() => this.tell());
	}
}

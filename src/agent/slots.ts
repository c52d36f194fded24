/** The agent's workers as a semaphore, shared by all its tunnels: whoever holds a slot may have one request at the upstream. */

export interface Slot {
	/** May be called twice without harm and counts once. */
	release(): void;
}

export class Slots {
	readonly capacity: number;
	#free: number;
	readonly #listeners = new Set<() => void>();

	constructor(capacity: number) {
		this.capacity = capacity;
		this.#free = capacity;
	}

	get free(): number {
		return this.#free;
	}

	take(): Slot | null {
		if (this.#free === 0) return null;
		this.#free--;
		this.#changed();
		let held = true;
		return {
			release: () => {
				if (!held) return;
				held = false;
				this.#free++;
				this.#changed();
			},
		};
	}

	/** @returns the way to stop listening */
	onChange(listener: () => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	#changed(): void {
		for (const listener of this.#listeners) listener();
	}
}

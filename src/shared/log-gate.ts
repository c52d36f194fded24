/** Keeps what peers can bring about at will from filling the log: a line a second, which says how many were left out before it. */
const INTERVAL_MS = 1000;

export class LogGate {
	#openAt = Number.NEGATIVE_INFINITY;
	#leftOut = 0;

	/** @returns how many lines were left out since the last one; null when this one is to be left out too */
	pass(): number | null {
		const now = performance.now();
		if (now < this.#openAt) {
			this.#leftOut++;
			return null;
		}
		this.#openAt = now + INTERVAL_MS;
		const leftOut = this.#leftOut;
		this.#leftOut = 0;
		return leftOut;
	}
}

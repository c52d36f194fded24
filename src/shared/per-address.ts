/** How many connections each address has. Knows nothing else of them. */

export class PerAddress {
	/** Connections of one address; 0 is no limit. Those that came while it was 0 are not counted. */
	most: number;
	readonly #counts = new Map<string, number>();

	constructor(most: number) {
		this.most = most;
	}

	/** Counts one more, until it closes. @returns false, and counts nothing, when the address has as many as it may */
	admit(address: string, connection: { once(event: 'close', listener: () => void): unknown }): boolean {
		if (this.most === 0) return true;
		const count = this.#counts.get(address) ?? 0;
		if (count >= this.most) return false;
		this.#counts.set(address, count + 1);
		connection.once('close', () => {
			const left = (this.#counts.get(address) ?? 1) - 1;
			if (left > 0) this.#counts.set(address, left);
			else this.#counts.delete(address);
		});
		return true;
	}
}

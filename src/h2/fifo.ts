/** First in, first out, in constant time: what is in it is moved seldom, and what was taken out is not held. */

/** Places that are not closed up before there are so many. */
const FEW = 64;

export class Fifo<T extends object> {
	readonly #items: (T | undefined)[] = [];
	/** How many places of those at the front are empty. */
	#taken = 0;

	get length(): number {
		return this.#items.length - this.#taken;
	}

	get first(): T | undefined {
		return this.#items[this.#taken];
	}

	push(item: T): void {
		this.#items.push(item);
	}

	shift(): T | undefined {
		const item = this.#items[this.#taken];
		if (item === undefined) return undefined;
		this.#items[this.#taken++] = undefined;
		if (this.#taken === this.#items.length) this.clear();
		else if (this.#taken >= FEW && this.#taken * 2 >= this.#items.length) {
			this.#items.splice(0, this.#taken);
			this.#taken = 0;
		}
		return item;
	}

	clear(): void {
		this.#items.length = this.#taken = 0;
	}
}

/** A binary heap whose items know their places, so that any of them moves or leaves in logarithmic time. */

export interface HeapItem<T> {
	/** Kept by the heap; -1 for an item that is in none. */
	position: number;
	/** Whether it is to be on top rather than the other. */
	goesBefore(other: T): boolean;
}

export class IndexedHeap<T extends HeapItem<T>> {
	readonly #items: T[] = [];

	get size(): number {
		return this.#items.length;
	}

	get top(): T | undefined {
		return this.#items[0];
	}

	/** What is at a place; the two below it are at 2n + 1 and 2n + 2. */
	at(position: number): T | undefined {
		return this.#items[position];
	}

	/** Puts an item in, or where it belongs now. */
	put(item: T): void {
		if (item.position === -1) this.#place(item, this.#items.length);
		this.#sift(item);
	}

	/** Without effect on an item that is not in it. */
	remove(item: T): void {
		const { position } = item;
		if (position === -1) return;
		item.position = -1;
		const last = this.#items.pop();
		if (last === undefined || last === item) return;
		this.#place(last, position);
		this.#sift(last);
	}

	/**
	 * Those in the way move by one place each; the item is written where it ends up. One that has to go down mostly goes to the very
	 * bottom (a caller who has just had his turn), so the way there is found without asking it at each step, and it comes up again as
	 * far as it must.
	 */
	#sift(item: T): void {
		const at = this.#up(item, item.position, 0);
		if (at !== item.position || !this.#better(at)?.goesBefore(item)) {
			this.#place(item, at);
			return;
		}
		let bottom = at;
		for (let child = this.#better(at); child !== undefined; child = this.#better(bottom)) {
			const below = child.position;
			this.#place(child, bottom);
			bottom = below;
		}
		this.#place(item, this.#up(item, bottom, at));
	}

	/** Moves down those above a place that the item goes before, no further up than `end`. @returns the place that is free now */
	#up(item: T, from: number, end: number): number {
		let at = from;
		while (at > end) {
			const above = (at - 1) >> 1;
			const parent = this.#items[above];
			if (parent === undefined || !item.goesBefore(parent)) break;
			this.#place(parent, at);
			at = above;
		}
		return at;
	}

	/** The better one of the two below a place. */
	#better(position: number): T | undefined {
		const left = this.#items[2 * position + 1];
		const right = this.#items[2 * position + 2];
		return left !== undefined && right?.goesBefore(left) ? right : left;
	}

	#place(item: T, position: number): void {
		this.#items[position] = item;
		item.position = position;
	}
}

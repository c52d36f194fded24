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

	#sift(item: T): void {
		for (let parent = this.#parent(item); parent !== undefined && item.goesBefore(parent); ) {
			this.#swap(item, parent);
			parent = this.#parent(item);
		}
		for (let child = this.#child(item); child?.goesBefore(item); child = this.#child(item)) this.#swap(item, child);
	}

	#parent(item: T): T | undefined {
		return item.position === 0 ? undefined : this.#items[(item.position - 1) >> 1];
	}

	/** The better one of the two below. */
	#child(item: T): T | undefined {
		const left = this.#items[2 * item.position + 1];
		const right = this.#items[2 * item.position + 2];
		return left !== undefined && right?.goesBefore(left) ? right : left;
	}

	#swap(a: T, b: T): void {
		const { position } = a;
		this.#place(a, b.position);
		this.#place(b, position);
	}

	#place(item: T, position: number): void {
		this.#items[position] = item;
		item.position = position;
	}
}

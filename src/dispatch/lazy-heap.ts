/**
 * A binary heap by two numbers, the lowest on top, out of which anything may go at any time at no cost but a mark: it is passed over, and
 * sorted out when most have gone. To take one out of the middle would move others, and with many of them memory is what that costs.
 */

/** So many that have gone may lie among those that have not, before they are worth a search. */
const MOST_GONE = 32;

export class LazyHeap<T> {
	readonly #isIn: (item: T, heap: LazyHeap<T>) => boolean;
	readonly #items: T[] = [];
	readonly #keys: number[] = [];
	readonly #ties: number[] = [];
	#size = 0;

	/** @param isIn whether an item that was put in has not gone since; once it has, it does not come back */
	constructor(isIn: (item: T, heap: LazyHeap<T>) => boolean) {
		this.#isIn = isIn;
	}

	/** How many have not gone. */
	get size(): number {
		return this.#size;
	}

	get top(): T | undefined {
		let top = this.#items[0];
		while (top !== undefined && !this.#isIn(top, this)) {
			this.#dropTop();
			top = this.#items[0];
		}
		return top;
	}

	put(item: T, key: number, tie: number): void {
		this.#size++;
		this.#up(item, key, tie, this.#items.length);
	}

	/** One of them has just gone. */
	left(): void {
		this.#size--;
		if (this.#items.length > 2 * this.#size + MOST_GONE) this.#sortOut();
	}

	/** In any order. */
	*[Symbol.iterator](): Generator<T> {
		for (const item of this.#items) if (this.#isIn(item, this)) yield item;
	}

	/** Each that has gone has paid for one step of this. */
	#sortOut(): void {
		let kept = 0;
		for (let at = 0; at < this.#items.length; at++) {
			const item = this.#items[at] as T;
			if (this.#isIn(item, this)) this.#set(kept++, item, this.#keys[at] as number, this.#ties[at] as number);
		}
		this.#items.length = kept;
		this.#keys.length = kept;
		this.#ties.length = kept;
		for (let at = (kept >> 1) - 1; at >= 0; at--) {
			this.#down(this.#items[at] as T, this.#keys[at] as number, this.#ties[at] as number, at);
		}
	}

	#dropTop(): void {
		const item = this.#items.pop() as T;
		const key = this.#keys.pop() as number;
		const tie = this.#ties.pop() as number;
		if (this.#items.length > 0) this.#down(item, key, tie, 0);
	}

	#up(item: T, key: number, tie: number, from: number): void {
		let at = from;
		while (at > 0) {
			const above = (at - 1) >> 1;
			if (!this.#isAbove(key, tie, above)) break;
			this.#move(above, at);
			at = above;
		}
		this.#set(at, item, key, tie);
	}

	#down(item: T, key: number, tie: number, from: number): void {
		const { length } = this.#items;
		let at = from;
		for (let below = 2 * at + 1; below < length; below = 2 * at + 1) {
			const right = below + 1;
			if (right < length && this.#isAbove(this.#keys[right] as number, this.#ties[right] as number, below))
				below = right;
			if (this.#isAbove(key, tie, below)) break;
			this.#move(below, at);
			at = below;
		}
		this.#set(at, item, key, tie);
	}

	#isAbove(key: number, tie: number, at: number): boolean {
		const other = this.#keys[at] as number;
		return key === other ? tie < (this.#ties[at] as number) : key < other;
	}

	#move(from: number, to: number): void {
		this.#set(to, this.#items[from] as T, this.#keys[from] as number, this.#ties[from] as number);
	}

	#set(at: number, item: T, key: number, tie: number): void {
		this.#items[at] = item;
		this.#keys[at] = key;
		this.#ties[at] = tie;
	}
}

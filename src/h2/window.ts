/**
 * Receive windows that fit the link: how much a peer may send before we have read it (RFC 9113 section 5.2, 6.9).
 * A window grows when it is used up faster than the link can ask for more, never when its reader is slow, and out of a budget.
 */
import { MAX_WINDOW } from './protocol.ts';

/** Bytes by which windows may grow beyond where they started: one a connection, and one above them for the process. */
export class WindowBudget {
	readonly #limit: number;
	readonly #parent: WindowBudget | undefined;
	#used = 0;

	constructor(limit: number, parent?: WindowBudget) {
		this.#limit = limit;
		this.#parent = parent;
	}

	get used(): number {
		return this.#used;
	}

	/** Takes up to `bytes` and says how many it got. */
	take(bytes: number): number {
		let got = Math.max(0, Math.min(bytes, this.#limit - this.#used));
		if (this.#parent) got = this.#parent.take(got);
		this.#used += got;
		return got;
	}

	giveBack(bytes: number): void {
		this.#used -= bytes;
		this.#parent?.giveBack(bytes);
	}
}

/** Growth stops at this many round trips' worth of what arrives. */
const ROUND_TRIPS = 2;

export class ReceiveWindow {
	/** What the peer may have in flight and unread when all credit is out. */
	size: number;
	/** What the peer may still send; below 0 after our initial window went down (RFC 9113 section 6.9.2). */
	available: number;
	/** Read, and not yet given back. */
	#returned = 0;
	#grown = 0;
	#since = 0;

	constructor(size: number, available = size) {
		this.size = size;
		this.available = available;
	}

	/** Accounts for bytes that arrived; false if the peer sent more than it may. */
	receive(bytes: number): boolean {
		this.available -= bytes;
		return this.available >= 0;
	}

	/** Bytes were read: true when enough came together that credit should go out. */
	read(bytes: number): boolean {
		this.#returned += bytes;
		return this.#returned * 2 >= this.size;
	}

	/**
	 * The increment for WINDOW_UPDATE, growth included; 0 if there is none.
	 * @param floor a size to grow to at once: a window may start small for messages that stay small
	 * @param now milliseconds
	 * @param rtt the link's round trip in milliseconds; 0 if it is not known yet
	 */
	credit(now: number, rtt: number, floor: number, max: number, budget: WindowBudget): number {
		const quick = rtt > 0 && this.#since > 0 && now - this.#since < ROUND_TRIPS * rtt;
		this.#since = now;
		let increment = this.#returned;
		this.#returned = 0;
		const target = quick ? Math.min(max, Math.max(floor, 2 * this.size)) : floor;
		if (this.size < target) {
			const growth = budget.take(target - this.size);
			this.#grown += growth;
			this.size += growth;
			increment += growth;
		}
		return this.#grant(increment);
	}

	/** Raises the size at once, outside any budget; the increment to send. */
	raise(size: number): number {
		if (size <= this.size) return 0;
		const increment = size - this.size + this.#returned;
		this.#returned = 0;
		this.size = size;
		return this.#grant(increment);
	}

	/** The peer took note of another SETTINGS_INITIAL_WINDOW_SIZE of ours. */
	shift(delta: number): void {
		this.size = Math.max(1, this.size + delta);
		this.available += delta;
	}

	/** Gives growth back when the window's stream is over. */
	close(budget: WindowBudget): void {
		if (this.#grown > 0) budget.giveBack(this.#grown);
		this.#grown = 0;
	}

	#grant(increment: number): number {
		const granted = Math.min(increment, MAX_WINDOW - this.available);
		this.available += granted;
		return granted;
	}
}

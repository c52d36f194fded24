/**
 * Receive windows that fit the link: how much a peer may send before we have read it (RFC 9113 section 5.2, 6.9).
 * A window grows when it is used up faster than the link can ask for more, never when its reader is slow, and out of a budget.
 */
import { MAX_WINDOW } from './protocol.ts';

/** What a stream's window opens to once its reader has shown that it reads, and what all of them do together, in bytes. */
const STREAM_WINDOW = 1024 * 1024;
const ALL_STREAM_WINDOWS = 32 * 1024 * 1024;

/** The first of these, less among many streams. */
export function openingWindow(streams: number): number {
	return Math.min(STREAM_WINDOW, Math.floor(ALL_STREAM_WINDOWS / streams));
}

/** Bytes in a millisecond that a link is expected to carry, before any were measured. */
const EXPECTED_RATE = 640 * 1024;

/**
 * What a connection's window opens to: what all of its streams may have on their way.
 * @param rtt milliseconds
 */
export function openingConnectionWindow(rtt: number): number {
	return EXPECTED_RATE * rtt;
}

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

	/**
	 * Takes up to `bytes` and says how many it got.
	 * @param share of the budget that may be in use then
	 */
	take(bytes: number, share = 1): number {
		let got = Math.max(0, Math.min(bytes, this.#limit * share - this.#used));
		if (this.#parent) got = this.#parent.take(got, share);
		this.#used += got;
		return got;
	}

	giveBack(bytes: number): void {
		this.#used -= bytes;
		this.#parent?.giveBack(bytes);
	}
}

/** Credit goes out when half of a window was read, or this much: what is held back would be missing on a long link. */
const MOST_HELD_BACK = 1024 * 1024;
/** A window is made as large as what comes in so many round trips: the rate is measured over half a window, and may rise. */
const ROUND_TRIPS = 2;
/** So many for a small window that was read in a small part of one: the link is only just being filled. */
const ROUND_TRIPS_AT_FIRST = 8;
/** A burst is no long measurement: so many times its size is what a window becomes at once. */
const MOST_GROWTH = 256;
/** Milliseconds: what came in one read came in no time, which is no rate. */
const SHORTEST_MS = 0.25;
/** Buffers on the way take this much for a reader that has stalled long ago: what it has read until then proves nothing. */
const PROVEN_BYTES = 16 * 1024 * 1024;
/** How much of the budget may be in use by growth; the rest is for windows that are not at their floor yet. */
const SHARE = 3 / 4;
const UNPROVEN_SHARE = 1 / 2;

export class ReceiveWindow {
	/** What the peer may have in flight and unread when all credit is out. */
	size: number;
	/** What the peer may still send; below 0 after our initial window went down (RFC 9113 section 6.9.2). */
	available: number;
	/** Read, and not yet given back. */
	#returned = 0;
	#grown = 0;
	/** When the bytes began to arrive over which the rate is measured; 0 while there are none. */
	#since = 0;
	/** Read since then. */
	#measured = 0;
	/** Read in all. */
	#read = 0;

	constructor(size: number, available = size) {
		this.size = size;
		this.available = available;
	}

	/** Whether begin() is due. */
	get idle(): boolean {
		return this.#since === 0;
	}

	/** Bytes arrived; from now on the rate is measured at which they are read. `now` in milliseconds. */
	begin(now: number): void {
		this.#since = now;
	}

	/** Accounts for bytes that arrived; false if the peer sent more than it may. */
	receive(bytes: number): boolean {
		this.available -= bytes;
		return this.available >= 0;
	}

	/** Bytes were read: true when enough came together that credit should go out. */
	read(bytes: number): boolean {
		this.#returned += bytes;
		this.#measured += bytes;
		this.#read += bytes;
		return this.due;
	}

	/** Enough was read that credit should go out. */
	get due(): boolean {
		return this.#returned >= Math.min(this.size / 2, MOST_HELD_BACK);
	}

	/**
	 * The increment for WINDOW_UPDATE, growth included; 0 if there is none.
	 * @param floor a size to grow to at once: a window may start small for messages that stay small
	 * @param now milliseconds
	 * @param rtt the link's round trip in milliseconds; 0 if it is not known yet
	 * @param budget where growth comes from; null if it costs nothing
	 */
	credit(now: number, rtt: number, floor: number, max: number, budget: WindowBudget | null): number {
		const fitting = this.#fitting(now, rtt);
		const increment = this.#returned;
		this.#returned = 0;
		const growth =
			this.#grow(Math.min(max, floor), 1, budget) +
			this.#grow(Math.min(max, fitting), this.#read < PROVEN_BYTES ? UNPROVEN_SHARE : SHARE, budget);
		return this.#grant(increment + growth);
	}

	#grow(target: number, share: number, budget: WindowBudget | null): number {
		const wanted = Math.floor(target) - this.size;
		if (wanted <= 0) return 0;
		const growth = budget ? budget.take(wanted, share) : wanted;
		if (budget) this.#grown += growth;
		this.size += growth;
		return growth;
	}

	/** The size that fits what was measured, 0 if that was not enough. */
	#fitting(now: number, rtt: number): number {
		if (this.#since === 0 || this.#measured * 2 < this.size) return 0;
		const took = Math.max(now - this.#since, SHORTEST_MS);
		const rate = this.#measured / took;
		const isFirst = this.size < STREAM_WINDOW && took * ROUND_TRIPS_AT_FIRST <= rtt;
		const roundTrips = isFirst ? ROUND_TRIPS_AT_FIRST : ROUND_TRIPS;
		this.#since = this.#measured = 0;
		return Math.min(roundTrips * rtt * rate, MOST_GROWTH * this.size);
	}

	/** Raises the size at once, outside any budget; the increment to send. */
	raise(size: number): number {
		if (size <= this.size) return 0;
		const increment = size - this.size + this.#returned;
		this.#returned = 0;
		this.size = size;
		return this.#grant(increment);
	}

	/**
	 * The peer took note of another SETTINGS_INITIAL_WINDOW_SIZE of ours. What was little in a large window may be due in a small
	 * one, and nothing further arrives that would bring it out.
	 */
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

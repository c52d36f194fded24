/**
 * How much of large bodies may be under way to the peer while small ones pass: what the link holds and half again, and not all that
 * windows and the kernels of both sides have room for, or a token waits behind it. PINGs behind the bytes tell how far they have come, and how
 * long that takes. Knows neither sockets nor streams' states.
 */
import { TURN_BYTES } from './scheduler.ts';

/** Bytes that may be under way on any link. */
const LEAST = 4 * TURN_BYTES;
/** As many times what the link holds may be under way, because its rate may rise. */
const ROUND_TRIPS = 1.5;
/** Milliseconds for which a large body and a small one are thought to pass beside each other. */
const REMEMBERED = 1000;
/** Milliseconds until the round trip is measured again with as little as may be under way: what is seen else may have waited. */
const FRESH = 10_000;
/** Measurements of the rate, of which the largest counts: in others the peer or its link did something else. */
const RATES = 16;
/** PINGs for a limit's worth of bytes, and milliseconds between two of them: a peer has a limit of its own (OVERHEAD_BUDGET). */
const MARKS = 4;
const BETWEEN_MARKS = 0.1;

/** A PING under way. */
interface Mark {
	readonly ping: number;
	/** All bytes handed over before it, and those of them that the peer was known to have then. */
	readonly handed: number;
	readonly reached: number;
}

export class InFlight {
	/** Bytes of bodies handed over, and how many of them the peer is known to have. */
	#handed = 0;
	#reached = 0;
	/** `#handed` at the last PING, and when that was. */
	#marked = 0;
	#markedAt = 0;
	/** Oldest first. */
	readonly #marks: Mark[] = [];
	/** The stream that last had much to send, and when; and when another had little to send. */
	#large = 0;
	#largeAt = Number.NEGATIVE_INFINITY;
	#smallAt = Number.NEGATIVE_INFINITY;
	/** Milliseconds, and when it was measured. */
	#roundTrip = Number.POSITIVE_INFINITY;
	#measuredAt = Number.NEGATIVE_INFINITY;
	/** Bytes a millisecond. */
	readonly #rates = new Float64Array(RATES);
	#nextRate = 0;
	/** Bytes that may be under way. */
	#limit = LEAST;

	/** A stream has much to send. `now` in milliseconds of a clock that never goes back. */
	large(id: number, now: number): void {
		if (!this.#holds(now)) this.#forget();
		this.#large = id;
		this.#largeAt = now;
	}

	/** A stream has little to send; the end of much is none. */
	small(id: number, now: number): void {
		if (id === this.#large) return;
		if (!this.#holds(now)) this.#forget();
		this.#smallAt = now;
	}

	sent(bytes: number): void {
		this.#handed += bytes;
	}

	/** Whether more of large bodies may leave. */
	hasRoom(now: number): boolean {
		if (!this.#holds(now)) return true;
		if (now - this.#measuredAt > FRESH) this.#limit = LEAST;
		if (this.#handed - this.#reached < this.#limit) return true;
		this.#largeAt = now;
		return false;
	}

	/** Whether a PING is due behind what was handed over: the caller sends one, and says so. */
	isDue(now: number): boolean {
		if (this.#handed - this.#marked < Math.max(TURN_BYTES, this.#limit / MARKS) || !this.#holds(now)) return false;
		// Only behind one that is under way: who waits for an answer must have asked.
		return now - this.#markedAt >= BETWEEN_MARKS || this.#marks.length === 0;
	}

	/** PING number `ping` was sent behind what was handed over. */
	mark(ping: number, now: number): void {
		this.#marked = this.#handed;
		this.#markedAt = now;
		this.#marks.push({ ping, handed: this.#handed, reached: this.#reached });
	}

	/** PING number `ping` was answered, which took so many milliseconds; those before it never will be. */
	answered(ping: number, took: number, now: number): void {
		const place = this.#marks.findIndex((mark) => mark.ping === ping);
		const mark = this.#marks[place];
		if (mark === undefined) return;
		this.#marks.splice(0, place + 1);
		const underWay = mark.handed - mark.reached;
		if (took < this.#roundTrip || underWay < LEAST + TURN_BYTES) {
			this.#roundTrip = took;
			this.#measuredAt = now;
		}
		this.#rates[this.#nextRate] = underWay / took;
		this.#nextRate = (this.#nextRate + 1) % RATES;
		this.#limit = Math.max(LEAST, ROUND_TRIPS * Math.max(...this.#rates) * this.#roundTrip);
		if (mark.handed > this.#reached) this.#reached = mark.handed;
	}

	#holds(now: number): boolean {
		return now - this.#smallAt <= REMEMBERED && now - this.#largeAt <= REMEMBERED;
	}

	/** How much of what left before is under way is not known; it has come through when the first PING has. */
	#forget(): void {
		this.#reached = this.#marked = this.#handed;
	}
}

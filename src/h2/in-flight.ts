/**
 * How much of large bodies may be under way to the peer while small ones pass. PINGs behind the bytes tell how far they have come, and how
 * long that takes. As long as they come about as fast as a PING alone, there is no bound; once they queue up on their way, it is what the
 * link holds and half again, and not all that windows and the kernels of both sides have room for, or a token waits behind it. Knows
 * neither sockets nor streams' states.
 */
import { TURN_BYTES } from './scheduler.ts';

/** Bytes that may be under way on any link. */
const LEAST = 4 * TURN_BYTES;
/** From here on there is no bound. */
const MOST = 64 * 1024 * 1024;
/** As many times what the link holds may be under way, because its rate may rise. */
const ROUND_TRIPS = 1.5;
/** Bytes queue up where they take as many times as long as a PING alone, and so many milliseconds. */
const QUEUED_ROUND_TRIPS = 2;
const QUEUED_MS = 20;
/** What is under way may grow by with each answer, while nothing queues up. */
const GROWTH = 1.25;
/** Milliseconds for which a large body and a small one are thought to pass beside each other. */
const REMEMBERED = 1000;
/** Milliseconds until the round trip is measured again, with as little under way as a turn: what is seen else may have waited. */
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
	/** Nothing was under way that left before small bodies and large ones passed. */
	readonly alone: boolean;
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
	/** What left before the first mark has come through with it. */
	#alone = false;
	readonly #shortest: () => number;
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
	/** Bytes that may be under way, but for when the round trip is measured. */
	#limit = Number.POSITIVE_INFINITY;

	/** @param shortest the shortest round trip of a PING so far, in milliseconds; 0 before the first */
	constructor(shortest: () => number) {
		this.#shortest = shortest;
	}

	/** A stream has much to send. `now` in milliseconds of a clock that never goes back. */
	large(id: number, now: number): void {
		if (!this.#holds(now)) this.#forget(now);
		this.#large = id;
		this.#largeAt = now;
	}

	/** A stream has little to send; the end of much is none. */
	small(id: number, now: number): void {
		if (id === this.#large) return;
		if (!this.#holds(now)) this.#forget(now);
		this.#smallAt = now;
	}

	sent(bytes: number): void {
		this.#handed += bytes;
	}

	/** Whether more of large bodies may leave. */
	hasRoom(now: number): boolean {
		if (!this.#holds(now)) return true;
		if (this.#handed - this.#reached < this.#bound(now)) return true;
		this.#largeAt = now;
		return false;
	}

	/** Whether a PING is due behind what was handed over: the caller sends one, and says so. */
	isDue(now: number): boolean {
		const behind = Math.max(TURN_BYTES, Math.min(this.#bound(now) / MARKS, LEAST));
		if (this.#handed - this.#marked < behind || !this.#holds(now)) return false;
		// Only behind one that is under way: who waits for an answer must have asked.
		return now - this.#markedAt >= BETWEEN_MARKS || this.#marks.length === 0;
	}

	/** PING number `ping` was sent behind what was handed over. */
	mark(ping: number, now: number): void {
		this.#marked = this.#handed;
		this.#markedAt = now;
		this.#marks.push({ ping, handed: this.#handed, reached: this.#reached, alone: this.#alone });
	}

	/** PING number `ping` was answered, which took so many milliseconds; those before it never will be. */
	answered(ping: number, took: number, now: number): void {
		const place = this.#marks.findIndex((mark) => mark.ping === ping);
		const mark = this.#marks[place];
		if (mark === undefined) return;
		this.#marks.splice(0, place + 1);
		const underWay = mark.handed - mark.reached;
		this.#alone = true;
		if (took < this.#roundTrip || (mark.alone && underWay <= 2 * TURN_BYTES)) {
			this.#roundTrip = took;
			this.#measuredAt = now;
		}
		this.#rates[this.#nextRate] = underWay / took;
		this.#nextRate = (this.#nextRate + 1) % RATES;
		if (took > QUEUED_ROUND_TRIPS * this.#roundTrip + QUEUED_MS) {
			this.#limit = Math.max(LEAST, ROUND_TRIPS * Math.max(...this.#rates) * this.#roundTrip);
		} else if (this.#limit < MOST) {
			this.#limit *= GROWTH;
		}
		if (mark.handed > this.#reached) this.#reached = mark.handed;
	}

	/** Bytes that may be under way at this moment. */
	#bound(now: number): number {
		return this.#limit < MOST && now - this.#measuredAt > FRESH ? TURN_BYTES : this.#limit;
	}

	#holds(now: number): boolean {
		return now - this.#smallAt <= REMEMBERED && now - this.#largeAt <= REMEMBERED;
	}

	/** How much of what left before is under way is not known; it has come through when the first PING has. */
	#forget(now: number): void {
		this.#reached = this.#marked = this.#handed;
		this.#marks.length = 0;
		this.#alone = false;
		if (this.#roundTrip < Number.POSITIVE_INFINITY) return;
		this.#roundTrip = this.#shortest() || Number.POSITIVE_INFINITY;
		this.#measuredAt = now;
	}
}

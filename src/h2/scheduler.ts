/**
 * Turns between the streams that have something to send. Those with little go ahead of those in the middle of much, so that a token
 * does not wait for other streams' downloads; among equals it is round and round. Knows no bytes but their number.
 */
import { Fifo } from './fifo.ts';
import type { Stream } from './stream.ts';

/** A stream's turn while others wait. Smaller ones cost more and help nobody: what is handed to the socket is bounded anyway. */
export const TURN_BYTES = 64 * 1024;
/** A stream with no more than this to send goes ahead. */
export const LITTLE_BYTES = 16 * 1024;
/** So much may go ahead until a stream with more gets its turn all the same. */
const AHEAD_BYTES = 64 * 1024;

export class Scheduler {
	/** Without bytes: they only end. */
	readonly #ending = new Fifo<Stream>();
	readonly #little = new Fifo<Stream>();
	readonly #much = new Fifo<Stream>();
	/** Bytes that went ahead since the last turn of a stream with more. */
	#ahead = 0;

	get size(): number {
		return this.#ending.length + this.#little.length + this.#much.length;
	}

	/** Puts a stream at the end of its line, once. */
	add(stream: Stream): void {
		if (stream.scheduled) return;
		stream.scheduled = true;
		const bytes = stream.queued;
		if (bytes === 0) this.#ending.push(stream);
		else if (bytes <= LITTLE_BYTES) this.#little.push(stream);
		else this.#much.push(stream);
	}

	/** A stream that needs no window to end; it is out of its line. */
	nextEnding(): Stream | undefined {
		return taken(this.#ending.shift());
	}

	/** The stream with little to send whose turn it is, if there is one. */
	nextLittle(): Stream | undefined {
		return taken(this.#little.shift());
	}

	/** The stream whose turn it is to send bytes; it is out of its line until added again. */
	next(): Stream | undefined {
		if (this.#little.length > 0 && (this.#much.length === 0 || this.#ahead < AHEAD_BYTES)) {
			const stream = taken(this.#little.shift());
			if (stream !== undefined) this.#ahead += stream.queued;
			return stream;
		}
		this.#ahead = 0;
		return taken(this.#much.shift());
	}

	clear(): void {
		for (const line of [this.#ending, this.#little, this.#much]) {
			while (taken(line.shift()) !== undefined);
		}
	}
}

function taken(stream: Stream | undefined): Stream | undefined {
	if (stream !== undefined) stream.scheduled = false;
	return stream;
}

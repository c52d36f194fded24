/**
 * Bodies of any length that show at once what was lost, doubled or moved, and are never in memory as a whole: a block of prime
 * length over and over. Byte i of the block is (7i + 13⌊i/256⌋) mod 256; the peers' own programs make the same.
 */
import type { FieldList } from '../../src/h2/protocol.ts';
import type { Stream, StreamFailure, StreamHandler } from '../../src/h2/stream.ts';

const PERIOD = 65_521;
const CHUNK = 32 * 1024;
export const GiB = 1024 * 1024 * 1024;

const block = Buffer.alloc(PERIOD);
for (let i = 0; i < PERIOD; i++) block[i] = 7 * i + 13 * (i >> 8);
const twice = Buffer.concat([block, block]);

/** The bytes from `at` on, at most one period of them. */
function patternAt(at: number, bytes: number): Buffer {
	const start = at % PERIOD;
	return twice.subarray(start, start + Math.min(PERIOD, bytes));
}

/** For short bodies. */
export function pattern(bytes: number): Buffer {
	const whole = Buffer.allocUnsafe(bytes);
	for (let at = 0; at < bytes; at += PERIOD) patternAt(at, bytes - at).copy(whole, at);
	return whole;
}

export class PatternSource {
	#at = 0;
	readonly #bytes: number;

	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	/** The next piece, null after the last. */
	next(): Buffer | null {
		const left = this.#bytes - this.#at;
		if (left === 0) return null;
		const piece = patternAt(this.#at, Math.min(CHUNK, left));
		this.#at += piece.length;
		return piece;
	}
}

export class PatternCheck {
	bytes = 0;
	/** Every byte was the one that belongs there. */
	intact = true;

	add(chunk: Buffer): void {
		for (let at = 0; at < chunk.length; ) {
			const expected = patternAt(this.bytes, chunk.length - at);
			if (expected.compare(chunk, at, at + expected.length) !== 0) this.intact = false;
			this.bytes += expected.length;
			at += expected.length;
		}
	}
}

/** Either end of an exchange of pattern bodies, both ways at once. */
export class PatternExchange implements StreamHandler {
	readonly check = new PatternCheck();
	readonly #source: PatternSource;
	/** A server ends after its client has, to say in its trailers what came. */
	readonly #waits: boolean;
	fields: FieldList = [];
	trailerFields: FieldList = [];
	failure: StreamFailure | null = null;
	/** After the last call. */
	readonly over: Promise<void>;
	#resolveOver: () => void = () => {};
	#sent = false;
	#received = false;

	constructor(bytes: number, waits: boolean) {
		this.#source = new PatternSource(bytes);
		this.#waits = waits;
		this.over = new Promise((resolve) => {
			this.#resolveOver = resolve;
		});
	}

	drain(stream: Stream): void {
		while (!this.#sent) {
			const piece = this.#source.next();
			if (piece === null) {
				this.#sent = true;
				this.#endIfDone(stream);
			} else if (!stream.write(piece)) return;
		}
	}

	headers(_stream: Stream, fields: FieldList): void {
		this.fields = fields;
	}

	data(stream: Stream, chunk: Buffer): void {
		this.check.add(chunk);
		stream.consume(chunk.length);
	}

	trailers(_stream: Stream, fields: FieldList): void {
		this.trailerFields = fields;
	}

	end(stream: Stream): void {
		this.#received = true;
		if (this.#waits) this.#endIfDone(stream);
	}

	failed(_stream: Stream, failure: StreamFailure): void {
		this.failure = failure;
	}

	closed(): void {
		this.#resolveOver();
	}

	#endIfDone(stream: Stream): void {
		if (!this.#sent) return;
		if (!this.#waits) stream.end();
		else if (this.#received) stream.end(['x-received', `${this.check.bytes}`, 'x-intact', `${this.check.intact}`]);
	}
}

/** Two ends of a connection in memory that count writes, pass bytes on by reference and late, and can be made not to drain. */
import { Duplex } from 'node:stream';

export class PairEnd extends Duplex {
	/** What each write to the socket held: one entry a write or writev. */
	readonly writes: Buffer[][] = [];
	/** The largest chunk that the other end is given at once. */
	chunkSize = Number.POSITIVE_INFINITY;
	other: PairEnd | null = null;
	#held: Array<() => void> | null = null;

	/** From now on nothing leaves until release(). */
	hold(): void {
		this.#held ??= [];
	}

	release(): void {
		const held = this.#held ?? [];
		this.#held = null;
		for (const pass of held) pass();
	}

	override _read(): void {}

	override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
		this.#pass([chunk], callback);
	}

	override _writev(chunks: Array<{ chunk: Buffer }>, callback: (error?: Error | null) => void): void {
		this.#pass(
			chunks.map(({ chunk }) => chunk),
			callback,
		);
	}

	override _final(callback: (error?: Error | null) => void): void {
		setImmediate(() => {
			this.other?.push(null);
			callback();
		});
	}

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		setImmediate(() => {
			const { other } = this;
			if (other && !other.destroyed && !other.readableEnded) other.push(null);
		});
		callback(error);
	}

	#pass(chunks: Buffer[], callback: (error?: Error | null) => void): void {
		this.writes.push(chunks);
		const pass = () =>
			setImmediate(() => {
				for (const chunk of chunks) this.#deliver(chunk);
				callback();
			});
		if (this.#held) this.#held.push(pass);
		else pass();
	}

	#deliver(chunk: Buffer): void {
		const { other } = this;
		if (!other || other.destroyed || other.readableEnded) return;
		for (let at = 0; at < chunk.length; at += this.chunkSize) {
			other.push(chunk.subarray(at, Math.min(chunk.length, at + this.chunkSize)));
		}
	}
}

export function duplexPair(): [PairEnd, PairEnd] {
	const near = new PairEnd({ highWaterMark: 1 << 30 });
	const far = new PairEnd({ highWaterMark: 1 << 30 });
	near.other = far;
	far.other = near;
	return [near, far];
}

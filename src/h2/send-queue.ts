/** The body bytes that one stream has yet to send: chunks by reference, cut into frames from the front. */
import type { FrameWriter } from './frame-writer.ts';

const NOTHING = Buffer.alloc(0);

export class SendQueue {
	readonly #chunks: Buffer[] = [];
	/** The first chunk that is not sent, and how much of it is. */
	#first = 0;
	#offset = 0;
	bytes = 0;

	push(chunk: Buffer): void {
		if (chunk.length === 0) return;
		this.#chunks.push(chunk);
		this.bytes += chunk.length;
	}

	/** Moves exactly `count` bytes into the frame being written. */
	moveTo(writer: FrameWriter, count: number): void {
		this.bytes -= count;
		let left = count;
		while (left > 0) {
			const chunk = this.#chunks[this.#first] as Buffer;
			const end = Math.min(chunk.length, this.#offset + left);
			writer.payload(chunk, this.#offset, end);
			left -= end - this.#offset;
			this.#offset = end;
			if (end === chunk.length) this.#drop();
		}
	}

	clear(): void {
		this.#chunks.length = 0;
		this.#first = this.#offset = this.bytes = 0;
	}

	/** A place stays behind its chunk until it is cheap to close up, but nothing of what has left is held for so long. */
	#drop(): void {
		this.#chunks[this.#first] = NOTHING;
		this.#offset = 0;
		this.#first++;
		if (this.#first === this.#chunks.length) {
			this.#chunks.length = this.#first = 0;
		} else if (this.#first >= 64) {
			this.#chunks.splice(0, this.#first);
			this.#first = 0;
		}
	}
}

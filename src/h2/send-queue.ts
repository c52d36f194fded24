/** The body bytes that one stream has yet to send: chunks by reference, cut into frames from the front. */
import { Fifo } from './fifo.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Of all streams of a connection together. */
export interface QueuedTotal {
	bytes: number;
}

export class SendQueue {
	readonly total: QueuedTotal;
	readonly #chunks = new Fifo<Buffer>();
	/** How much of the first one is sent. */
	#offset = 0;
	bytes = 0;

	constructor(total: QueuedTotal) {
		this.total = total;
	}

	push(chunk: Buffer): void {
		if (chunk.length === 0) return;
		this.#chunks.push(chunk);
		this.bytes += chunk.length;
		this.total.bytes += chunk.length;
	}

	/** Moves exactly `count` bytes into the frame being written. */
	moveTo(writer: FrameWriter, count: number): void {
		this.bytes -= count;
		this.total.bytes -= count;
		let left = count;
		while (left > 0) {
			const chunk = this.#chunks.first as Buffer;
			const end = Math.min(chunk.length, this.#offset + left);
			writer.payload(chunk, this.#offset, end);
			left -= end - this.#offset;
			this.#offset = end;
			if (end < chunk.length) return;
			this.#chunks.shift();
			this.#offset = 0;
		}
	}

	clear(): void {
		this.#chunks.clear();
		this.total.bytes -= this.bytes;
		this.#offset = this.bytes = 0;
	}
}

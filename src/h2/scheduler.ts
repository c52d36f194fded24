/** Turns between the streams that have something to send: round and round, a frame at a time. Knows no bytes. */
import type { Stream } from './stream.ts';

export class Scheduler {
	#ready: Stream[] = [];
	#first = 0;

	get size(): number {
		return this.#ready.length - this.#first;
	}

	/** Puts a stream at the end of the round, once. */
	add(stream: Stream): void {
		if (stream.scheduled) return;
		stream.scheduled = true;
		this.#ready.push(stream);
	}

	/** The stream whose turn it is; it is out of the round until added again. */
	next(): Stream | undefined {
		const stream = this.#ready[this.#first];
		if (stream === undefined) return undefined;
		this.#first++;
		stream.scheduled = false;
		if (this.#first === this.#ready.length) this.#ready.length = this.#first = 0;
		else if (this.#first >= 256) {
			this.#ready.splice(0, this.#first);
			this.#first = 0;
		}
		return stream;
	}

	clear(): void {
		for (const stream of this.#ready) stream.scheduled = false;
		this.#ready = [];
		this.#first = 0;
	}
}

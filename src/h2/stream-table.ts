/**
 * The streams of a connection by number: which are open, which never were, which we reset (RFC 9113 section 5.1.1).
 * A hash table that links the streams themselves. A Map of V8 under constant change is made anew every few dozen entries, and the
 * tables it leaves behind, once one of them is old, keep every later one and all that was in it from dying young.
 */
import { MAX_STREAM_ID } from './protocol.ts';
import type { Stream } from './stream.ts';
import { StreamState } from './stream-state.ts';

/** Streams that we reset are remembered so long as not so many others were. */
const RESETS_REMEMBERED = 1024;
const FIRST_CHAINS = 64;

export class StreamTable {
	/** The highest number that the peer used for a stream of its own; 0 before the first. */
	lastOfPeer = 0;
	/** The number in a GOAWAY that we sent: streams of the peer above it are passed over. */
	refusedAbove = Number.POSITIVE_INFINITY;
	#size = 0;
	/** A power of two of chains; a stream's is found by its number. */
	#chains: Array<Stream | null> = new Array<Stream | null>(FIRST_CHAINS).fill(null);
	/** Streams that we reset and that the peer may still be sending on. */
	readonly #resetByUs = new Set<number>();
	readonly #ourParity: number;
	#next: number;

	constructor(role: 'client' | 'server') {
		this.#ourParity = role === 'client' ? 1 : 0;
		this.#next = role === 'client' ? 1 : 2;
	}

	/** Open or half-closed. */
	get size(): number {
		return this.#size;
	}

	/** The number for the next stream of ours; used up by advance(). */
	get next(): number {
		return this.#next;
	}

	get exhausted(): boolean {
		return this.#next > MAX_STREAM_ID;
	}

	advance(): void {
		this.#next += 2;
	}

	get(id: number): Stream | undefined {
		let stream = this.#chains[this.#chainOf(id)];
		while (stream && stream.id !== id) stream = stream.nextInChain;
		return stream ?? undefined;
	}

	add(stream: Stream): void {
		if (this.#size === this.#chains.length) this.#grow();
		this.#link(stream);
		this.#size++;
	}

	/** Without effect on one that is not here. */
	remove(stream: Stream): void {
		const chain = this.#chainOf(stream.id);
		let before: Stream | null = null;
		let at = this.#chains[chain] ?? null;
		while (at !== null && at !== stream) {
			before = at;
			at = at.nextInChain;
		}
		if (at === null) return;
		if (before === null) this.#chains[chain] = stream.nextInChain;
		else before.nextInChain = stream.nextInChain;
		stream.nextInChain = null;
		this.#size--;
	}

	/** As they are now, in no order; what happens to the table meanwhile changes nothing in it. */
	all(): Stream[] {
		const all: Stream[] = [];
		for (const first of this.#chains) {
			for (let stream = first; stream; stream = stream.nextInChain) all.push(stream);
		}
		return all;
	}

	#chainOf(id: number): number {
		return (id >>> 1) & (this.#chains.length - 1);
	}

	#link(stream: Stream): void {
		const chain = this.#chainOf(stream.id);
		stream.nextInChain = this.#chains[chain] ?? null;
		this.#chains[chain] = stream;
	}

	#grow(): void {
		const all = this.all();
		this.#chains = new Array<Stream | null>(2 * this.#chains.length).fill(null);
		for (const stream of all) this.#link(stream);
	}

	/** Never opened by either side. */
	isIdle(id: number): boolean {
		return (id & 1) === this.#ourParity ? id >= this.#next : id > this.lastOfPeer;
	}

	rememberReset(id: number): void {
		this.#resetByUs.add(id);
		if (this.#resetByUs.size <= RESETS_REMEMBERED) return;
		for (const oldest of this.#resetByUs) {
			this.#resetByUs.delete(oldest);
			return;
		}
	}

	/** The state of a stream that is over. */
	stateOfClosed(id: number): StreamState {
		return this.#resetByUs.has(id) ? StreamState.RESET_BY_US : StreamState.CLOSED;
	}
}

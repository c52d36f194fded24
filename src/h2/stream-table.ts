/** The streams of a connection by number: which are open, which never were, which we reset (RFC 9113 section 5.1.1). */
import { MAX_STREAM_ID } from './protocol.ts';
import type { Stream } from './stream.ts';
import { StreamState } from './stream-state.ts';

/** Streams that we reset are remembered so long as not so many others were. */
const RESETS_REMEMBERED = 1024;

export class StreamTable {
	/** The highest number that the peer used for a stream of its own; 0 before the first. */
	lastOfPeer = 0;
	/** The number in a GOAWAY that we sent: streams of the peer above it are passed over. */
	refusedAbove = Number.POSITIVE_INFINITY;
	readonly #open = new Map<number, Stream>();
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
		return this.#open.size;
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
		return this.#open.get(id);
	}

	add(stream: Stream): void {
		this.#open.set(stream.id, stream);
	}

	remove(stream: Stream): void {
		this.#open.delete(stream.id);
	}

	values(): IterableIterator<Stream> {
		return this.#open.values();
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

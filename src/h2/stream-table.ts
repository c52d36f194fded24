/** The streams of a connection by number: which are open, which never were, which we reset (RFC 9113 section 5.1.1). */
import { MAX_STREAM_ID } from './protocol.ts';
import type { Stream } from './stream.ts';
import { StreamState } from './stream-state.ts';

/** Streams that we reset are remembered so long as not so many others were. */
const RESETS_REMEMBERED = 1024;
/** So are the gaps that a peer left between its numbers; who counts on leaves none. */
const GAPS_REMEMBERED = 64;

/** Numbers above `after` and below `before`. */
interface Gap {
	readonly after: number;
	readonly before: number;
}

export class StreamTable {
	/** The highest number that the peer used for a stream of its own; 0 before the first. */
	lastOfPeer = 0;
	/** The number in a GOAWAY that we sent: streams of the peer above it are passed over. */
	refusedAbove = Number.POSITIVE_INFINITY;
	readonly #open = new Map<number, Stream>();
	/** Streams that we reset and that the peer may still be sending on. */
	readonly #resetByUs = new Set<number>();
	/** Oldest, and so lowest, first. */
	readonly #gaps: Gap[] = [];
	/** The highest number of which a reset of ours or a gap is no longer remembered. */
	#forgotten = 0;
	readonly #role: 'client' | 'server';
	#next: number;

	constructor(role: 'client' | 'server') {
		this.#role = role;
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

	/** The peer opens a stream; those of its numbers below that it never used are closed with that. */
	advancePeer(id: number): void {
		const gap = { after: this.lastOfPeer, before: id };
		this.lastOfPeer = id;
		// Its numbers go up in twos, from 1.
		if (gap.before - gap.after <= 2) return;
		this.#gaps.push(gap);
		if (this.#gaps.length > GAPS_REMEMBERED) this.#forget(this.#gaps.shift()?.before ?? 0);
	}

	/** From now on frames on the stream are passed over. */
	passOver(id: number): void {
		this.#resetByUs.add(id);
		if (this.#resetByUs.size <= RESETS_REMEMBERED) return;
		for (const oldest of this.#resetByUs) {
			this.#resetByUs.delete(oldest);
			this.#forget(oldest);
			return;
		}
	}

	/** The state of a stream that is not among the open ones. */
	stateOf(id: number): StreamState {
		const ours = (id & 1) === (this.#role === 'client' ? 1 : 0);
		if (ours ? id >= this.#next : id > this.lastOfPeer) {
			return this.#role === 'client' || ours ? StreamState.FORBIDDEN : StreamState.IDLE;
		}
		if (this.#resetByUs.has(id)) return StreamState.RESET_BY_US;
		if (!ours && this.#gaps.some(({ after, before }) => id > after && id < before)) return StreamState.SKIPPED;
		return id > this.#forgotten ? StreamState.CLOSED : StreamState.FORGOTTEN;
	}

	#forget(id: number): void {
		this.#forgotten = Math.max(this.#forgotten, id);
	}
}

/**
 * One stream: its state, what it has yet to send, what its peer may send (RFC 9113 section 5).
 * The session calls the parts marked "for the session"; everybody else sends, consumes and resets.
 */
import type { FrameWriter } from './frame-writer.ts';
import { ErrorCode, type FieldList } from './protocol.ts';
import { SendQueue } from './send-queue.ts';
import type { Session } from './session.ts';
import { afterEndReceived, afterEndSent, StreamState } from './stream-state.ts';
import { ReceiveWindow } from './window.ts';

/** Why a stream ended early. Only `started: false` is certain never to have been acted upon. */
export interface StreamFailure {
	/**
	 * reset: RST_STREAM came. goaway: the peer's GOAWAY passed this stream over. lost: the connection is gone.
	 * protocol: the peer broke a rule on this stream and we reset it.
	 */
	readonly kind: 'reset' | 'goaway' | 'lost' | 'protocol';
	/** RFC 9113 section 7. */
	readonly code: number;
	readonly started: boolean;
	readonly message: string;
}

/**
 * What a stream tells its owner. Calls are synchronous; after `end` or `failed` nothing more is received,
 * and `closed` is the last call of all, made exactly once.
 */
export interface StreamHandler {
	/** Client role: a 1xx response; `:status` is the first field. */
	information?(stream: Stream, fields: FieldList): void;
	/** Client role: the final response. (A server gets its request through SessionHandler.stream.) */
	headers?(stream: Stream, fields: FieldList, endStream: boolean): void;
	/** Body bytes, valid for ever. The peer's window opens when they are given to stream.consume(). */
	data(stream: Stream, chunk: Buffer): void;
	trailers?(stream: Stream, fields: FieldList): void;
	/** The message is complete: END_STREAM came. */
	end(stream: Stream): void;
	/** The message is not complete and never will be. Not called for a reset of our own. */
	failed(stream: Stream, failure: StreamFailure): void;
	/** write() returned false before, and there is room again. */
	drain?(stream: Stream): void;
	closed?(stream: Stream): void;
}

/**
 * write() asks its caller to pause from here on, and drain() comes at half of it: the socket has more, so none runs dry. Each pause costs
 * its caller two system calls and some turns of the event loop; eight reads of a socket are worth that.
 */
const HIGH_WATER = 512 * 1024;
/** The same once all streams of the connection have a lot queued: where many readers are slow, each may hold less. */
const CROWDED_HIGH_WATER = 128 * 1024;
const CROWDED = 4 * 1024 * 1024;

export class Stream {
	readonly id: number;
	readonly session: Session;
	handler: StreamHandler;
	state: StreamState = StreamState.OPEN;
	/** Names of the last received field section that may not enter a compression table (RFC 7541 section 7.1.3). */
	neverIndexed: string[] | null = null;
	/** For the table of streams. */
	nextInChain: Stream | null = null;
	/** In the session's round of senders. */
	scheduled = false;
	/** What the peer lets us send; may be negative (RFC 9113 section 6.9.2). */
	sendWindow: number;
	readonly receiveWindow: ReceiveWindow;
	/** Server role: a final response was begun. */
	responded = false;
	/** Of the message that is being received: its final header section was seen. */
	headersSeen = false;
	/** How long its body has to be: its Content-Length, -1 without one, 0 where there can be none (HEAD, 204, 304). */
	expected = -1;
	received = 0;
	/** Of a request of ours, because it decides what its response may be; empty in the server role. */
	readonly method: string;
	readonly #queue: SendQueue;
	#ending = false;
	#trailers: FieldList | null = null;
	#wantsDrain = false;
	#stopsReceiving = false;
	#left = false;

	constructor(
		session: Session,
		id: number,
		handler: StreamHandler,
		sendWindow: number,
		receiveWindow: number,
		method: string,
	) {
		this.session = session;
		this.#queue = new SendQueue(session.queued);
		this.id = id;
		this.handler = handler;
		this.sendWindow = sendWindow;
		this.receiveWindow = new ReceiveWindow(receiveWindow);
		this.method = method;
	}

	/** Bytes given to write() that have not left. */
	get queued(): number {
		return this.#queue.bytes;
	}

	/** True while write() has an effect. */
	get writable(): boolean {
		return !this.#ending && (this.state === StreamState.OPEN || this.state === StreamState.HALF_CLOSED_REMOTE);
	}

	get closed(): boolean {
		return this.state >= StreamState.CLOSED;
	}

	/**
	 * Server role: a header section; 1xx ones may come before the final one. `:status` is first.
	 * @param neverIndexed names beyond the session's that must not enter a compression table
	 */
	respond(fields: FieldList, endStream: boolean, neverIndexed?: readonly string[] | null): void {
		if (!this.writable) return;
		if ((fields[1] as string) >= '200') this.responded = true;
		this.session.sendHeaders(this, fields, endStream, neverIndexed ?? undefined);
		if (endStream) {
			this.#ending = true;
			this.#endSent();
		}
	}

	/** Queues body bytes, which must not change after. @returns false when the caller should wait for drain */
	write(chunk: Buffer): boolean {
		if (!this.writable) return true;
		this.#queue.push(chunk);
		this.session.ready(this);
		if (this.#queue.bytes < this.#highWater) return true;
		this.#wantsDrain = true;
		return false;
	}

	/** Ends our side: END_STREAM goes with the last queued byte, or with the trailers after it. */
	end(trailers?: FieldList): void {
		if (!this.writable) return;
		this.#ending = true;
		this.#trailers = trailers && trailers.length > 0 ? trailers : null;
		this.session.ready(this);
	}

	/** Gives the peer credit for body bytes that were taken care of. */
	consume(bytes: number): void {
		if (bytes > 0 && this.#receives && this.receiveWindow.read(bytes)) this.session.creditStream(this);
	}

	/** For the session: the peer took note of another initial window of ours. */
	shiftReceiveWindow(delta: number): void {
		this.receiveWindow.shift(delta);
		if (this.#receives && this.receiveWindow.due) this.session.creditStream(this);
	}

	/** Ends both sides at once with RST_STREAM. Without effect on a stream that is over. */
	reset(code: number = ErrorCode.CANCEL): void {
		if (this.closed) return;
		this.session.sendReset(this.id, code);
		this.leave(StreamState.RESET_BY_US);
	}

	/**
	 * Server role: the response does not need the rest of the request. Once the response has left, the client is told to stop
	 * sending with RST_STREAM(NO_ERROR) (RFC 9113 section 8.1).
	 */
	stopReceiving(): void {
		this.#stopsReceiving = true;
		if (this.state === StreamState.HALF_CLOSED_LOCAL) this.reset(ErrorCode.NO_ERROR);
	}

	/** For the session: whether there is something that may go now. */
	get sendable(): boolean {
		if (this.state !== StreamState.OPEN && this.state !== StreamState.HALF_CLOSED_REMOTE) return false;
		if (this.#queue.bytes > 0) return this.sendWindow > 0;
		return this.#ending;
	}

	/** For the session: writes one frame of at most `limit` payload bytes; the payload's size. */
	transmit(writer: FrameWriter, limit: number): number {
		const count = Math.min(limit, this.#queue.bytes, Math.max(0, this.sendWindow));
		const isAll = count === this.#queue.bytes;
		const last = isAll && this.#ending;
		if (count > 0 || (last && !this.#trailers)) {
			writer.data(this.id, count, last && !this.#trailers);
			this.#queue.moveTo(writer, count);
			this.sendWindow -= count;
		}
		if (last) {
			if (!this.#trailers || this.session.sendTrailers(this, this.#trailers)) this.#endSent();
		} else if (this.#wantsDrain && this.#queue.bytes <= this.#highWater / 2) {
			this.#wantsDrain = false;
			this.session.drained(this);
		}
		return count;
	}

	/** For the session: the peer's END_STREAM came. */
	endReceived(): void {
		this.state = afterEndReceived(this.state);
		try {
			this.handler.end(this);
		} finally {
			if (this.state === StreamState.CLOSED) this.leave(StreamState.CLOSED);
		}
	}

	/** For the session: our side ended with the HEADERS that opened the stream. */
	endWithHeaders(): void {
		this.#ending = true;
		this.state = StreamState.HALF_CLOSED_LOCAL;
	}

	/** For the session: the stream is over for a reason that its owner must hear of. */
	fail(failure: StreamFailure, state: StreamState = StreamState.CLOSED): void {
		if (this.closed) return;
		this.state = state;
		try {
			this.handler.failed(this, failure);
		} finally {
			this.leave(state);
		}
	}

	/** For the session: both sides are over. */
	leave(state: StreamState): void {
		if (this.#left) return;
		this.#left = true;
		this.state = state;
		this.#queue.clear();
		this.session.left(this);
		this.handler.closed?.(this);
	}

	get #highWater(): number {
		return this.#queue.total.bytes < CROWDED ? HIGH_WATER : CROWDED_HIGH_WATER;
	}

	get #receives(): boolean {
		return this.state <= StreamState.HALF_CLOSED_LOCAL;
	}

	#endSent(): void {
		this.state = afterEndSent(this.state);
		if (this.state === StreamState.CLOSED) this.leave(StreamState.CLOSED);
		else if (this.#stopsReceiving) this.reset(ErrorCode.NO_ERROR);
	}
}

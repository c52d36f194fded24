/**
 * The way out of a connection: frames are gathered in the order of their writing, streams with body bytes take turns behind
 * them, and all of it leaves in one write a turn of the event loop. Owns the socket's writing side, the header compression and
 * the connection's send window; knows nothing of what is received.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FrameWriter } from './frame-writer.ts';
import type { HpackEncoder } from './hpack-encoder.ts';
import { InFlight } from './in-flight.ts';
import { BACKLOG, UNREAD_ANSWERS } from './limits.ts';
import type { PingAnswered } from './pings.ts';
import {
	ConnectionError,
	DEFAULT_MAX_FRAME_SIZE,
	DEFAULT_WINDOW,
	ErrorCode,
	type FieldList,
	MAX_WINDOW,
} from './protocol.ts';
import { LITTLE_BYTES, Scheduler, TURN_BYTES } from './scheduler.ts';
import type { Stream } from './stream.ts';

export interface OutboundOwner {
	/** Something was thrown while writing, or the peer leaves too much unread. */
	fail(error: unknown): void;
	/** Milliseconds, of all PINGs so far; 0 before the first answer. */
	readonly shortestRoundTrip: number;
	/** Sends a PING behind what was written. @returns its number */
	ping(answered: PingAnswered): number;
	/** Everything that could be written was. */
	flushed(): void;
}

export class Outbound {
	readonly frames = new FrameWriter();
	readonly encoder: HpackEncoder;
	/** The peer's SETTINGS_MAX_FRAME_SIZE. */
	maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
	/** DATA frames written so far. */
	dataFrames = 0;
	/** Writes that left after the socket had been stuck: a sign of life. */
	progress = 0;
	readonly #socket: Duplex;
	readonly #owner: OutboundOwner;
	readonly #unsentLimit: number;
	readonly #recyclable: boolean;
	readonly #scheduler = new Scheduler();
	readonly #inFlight: InFlight | null;
	/** What the peer lets all streams together send. */
	#window = DEFAULT_WINDOW;
	#scheduled = false;
	#flushing = false;
	/** The socket could not take all of a write at once. */
	#stuck = false;
	/** The socket took the last write that was large all at once. */
	#swift = false;
	/** Bytes handed to the socket so far. */
	#handed = 0;
	/** Bytes of answers that the kernel has not taken, those between two marks together. */
	#unread = 0;
	/** Once the kernel has taken so much of what was handed over, `#marked` bytes of answers have left with it. */
	#mark = 0;
	#marked = 0;
	#stopped = false;

	/**
	 * @param unsentLimit most bytes handed to the socket and not yet sent; twice as many while it takes large writes at once
	 * @param paced whether large bodies that queue up on their way are held to what the link takes while small ones pass
	 */
	constructor(socket: Duplex, encoder: HpackEncoder, unsentLimit: number, paced: boolean, owner: OutboundOwner) {
		this.#socket = socket;
		this.encoder = encoder;
		this.#unsentLimit = unsentLimit;
		this.#inFlight = paced ? new InFlight(() => owner.shortestRoundTrip) : null;
		this.#owner = owner;
		this.#recyclable = socket instanceof Socket;
	}

	/** Bytes handed to the socket so far. */
	get handed(): number {
		return this.#handed;
	}

	/** Nothing is gathered that has not been handed to the socket. */
	get idle(): boolean {
		return !this.#flushing && this.frames.pending === 0;
	}

	/** More waits to be written than bodies alone can come to: the peer does not read, or cannot. */
	get backlogged(): boolean {
		return this.frames.pending + this.#socket.writableLength > 2 * this.#unsentLimit + BACKLOG;
	}

	/** @throws TypeError for a character above 0xFF; then nothing was written */
	headers(id: number, fields: FieldList, endStream: boolean, neverIndexed?: readonly string[]): void {
		const block = this.encoder.encode(fields, neverIndexed);
		this.frames.headers(id, block, endStream, this.maxFrameSize);
		this.schedule();
	}

	/** The stream has something to send. */
	ready(stream: Stream): void {
		if (stream.sendable) this.#scheduler.add(stream);
		this.schedule();
	}

	/** What was written leaves at the end of this turn of the event loop. */
	schedule(): void {
		if (this.#scheduled || this.#stopped) return;
		this.#scheduled = true;
		setImmediate(this.#flush);
	}

	/** The peer gave credit for all streams. @throws ConnectionError over 2^31-1 */
	credit(increment: number): void {
		this.#window += increment;
		if (this.#window > MAX_WINDOW) {
			throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'the connection window went over 2^31-1');
		}
		if (this.#scheduler.size > 0) this.schedule();
	}

	/**
	 * An answer of `bytes` that the peer has brought about, so that one who asks for many without reading them is cut off. It tells
	 * the owner rather than throw, since it is called from our own users' code too.
	 */
	countAnswer(bytes: number): void {
		this.#unread += bytes;
		if (this.#unread > UNREAD_ANSWERS) {
			this.#owner.fail(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'the peer asks without reading the answers'));
		}
	}

	/** Hands over what was written, without any stream's body, and is of no use after that. */
	stop(): void {
		if (this.#stopped) return;
		if (this.#socket.writable) this.#writeOut();
		this.#stopped = true;
		this.#scheduler.clear();
	}

	readonly #flush = (): void => {
		this.#scheduled = false;
		if (this.#stopped) return;
		try {
			this.#flushing = true;
			this.#fillWithData();
			this.#flushing = false;
			this.#writeOut();
			this.#owner.flushed();
		} catch (error) {
			this.#flushing = false;
			this.#owner.fail(error);
		}
	};

	/** Lets streams take turns until the socket has enough, the connection window is used up, or nothing is left. */
	#fillWithData(): void {
		const scheduler = this.#scheduler;
		// An end takes no window, and must not wait for it.
		for (let stream = scheduler.nextEnding(); stream !== undefined; stream = scheduler.nextEnding()) {
			if (stream.sendable) stream.transmit(this.frames, 0);
		}
		if (scheduler.size === 0) return;
		const flight = this.#inFlight;
		const now = flight === null ? 0 : performance.now();
		let room = this.#room();
		while (room > 0 && this.#window > 0) {
			const stream = flight === null || flight.hasRoom(now) ? scheduler.next() : scheduler.nextLittle();
			if (stream === undefined) break;
			if (!stream.sendable) continue;
			if (flight !== null) {
				if (stream.queued > LITTLE_BYTES) flight.large(stream.id, now);
				else flight.small(stream.id, now);
			}
			const frame = scheduler.size > 0 ? Math.min(TURN_BYTES, this.maxFrameSize) : this.maxFrameSize;
			const sent = stream.transmit(this.frames, Math.min(frame, this.#window, room));
			this.dataFrames++;
			this.#window -= sent;
			room -= sent;
			flight?.sent(sent);
			if (stream.sendable) scheduler.add(stream);
		}
		if (flight?.isDue(now)) flight.mark(this.#owner.ping(this.#answered), now);
	}

	/** Bytes that may be handed over. As long as the kernel takes large writes at once nothing is unsent, and fewer of them cost less. */
	#room(): number {
		const most = this.#swift ? 2 * this.#unsentLimit : this.#unsentLimit;
		return most - this.#socket.writableLength - this.frames.pending;
	}

	#writeOut(): void {
		const bytes = this.frames.pending;
		if (bytes === 0 || this.#stopped) return;
		const socket = this.#socket;
		this.#handed += bytes;
		const parts = this.frames.take();
		if (parts.length === 1) {
			socket.write(parts[0] as Buffer, this.#written);
		} else {
			socket.cork();
			const last = parts.length - 1;
			for (let i = 0; i < last; i++) socket.write(parts[i] as Buffer);
			socket.write(parts[last] as Buffer, this.#written);
			socket.uncork();
		}
		if (socket.writableLength > 0) {
			this.#stuck = true;
			this.#swift = false;
		} else if (bytes > this.#unsentLimit / 2) {
			this.#swift = true;
		}
		if (this.#recyclable && socket.writableLength === 0) this.frames.recycle();
		else this.frames.abandon();
	}

	/** A PING behind bodies. */
	readonly #answered = (roundTrip: number, ping: number): void => {
		this.#inFlight?.answered(ping, roundTrip, performance.now());
		if (this.#scheduler.size > 0) this.schedule();
	};

	/** The kernel took a write. */
	readonly #written = (error?: Error | null): void => {
		if (error || this.#stopped) return;
		// A write that the kernel's buffer took at once says nothing of the peer.
		if (this.#stuck) this.progress++;
		const waiting = this.#socket.writableLength;
		if (waiting === 0) {
			this.#stuck = false;
			this.#unread = 0;
		}
		if (this.#handed - waiting >= this.#mark) {
			// A busy socket may never be empty, so what has left is told by how far it has come.
			this.#unread = Math.max(0, this.#unread - this.#marked);
			this.#marked = this.#unread;
			this.#mark = this.#handed;
		}
		if (this.#scheduler.size > 0) this.schedule();
	};
}

/**
 * One HTTP/2 connection over any Duplex, in either role (RFC 9113): its face towards its owner, and its life from the preface to
 * the end. Composes what reads, what writes and what both agreed on; knows nothing of what the requests are for.
 */
import type { Duplex } from 'node:stream';
import { Control, checkExtension } from './control.ts';
import { FrameParser } from './frame-parser.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { OVERHEAD_BUDGET, RESET_BUDGET, UNFINISHED_TIMEOUT } from './limits.ts';
import { Outbound, type OutboundOwner } from './outbound.ts';
import { PeerBudget } from './peer-budget.ts';
import type { PingAnswered } from './pings.ts';
import {
	CLIENT_PREFACE,
	ConnectionError,
	DEFAULT_MAX_FRAME_SIZE,
	DEFAULT_WINDOW,
	ErrorCode,
	type FieldList,
	MAX_STREAM_ID,
	StreamError,
	UnfinishedError,
} from './protocol.ts';
import { Receiver } from './receiver.ts';
import type { QueuedTotal } from './send-queue.ts';
import type { ExtensionFrame, Role, SessionHandler, SessionOptions } from './session-handler.ts';
import type { Settings } from './settings.ts';
import { endThenDestroy } from './socket-ending.ts';
import type { Stream, StreamHandler } from './stream.ts';
import { StreamCredit } from './stream-credit.ts';
import { UnfinishedWatch } from './unfinished-watch.ts';
import { WindowBudget } from './window.ts';

export type { ExtensionFrame, Role, SessionHandler, SessionOptions } from './session-handler.ts';

const MiB = 1024 * 1024;

export class Session implements OutboundOwner {
	readonly role: Role;
	readonly socket: Duplex;
	/** Bytes received so far: a sign of life. */
	received = 0;
	/** For streams. */
	readonly queued: QueuedTotal = { bytes: 0 };

	readonly #handler: SessionHandler;
	readonly #parser: FrameParser;
	readonly #receiver: Receiver;
	readonly #outbound: Outbound;
	readonly #control: Control;
	readonly #credit: StreamCredit;
	readonly #watch: UnfinishedWatch;
	#goawayReceived = false;
	#shuttingDown = false;
	#closed = false;
	#error: Error | null = null;

	constructor(options: SessionOptions) {
		const { socket, role, handler, settings = {} } = options;
		this.role = role;
		this.socket = socket;
		this.#handler = handler;
		const budget = new WindowBudget(options.windowBudget ?? 64 * MiB, options.processBudget);
		const encoder = new HpackEncoder(options.neverIndexed ? { neverIndexed: options.neverIndexed } : {});
		this.#outbound = new Outbound(socket, encoder, options.unsentLimit ?? 256 * 1024, options.paced ?? false, this);
		const maxListSize = settings.maxHeaderListSize ?? 64 * 1024;
		const decoder = new HpackDecoder({ maxListSize, maxFields: options.maxFields ?? 1000 });
		const maxFrameSize = settings.maxFrameSize ?? DEFAULT_MAX_FRAME_SIZE;
		this.#receiver = new Receiver(this, {
			outbound: this.#outbound,
			decoder,
			budget,
			resets: new PeerBudget(options.resetBudget ?? RESET_BUDGET, 'streams were reset'),
			maxConnectionWindow: options.maxConnectionWindow ?? 64 * MiB,
			mostStreams: () => this.#control.announced.mostStreams(this.local.maxConcurrentStreams),
			accept: (stream, fields, endStream) => handler.stream?.(stream, fields, endStream) ?? null,
			fault: (error) => handler.fault?.(this, error),
		});

		this.#control = new Control(this, {
			handler,
			outbound: this.#outbound,
			receiver: this.#receiver,
			overhead: new PeerBudget(options.overheadBudget ?? OVERHEAD_BUDGET, 'frames carry no message'),
			acknowledged: (changed) => this.#parser.setLimits(changed),
			goaway: (last, code, debugData) => this.#goaway(last, code, debugData),
		});
		this.#credit = new StreamCredit({
			outbound: this.#outbound,
			pings: this.#control.pings,
			budget,
			maxWindow: options.maxStreamWindow ?? 32 * MiB,
			ping: () => this.ping(),
		});
		const expectPreface = role === 'server';
		this.#parser = new FrameParser(decoder, maxListSize, maxFrameSize, expectPreface, this.#receiver, this.#control);
		this.#watch = new UnfinishedWatch(options.unfinishedTimeout ?? UNFINISHED_TIMEOUT, () => {
			this.destroy(new UnfinishedError());
		});
		this.#watch.note(true, 0);

		if (role === 'client') this.#outbound.frames.raw(CLIENT_PREFACE);
		this.#control.announce(role === 'client' ? { enablePush: false, ...settings } : settings);
		const extra = (options.connectionWindow ?? 16 * MiB) - DEFAULT_WINDOW;
		if (extra > 0) this.#outbound.frames.windowUpdate(0, this.#receiver.window.raise(DEFAULT_WINDOW + extra));
		this.ping();

		socket.on('data', this.#onBytes);
		socket.on('end', this.#onEnd);
		socket.on('error', this.#onError);
		socket.on('close', this.#onClose);
		const head = options.head;
		if (head && head.length > 0) queueMicrotask(() => this.#onBytes(head));
		if (socket.destroyed) queueMicrotask(this.#onClose);
	}

	/** What the peer announced. */
	get remote(): Settings {
		return this.#control.remote;
	}

	/** What we announced and the peer has acknowledged. */
	get local(): Settings {
		return this.#control.local;
	}

	get closed(): boolean {
		return this.#closed;
	}

	/** Why the connection ended, once it has. */
	get error(): Error | null {
		return this.#error;
	}

	/** Streams that are open or half-closed. */
	get openStreams(): number {
		return this.#receiver.streams.size;
	}

	/** For the outbound side. */
	get shortestRoundTrip(): number {
		return this.#control.pings.shortest;
	}

	/** The round trip in milliseconds, as the last PINGs measured it; 0 before the first answer. */
	get rtt(): number {
		return this.#control.pings.rtt;
	}

	/** Bytes handed to the socket so far. */
	get sent(): number {
		return this.#outbound.handed;
	}

	/** Writes that left after the socket had been stuck: a sign of life. */
	get progress(): number {
		return this.#outbound.progress;
	}

	/** More waits to be written than bodies alone can come to: what may be left out should be. */
	get backlogged(): boolean {
		return this.#outbound.backlogged;
	}

	/** Client role: whether request() would be accepted. */
	get canRequest(): boolean {
		return (
			!this.#closed &&
			!this.#goawayReceived &&
			!this.#shuttingDown &&
			this.openStreams < this.remote.maxConcurrentStreams &&
			!this.#receiver.streams.exhausted
		);
	}

	/** True once the peer said it will take no new streams, or we did. */
	get draining(): boolean {
		return this.#goawayReceived || this.#shuttingDown;
	}

	/** True when no SETTINGS of ours is waiting to be sent or acknowledged. */
	get settingsSettled(): boolean {
		return this.#control.announced.settled;
	}

	/** True when the newest settings were sent, acknowledged or not. */
	get settingsSent(): boolean {
		return this.#control.announced.sent;
	}

	/**
	 * Client role: opens a stream. `fields` begin with the pseudo-header fields (RFC 9113 section 8.3.1).
	 * @param neverIndexed names beyond the session's that must not enter a compression table
	 * @throws StreamError REFUSED_STREAM when canRequest is false; TypeError for a character above 0xFF
	 */
	request(fields: FieldList, endStream: boolean, handler: StreamHandler, neverIndexed?: readonly string[]): Stream {
		if (this.role !== 'client' || !this.canRequest) {
			throw new StreamError(ErrorCode.REFUSED_STREAM, 'the connection takes no further stream');
		}
		const { streams } = this.#receiver;
		const id = streams.next;
		// First, because it throws for fields that cannot be sent, and then nothing was opened.
		this.#outbound.headers(id, fields, endStream, neverIndexed);
		streams.advance();
		const stream = this.#receiver.open(id, handler, fields[1] ?? '');
		if (endStream) stream.endWithHeaders();
		return stream;
	}

	/**
	 * Asks the peer for a sign of life.
	 * @param answered is called with the round trip in milliseconds; never when the connection ends first
	 * @returns the PING's number; 0 when the connection has ended
	 */
	ping(answered?: PingAnswered): number {
		return this.#closed ? 0 : this.#control.ping(answered);
	}

	/** Sends the PING answers that holdPings() kept back. */
	releasePings(): void {
		this.#control.releasePings();
	}

	/**
	 * Announces changed settings. Only one announcement is under way at a time: what changes meanwhile goes out together,
	 * newest values, when the peer has acknowledged the one before.
	 */
	updateSettings(settings: Partial<Settings>): void {
		if (!this.#closed) this.#control.update(settings);
	}

	/** Client role: tells the peer that a shutdown will follow. A GOAWAY forbids new streams to its reader, so we may open some until then. */
	announceShutdown(debugData: string): void {
		if (!this.#closed && !this.#shuttingDown) {
			this.#sendGoaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, Buffer.from(debugData));
		}
	}

	/**
	 * Sends a frame of an extension, in order with all that is not DATA; a peer that does not know it ignores it (RFC 9113 section 5.5).
	 * @throws RangeError for a type of RFC 9113's own, or a payload that a peer of this kind would not be told
	 */
	sendExtension(frame: ExtensionFrame): void {
		checkExtension(frame);
		if (!this.#closed) this.#control.extension(frame);
	}

	/**
	 * Graceful end (RFC 9113 section 6.8): no new streams; the socket is closed when those that are open have ended.
	 * A server first announces it, and only a round trip later refuses what it has not seen.
	 */
	shutdown(debugData = ''): void {
		if (this.#closed || this.#shuttingDown) return;
		this.#shuttingDown = true;
		const { streams } = this.#receiver;
		const debug = Buffer.from(debugData);
		if (this.role === 'server') {
			this.#sendGoaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, debug);
			this.ping(() => {
				streams.refusedAbove = streams.lastOfPeer;
				this.#sendGoaway(streams.lastOfPeer, ErrorCode.NO_ERROR, debug);
				this.#finishIfDone();
			});
		} else {
			streams.refusedAbove = 0;
			this.#sendGoaway(0, ErrorCode.NO_ERROR, debug);
			this.#finishIfDone();
		}
	}

	/** Ends the connection now; open streams fail as `lost`. The peer is told with GOAWAY if it still listens. */
	destroy(error: Error | null = null): void {
		if (this.#closed) return;
		const { streams } = this.#receiver;
		const code = error instanceof ConnectionError ? error.code : ErrorCode.NO_ERROR;
		const text = error instanceof ConnectionError ? error.message : '';
		this.#sendGoaway(Math.min(streams.lastOfPeer, streams.refusedAbove), code, Buffer.from(text));
		this.#end(error);
	}

	// For streams.

	ready(stream: Stream): void {
		this.#outbound.ready(stream);
	}

	sendHeaders(stream: Stream, fields: FieldList, endStream: boolean, neverIndexed?: readonly string[]): void {
		this.#outbound.headers(stream.id, fields, endStream, neverIndexed);
	}

	/** Whether they could be sent; if not, the stream was reset. */
	sendTrailers(stream: Stream, fields: FieldList): boolean {
		this.#receiver.guard(stream, () => this.#outbound.headers(stream.id, fields, true));
		return !stream.closed;
	}

	sendReset(id: number, code: number): void {
		this.#receiver.reset(id, code);
	}

	creditStream(stream: Stream): void {
		this.#credit.give(stream, this.openStreams);
	}

	drained(stream: Stream): void {
		this.#receiver.guard(stream, () => stream.handler.drain?.(stream));
	}

	left(stream: Stream): void {
		this.#receiver.left(stream);
		this.#finishIfDone();
	}

	// Reading.

	readonly #onBytes = (chunk: Buffer): void => {
		if (this.#closed) return;
		this.received += chunk.length;
		try {
			this.#parser.push(chunk);
			if (this.#closed) return;
			this.#watch.note(this.#parser.unfinished, this.#parser.finished);
			this.#handler.readDone?.();
		} catch (error) {
			this.fail(error);
		}
	};

	#goaway(last: number, code: number, debugData: string): void {
		this.#goawayReceived = true;
		if (this.role === 'client') this.#receiver.failAbove(last, code);
		this.#handler.goaway?.(this, last, code, debugData);
		this.#finishIfDone();
	}

	// OutboundOwner

	fail(error: unknown): void {
		if (error instanceof ConnectionError) {
			this.destroy(error);
			return;
		}
		this.#handler.fault?.(this, error);
		this.destroy(new ConnectionError(ErrorCode.INTERNAL_ERROR, 'internal error'));
	}

	flushed(): void {
		this.#finishIfDone();
	}

	#sendGoaway(last: number, code: number, debugData: Buffer): void {
		this.#outbound.frames.goaway(last, code, debugData);
		this.#outbound.schedule();
	}

	// The end.

	readonly #onEnd = (): void => {
		this.#end(this.draining && this.openStreams === 0 ? null : lost());
	};

	readonly #onError = (error: Error): void => {
		this.#end(error);
	};

	readonly #onClose = (): void => {
		this.#end(this.#shuttingDown && this.openStreams === 0 ? null : lost());
	};

	/** After a shutdown by either side: closes the socket once nothing is open and everything is written. */
	#finishIfDone(): void {
		if (this.#closed || this.openStreams > 0 || !this.#outbound.idle) return;
		const refused = this.#receiver.streams.refusedAbove !== Number.POSITIVE_INFINITY;
		const weAreDone = this.role === 'server' ? refused : this.#shuttingDown;
		if (weAreDone || (this.#goawayReceived && this.role === 'client')) this.#end(null);
	}

	#end(error: Error | null): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#error = error;
		this.#outbound.stop();
		this.#parser.stop();
		this.#watch.stop();
		this.#control.stop();
		this.#receiver.failAll({
			kind: 'lost',
			code: error instanceof ConnectionError ? error.code : ErrorCode.NO_ERROR,
			started: true,
			message: error ? error.message : 'the connection was closed',
		});
		const socket = this.socket;
		socket.off('data', this.#onBytes);
		socket.resume();
		if (error === null || error instanceof ConnectionError) endThenDestroy(socket, error === null);
		else socket.destroy();
		this.#handler.closed(this, error);
	}
}

function lost(): Error {
	return new Error('the connection was lost');
}

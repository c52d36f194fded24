/**
 * One HTTP/2 connection over any Duplex, in either role (RFC 9113). It owns the socket, both compression contexts, both sides'
 * settings and the connection's windows; streams own the rest. Knows nothing of what the requests are for.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkRequest, checkResponse, checkTrailers } from './field-rules.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { Pings } from './pings.ts';
import {
	CLIENT_PREFACE,
	ConnectionError,
	DEFAULT_MAX_FRAME_SIZE,
	DEFAULT_WINDOW,
	ErrorCode,
	errorCodeName,
	type FieldList,
	Flag,
	FrameType,
	MAX_STREAM_ID,
	MAX_WINDOW,
	StreamError,
} from './protocol.ts';
import { Scheduler } from './scheduler.ts';
import { applySetting, initialSettings, type Settings, settingPairs } from './settings.ts';
import { Stream, type StreamFailure, type StreamHandler } from './stream.ts';
import { Received, StreamState, verdictOn } from './stream-state.ts';
import { ReceiveWindow, WindowBudget } from './window.ts';

export type Role = 'client' | 'server';

/** What a connection tells its owner. `closed` is the last call and made exactly once. */
export interface SessionHandler {
	/** Server role: a request. Returns who hears the rest of it, or null after having reset the stream. */
	stream?(stream: Stream, fields: FieldList, endStream: boolean): StreamHandler | null;
	/** The peer's SETTINGS came and hold from now on; the first time they are its preface. */
	settings?(session: Session, settings: Readonly<Settings>): void;
	/** The peer took note of our SETTINGS. */
	settingsAcknowledged?(session: Session): void;
	/** The peer will take no streams above `lastStreamId`; those have failed already. */
	goaway?(session: Session, lastStreamId: number, code: number, debugData: string): void;
	/** All frames of one read from the socket have been told. */
	readDone?(): void;
	/** Whether PING answers must wait until session.releasePings(). */
	holdPings?(): boolean;
	/** A handler threw: its stream was reset, the connection goes on. */
	fault?(session: Session, error: unknown): void;
	/** All streams have failed or ended. `error` is null after a shutdown that both sides agreed on. */
	closed(session: Session, error: Error | null): void;
}

export interface SessionOptions {
	readonly socket: Duplex;
	readonly role: Role;
	readonly handler: SessionHandler;
	/** Bytes that were read from the socket before the session got it. */
	readonly head?: Buffer;
	/** What we announce first; what is left out has the RFC's default. */
	readonly settings?: Partial<Settings>;
	/** Most fields in a section, 1000 if left out. */
	readonly maxFields?: number;
	/** The connection's receive window: at the start (16 MiB) and at most (64 MiB). */
	readonly connectionWindow?: number;
	readonly maxConnectionWindow?: number;
	/** A stream's receive window at most (16 MiB). */
	readonly maxStreamWindow?: number;
	/** Growth of this connection's windows (64 MiB), within `processBudget` if there is one. */
	readonly windowBudget?: number;
	readonly processBudget?: WindowBudget;
	/** Most bytes handed to the socket and not yet sent (256 KiB). */
	readonly unsentLimit?: number;
	/** Field names that are sent never-indexed (RFC 7541 section 7.1.3), beside those that arrived so. */
	readonly neverIndexed?: ReadonlySet<string>;
}

const MiB = 1024 * 1024;
/** A stream's turn while others wait (and while the peer allows no larger frame). */
const TURN_BYTES = 16 * 1024;
/** What a stream's window opens to once its reader has shown that it reads, and what all of them do together. */
const STREAM_WINDOW = MiB;
const ALL_STREAM_WINDOWS = 32 * MiB;
/** Streams that we reset are remembered so long as not so many others were. */
const CLOSED_REMEMBERED = 1024;
/** Answers that a peer may leave unread before it is cut off: PING and SETTINGS acknowledgements, resets. */
const MAX_UNREAD_ANSWERS = 10_000;
/** How long a peer has to take our last bytes after a shutdown, and to end its own side after that. */
const LAST_WRITE_MS = 30_000;
const LAST_READ_MS = 1000;

export class Session {
	readonly role: Role;
	readonly socket: Duplex;
	/** What the peer announced. */
	readonly remote: Settings = initialSettings();
	/** What we announced and the peer has acknowledged. */
	readonly local: Settings = initialSettings();
	/** The round trip in milliseconds: the smallest that a PING measured; 0 before the first answer. */
	rtt = 0;
	/** Bytes received so far, and writes that left after the socket had been stuck: both are signs of life. */
	received = 0;
	progress = 0;

	readonly #handler: SessionHandler;
	readonly #reader: FrameReader;
	readonly #writer = new FrameWriter();
	readonly #encoder: HpackEncoder;
	readonly #decoder: HpackDecoder;
	readonly #scheduler = new Scheduler();
	readonly #pings = new Pings();
	readonly #block: HeaderBlock;
	readonly #streams = new Map<number, Stream>();
	/** Streams that we reset and that the peer may still be sending on. */
	readonly #resetByUs = new Set<number>();
	readonly #budget: WindowBudget;
	readonly #receiveWindow = new ReceiveWindow(DEFAULT_WINDOW);
	readonly #maxConnectionWindow: number;
	readonly #maxStreamWindow: number;
	readonly #unsentLimit: number;
	readonly #recyclable: boolean;
	#sendWindow = DEFAULT_WINDOW;
	#announced: Array<Partial<Settings>> = [];
	#wanted: Partial<Settings> | null = null;
	#sawSettings = false;
	#nextStreamId: number;
	#lastPeerStreamId = 0;
	/** The last stream id in the GOAWAY that we sent; streams above are passed over. */
	#goawaySent = Number.POSITIVE_INFINITY;
	#goawayReceived = false;
	#shuttingDown = false;
	#flushScheduled = false;
	#flushing = false;
	#unreadAnswers = 0;
	/** The socket could not take all of a write at once. */
	#stuck = false;
	#heldPings: Buffer[] = [];
	#closed = false;
	#error: Error | null = null;
	/** Of the DATA frame being read. */
	#dataStream: Stream | null = null;
	#dataEnds = false;
	#dataPadded = false;
	#dataLeft = 0;
	#padding = 0;

	constructor(options: SessionOptions) {
		const { socket, role, handler, settings = {} } = options;
		this.role = role;
		this.socket = socket;
		this.#handler = handler;
		this.#nextStreamId = role === 'client' ? 1 : 2;
		this.#maxConnectionWindow = options.maxConnectionWindow ?? 64 * MiB;
		this.#maxStreamWindow = options.maxStreamWindow ?? 16 * MiB;
		this.#unsentLimit = options.unsentLimit ?? 256 * 1024;
		this.#budget = new WindowBudget(options.windowBudget ?? 64 * MiB, options.processBudget);
		this.#recyclable = socket instanceof Socket;
		const sink: FrameSink = {
			dataBegin: (streamId, flags, length) => this.#dataBegin(streamId, flags, length),
			dataBytes: (chunk, start, end) => this.#dataBytes(chunk, start, end),
			dataEnd: () => this.#dataEnd(),
			frame: (type, flags, streamId, buffer, start, end) => this.#frame(type, flags, streamId, buffer, start, end),
		};
		this.#reader = new FrameReader(sink, settings.maxFrameSize ?? DEFAULT_MAX_FRAME_SIZE, role === 'server');
		this.#encoder = new HpackEncoder(options.neverIndexed ? { neverIndexed: options.neverIndexed } : {});
		const maxListSize = settings.maxHeaderListSize ?? 64 * 1024;
		this.#decoder = new HpackDecoder({ maxListSize, maxFields: options.maxFields ?? 1000 });
		this.#block = new HeaderBlock(maxListSize);

		if (role === 'client') this.#writer.raw(CLIENT_PREFACE);
		this.#announce(role === 'client' ? { enablePush: false, ...settings } : settings);
		const extra = (options.connectionWindow ?? 16 * MiB) - DEFAULT_WINDOW;
		if (extra > 0) this.#writer.windowUpdate(0, this.#receiveWindow.raise(DEFAULT_WINDOW + extra));
		this.ping();

		socket.on('data', this.#onBytes);
		socket.on('end', this.#onEnd);
		socket.on('error', this.#onError);
		socket.on('close', this.#onClose);
		const head = options.head;
		if (head && head.length > 0) queueMicrotask(() => this.#onBytes(head));
		if (socket.destroyed) queueMicrotask(this.#onClose);
	}

	get closed(): boolean {
		return this.#closed;
	}

	/** Streams that are open or half-closed. */
	get openStreams(): number {
		return this.#streams.size;
	}

	/** Client role: whether request() would be accepted. */
	get canRequest(): boolean {
		return (
			!this.#closed &&
			!this.#goawayReceived &&
			!this.#shuttingDown &&
			this.#streams.size < this.remote.maxConcurrentStreams &&
			this.#nextStreamId <= MAX_STREAM_ID
		);
	}

	/** True once the peer said it will take no new streams, or we did. */
	get draining(): boolean {
		return this.#goawayReceived || this.#shuttingDown;
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
		const id = this.#nextStreamId;
		// First, because it throws for fields that cannot be sent, and then nothing was opened.
		this.#writeHeaders(id, fields, endStream, neverIndexed);
		this.#nextStreamId += 2;
		const stream = this.#open(id, handler, fields[1] === 'HEAD');
		if (endStream) stream.endWithHeaders();
		return stream;
	}

	/**
	 * Asks the peer for a sign of life.
	 * @param answered is called with the round trip in milliseconds; never when the connection ends first
	 */
	ping(answered?: (rtt: number) => void): void {
		if (this.#closed) return;
		this.#writer.ping(this.#pings.send(answered), false);
		this.#scheduleFlush();
	}

	/** Sends the PING answers that holdPings() kept back. */
	releasePings(): void {
		const held = this.#heldPings;
		if (held.length === 0) return;
		this.#heldPings = [];
		for (const payload of held) this.#answerPing(payload);
	}

	/**
	 * Announces changed settings. Only one announcement is under way at a time: what changes meanwhile goes out together,
	 * newest values, when the peer has acknowledged the one before.
	 */
	updateSettings(settings: Partial<Settings>): void {
		if (this.#closed) return;
		if (this.#announced.length > 0) this.#wanted = { ...this.#wanted, ...settings };
		else this.#announce(settings);
	}

	/** True when no SETTINGS of ours is waiting to be sent or acknowledged. */
	get settingsSettled(): boolean {
		return this.#announced.length === 0;
	}

	/** True when the newest settings were sent, acknowledged or not. */
	get settingsSent(): boolean {
		return this.#wanted === null;
	}

	/**
	 * Graceful end (RFC 9113 section 6.8): no new streams; the socket is closed when those that are open have ended.
	 * A server first announces it, and only a round trip later refuses what it has not seen.
	 */
	shutdown(debugData = ''): void {
		if (this.#closed || this.#shuttingDown) return;
		this.#shuttingDown = true;
		const debug = Buffer.from(debugData);
		if (this.role === 'server') {
			this.#writer.goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, debug);
			this.ping(() => {
				this.#goawaySent = this.#lastPeerStreamId;
				this.#writer.goaway(this.#lastPeerStreamId, ErrorCode.NO_ERROR, debug);
				this.#scheduleFlush();
				this.#finishIfDone();
			});
		} else {
			this.#goawaySent = 0;
			this.#writer.goaway(0, ErrorCode.NO_ERROR, debug);
			this.#finishIfDone();
		}
		this.#scheduleFlush();
	}

	/** Ends the connection now; open streams fail as `lost`. The peer is told with GOAWAY if it still listens. */
	destroy(error: Error | null = null): void {
		if (this.#closed) return;
		const code = error instanceof ConnectionError ? error.code : ErrorCode.NO_ERROR;
		const text = error instanceof ConnectionError ? error.message : '';
		this.#writer.goaway(Math.min(this.#lastPeerStreamId, this.#goawaySent), code, Buffer.from(text));
		this.#writeOut();
		this.#end(error);
	}

	// For streams.

	ready(stream: Stream): void {
		if (stream.sendable) this.#scheduler.add(stream);
		this.#scheduleFlush();
	}

	sendHeaders(stream: Stream, fields: FieldList, endStream: boolean): void {
		this.#writeHeaders(stream.id, fields, endStream);
	}

	/** Whether they could be sent; if not, the stream was reset. */
	sendTrailers(stream: Stream, fields: FieldList): boolean {
		this.#guard(stream, () => this.#writeHeaders(stream.id, fields, true));
		return !stream.closed;
	}

	sendReset(streamId: number, code: number): void {
		this.#rememberReset(streamId);
		this.#writer.rstStream(streamId, code);
		this.#scheduleFlush();
	}

	sendWindowUpdate(streamId: number, increment: number): void {
		this.#writer.windowUpdate(streamId, increment);
		this.#scheduleFlush();
	}

	creditStream(stream: Stream): void {
		const increment = stream.receiveWindow.credit(
			performance.now(),
			this.rtt,
			Math.min(STREAM_WINDOW, Math.floor(ALL_STREAM_WINDOWS / this.#streams.size)),
			this.#maxStreamWindow,
			this.#budget,
		);
		if (increment > 0) this.sendWindowUpdate(stream.id, increment);
	}

	drained(stream: Stream): void {
		this.#guard(stream, () => stream.handler.drain?.(stream));
	}

	left(stream: Stream): void {
		this.#streams.delete(stream.id);
		stream.receiveWindow.close(this.#budget);
		if (this.#dataStream === stream) this.#dataStream = null;
		this.#finishIfDone();
	}

	// Reading.

	readonly #onBytes = (chunk: Buffer): void => {
		if (this.#closed) return;
		this.received += chunk.length;
		try {
			this.#reader.push(chunk);
			if (!this.#closed) this.#handler.readDone?.();
		} catch (error) {
			this.#fail(error);
		}
	};

	#fail(error: unknown): void {
		if (error instanceof ConnectionError) {
			this.destroy(error);
			return;
		}
		this.#handler.fault?.(this, error);
		this.destroy(new ConnectionError(ErrorCode.INTERNAL_ERROR, 'internal error'));
	}

	/** Runs a handler's code so that what it throws ends its own stream only. */
	#guard(stream: Stream, call: () => void): void {
		try {
			call();
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	#streamFault(stream: Stream, error: unknown): void {
		if (error instanceof ConnectionError) throw error;
		if (error instanceof StreamError) {
			this.#breach(stream, error);
			return;
		}
		this.#handler.fault?.(this, error);
		stream.reset(ErrorCode.INTERNAL_ERROR);
	}

	/** The peer broke a rule on one stream: it is reset, and its owner told. */
	#breach(stream: Stream, error: StreamError): void {
		if (stream.closed) return;
		this.#answerWithReset(stream.id, error.code);
		const failure: StreamFailure = { kind: 'protocol', code: error.code, started: true, message: error.message };
		this.#guard(stream, () => stream.fail(failure, StreamState.RESET_BY_US));
	}

	#frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
		if (this.#block.open && (type !== FrameType.CONTINUATION || streamId !== this.#block.streamId)) {
			throw protocolError('a header block was interrupted by another frame');
		}
		if (!this.#sawSettings && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
			throw protocolError('the first frame must be SETTINGS');
		}
		const length = end - start;
		switch (type) {
			case FrameType.HEADERS:
				this.#onHeaders(flags, streamId, buffer, start, end);
				break;
			case FrameType.CONTINUATION:
				if (!this.#block.open) throw protocolError('CONTINUATION without HEADERS');
				this.#block.add(buffer, start, end);
				if ((flags & Flag.END_HEADERS) !== 0) {
					const block = this.#block.take();
					this.#onBlock(streamId, this.#block.endStream, block, 0, block.length, this.#block.selfDependent);
				}
				break;
			case FrameType.RST_STREAM:
				if (length !== 4) throw frameSize('RST_STREAM');
				this.#onReset(streamId, buffer.readUInt32BE(start));
				break;
			case FrameType.WINDOW_UPDATE:
				if (length !== 4) throw frameSize('WINDOW_UPDATE');
				this.#onWindowUpdate(streamId, buffer.readUInt32BE(start) & 0x7fff_ffff);
				break;
			case FrameType.SETTINGS:
				this.#onSettings(flags, streamId, buffer, start, end);
				break;
			case FrameType.PING:
				if (streamId !== 0) throw protocolError('PING on a stream');
				if (length !== 8) throw frameSize('PING');
				if ((flags & Flag.ACK) !== 0) this.#onPong(buffer, start);
				else this.#onPing(Buffer.from(buffer.subarray(start, end)));
				break;
			case FrameType.GOAWAY:
				if (streamId !== 0) throw protocolError('GOAWAY on a stream');
				if (length < 8) throw frameSize('GOAWAY');
				this.#onGoaway(buffer, start, end);
				break;
			case FrameType.PRIORITY:
				this.#onPriority(streamId, buffer, start, length);
				break;
			case FrameType.PUSH_PROMISE:
				throw protocolError('PUSH_PROMISE although pushes are off');
			default:
				// RFC 9113 section 4.1: unknown types are ignored.
				break;
		}
	}

	#onHeaders(flags: number, streamId: number, buffer: Buffer, from: number, to: number): void {
		if (streamId === 0) throw protocolError('HEADERS on stream 0');
		let start = from;
		let end = to;
		if ((flags & Flag.PADDED) !== 0) {
			const padding = start < end ? (buffer[start] as number) : 0;
			start++;
			end -= padding;
			if (end < start) throw protocolError('more padding than payload');
		}
		let selfDependent = false;
		if ((flags & Flag.PRIORITY) !== 0) {
			if (end - start < 5) throw frameSize('HEADERS');
			selfDependent = (buffer.readUInt32BE(start) & 0x7fff_ffff) === streamId;
			start += 5;
		}
		const endStream = (flags & Flag.END_STREAM) !== 0;
		if ((flags & Flag.END_HEADERS) !== 0) {
			this.#onBlock(streamId, endStream, buffer, start, end, selfDependent);
		} else {
			this.#block.begin(streamId, endStream, selfDependent);
			this.#block.add(buffer, start, end);
		}
	}

	/** A whole header block. It is always decoded, whatever becomes of it: the compression state must stay in step. */
	#onBlock(id: number, endStream: boolean, block: Buffer, start: number, end: number, selfDependent: boolean): void {
		const fields = this.#decoder.decode(block, start, end);
		let stream = this.#streams.get(id);
		if (stream === undefined) {
			if (this.role === 'server' && (id & 1) === 1 && id > this.#lastPeerStreamId) {
				stream = this.#accept(id, fields, endStream, selfDependent);
				if (stream) this.#afterSection(stream, endStream);
				return;
			}
			if (this.#isIdle(id)) throw protocolError(`HEADERS on stream ${id}, which nobody opened`);
		}
		if (!this.#admit(id, stream, Received.HEADERS) || stream === undefined) return;
		try {
			if (this.#decoder.overflow) throw new StreamError(ErrorCode.ENHANCE_YOUR_CALM, 'the field section is too large');
			if (selfDependent) throw new StreamError(ErrorCode.PROTOCOL_ERROR, 'a stream cannot depend on itself');
			stream.neverIndexed = this.#decoder.neverIndexed;
			if (stream.headersSeen) this.#onTrailers(stream, fields, endStream);
			else this.#onResponse(stream, fields, endStream);
		} catch (error) {
			this.#streamFault(stream, error);
		}
		this.#afterSection(stream, endStream);
	}

	#afterSection(stream: Stream, endStream: boolean): void {
		if (endStream && !stream.closed) this.#endOf(stream);
	}

	/** Server role: HEADERS opened a stream. */
	#accept(id: number, fields: FieldList, endStream: boolean, selfDependent: boolean): Stream | undefined {
		this.#lastPeerStreamId = id;
		if (id > this.#goawaySent) {
			// Its body is passed over too.
			this.#rememberReset(id);
			return undefined;
		}
		if (this.#streams.size >= this.#mostStreams()) {
			this.#answerWithReset(id, ErrorCode.REFUSED_STREAM);
			return undefined;
		}
		const stream = this.#open(id, unowned, false);
		try {
			if (selfDependent) throw new StreamError(ErrorCode.PROTOCOL_ERROR, 'a stream cannot depend on itself');
			if (this.#decoder.overflow) {
				stream.respond([':status', '431'], true);
				stream.reset(ErrorCode.NO_ERROR);
				return undefined;
			}
			const { contentLength } = checkRequest(fields);
			stream.headersSeen = true;
			stream.expected = contentLength;
			if (endStream && contentLength > 0) throw shortBody(contentLength, 0);
			stream.neverIndexed = this.#decoder.neverIndexed;
			const handler = this.#handler.stream?.(stream, fields, endStream) ?? null;
			if (handler) stream.handler = handler;
			else stream.reset(ErrorCode.REFUSED_STREAM);
		} catch (error) {
			this.#streamFault(stream, error);
		}
		return stream;
	}

	/**
	 * What we let the peer have open: the newest announcement may not have reached it, so the larger one counts. A limit holds
	 * from the first announcement on, or a peer that never acknowledges it would have none.
	 */
	#mostStreams(): number {
		let most = this.local.maxConcurrentStreams;
		const first = this.#announced[0]?.maxConcurrentStreams;
		if (most === Number.POSITIVE_INFINITY && first !== undefined) most = first;
		for (const settings of this.#announced) most = Math.max(most, settings.maxConcurrentStreams ?? 0);
		return most;
	}

	/** Client role: a response's header section, 1xx or final. */
	#onResponse(stream: Stream, fields: FieldList, endStream: boolean): void {
		const { status, contentLength } = checkResponse(fields);
		if (status < 200) {
			if (endStream || status === 101) throw new StreamError(ErrorCode.PROTOCOL_ERROR, `malformed ${status} response`);
			stream.handler.information?.(stream, fields);
			return;
		}
		stream.headersSeen = true;
		stream.expected = stream.bodiless || status === 304 || status === 204 ? -1 : contentLength;
		if (endStream && stream.expected > 0) throw shortBody(stream.expected, 0);
		stream.handler.headers?.(stream, fields, endStream);
	}

	#onTrailers(stream: Stream, fields: FieldList, endStream: boolean): void {
		if (!endStream) throw new StreamError(ErrorCode.PROTOCOL_ERROR, 'a second header section that ends nothing');
		checkTrailers(fields);
		if (stream.expected >= 0 && stream.received !== stream.expected) throw shortBody(stream.expected, stream.received);
		stream.handler.trailers?.(stream, fields);
	}

	#dataBegin(id: number, flags: number, length: number): void {
		if (this.#block.open) throw protocolError('a header block was interrupted by DATA');
		if (!this.#sawSettings) throw protocolError('the first frame must be SETTINGS');
		if (id === 0) throw protocolError('DATA on stream 0');
		if (!this.#receiveWindow.receive(length)) {
			throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'more DATA than the connection window allows');
		}
		// Connection credit returns on receipt: a stream whose reader is slow must not hold up the others.
		if (this.#receiveWindow.read(length)) this.#creditConnection();
		this.#dataEnds = (flags & Flag.END_STREAM) !== 0;
		this.#dataPadded = (flags & Flag.PADDED) !== 0;
		this.#dataLeft = length;
		this.#padding = 0;
		if (this.#dataPadded && length === 0) throw frameSize('DATA');
		const stream = this.#streams.get(id);
		this.#dataStream = null;
		if (stream === undefined && this.#isIdle(id)) throw protocolError('DATA on an idle stream');
		if (!this.#admit(id, stream, Received.DATA) || stream === undefined) return;
		if (!stream.headersSeen) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'DATA before HEADERS'));
		} else if (!stream.receiveWindow.receive(length)) {
			this.#breach(stream, new StreamError(ErrorCode.FLOW_CONTROL_ERROR, 'more DATA than the stream window allows'));
		} else {
			this.#dataStream = stream;
		}
	}

	#dataBytes(chunk: Buffer, from: number, to: number): void {
		let start = from;
		this.#dataLeft -= to - from;
		if (this.#dataPadded) {
			this.#dataPadded = false;
			this.#padding = chunk[start] as number;
			start++;
			if (this.#padding > this.#dataLeft + (to - start)) throw protocolError('more padding than payload');
			this.#dataStream?.consume(1 + this.#padding);
		}
		const end = Math.min(to, to + this.#dataLeft - this.#padding);
		const stream = this.#dataStream;
		if (stream === null || end <= start) return;
		stream.received += end - start;
		if (stream.expected >= 0 && stream.received > stream.expected) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'more DATA than Content-Length says'));
			return;
		}
		try {
			stream.handler.data(stream, start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	#dataEnd(): void {
		const stream = this.#dataStream;
		this.#dataStream = null;
		if (stream === null || !this.#dataEnds || stream.closed) return;
		if (stream.expected >= 0 && stream.received !== stream.expected) {
			this.#breach(stream, shortBody(stream.expected, stream.received));
		} else {
			this.#endOf(stream);
		}
	}

	#endOf(stream: Stream): void {
		try {
			stream.endReceived();
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	#onReset(id: number, code: number): void {
		if (id === 0) throw protocolError('RST_STREAM on stream 0');
		const stream = this.#streams.get(id);
		if (stream === undefined && this.#isIdle(id)) throw protocolError('RST_STREAM on an idle stream');
		if (!this.#admit(id, stream, Received.RST_STREAM) || stream === undefined) return;
		if (this.role === 'client' && stream.state === StreamState.HALF_CLOSED_REMOTE) {
			// The response is complete: the server only wants no more of the request (RFC 9113 section 8.1).
			stream.leave(StreamState.CLOSED);
			return;
		}
		const failure: StreamFailure = {
			kind: 'reset',
			code,
			started: code !== ErrorCode.REFUSED_STREAM,
			message: `the peer reset the stream: ${errorCodeName(code)}`,
		};
		this.#guard(stream, () => stream.fail(failure));
	}

	#onWindowUpdate(id: number, increment: number): void {
		if (id === 0) {
			if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
			this.#sendWindow += increment;
			if (this.#sendWindow > MAX_WINDOW) {
				throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'the connection window went over 2^31-1');
			}
			if (this.#scheduler.size > 0) this.#scheduleFlush();
			return;
		}
		const stream = this.#streams.get(id);
		if (stream === undefined && this.#isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream');
		if (!this.#admit(id, stream, Received.WINDOW_UPDATE) || stream === undefined) return;
		if (increment === 0) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0'));
			return;
		}
		stream.sendWindow += increment;
		if (stream.sendWindow > MAX_WINDOW) {
			this.#breach(stream, new StreamError(ErrorCode.FLOW_CONTROL_ERROR, 'the window went over 2^31-1'));
		} else if (stream.sendable) {
			this.ready(stream);
		}
	}

	#onSettings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
		if (streamId !== 0) throw protocolError('SETTINGS on a stream');
		if ((flags & Flag.ACK) !== 0) {
			if (end !== start) throw frameSize('SETTINGS');
			this.#onSettingsAck();
			return;
		}
		if ((end - start) % 6 !== 0) throw frameSize('SETTINGS');
		const before = this.remote.initialWindowSize;
		for (let at = start; at < end; at += 6) {
			applySetting(this.remote, buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2), this.role === 'client');
		}
		this.#encoder.setPeerTableSize(this.remote.headerTableSize);
		const delta = this.remote.initialWindowSize - before;
		if (delta !== 0) this.#shiftSendWindows(delta);
		this.#sawSettings = true;
		this.#writer.settingsAck();
		this.#scheduleFlush();
		this.#handler.settings?.(this, this.remote);
		this.#countAnswer();
	}

	/** RFC 9113 section 6.9.2. */
	#shiftSendWindows(delta: number): void {
		for (const stream of this.#streams.values()) {
			stream.sendWindow += delta;
			if (stream.sendWindow > MAX_WINDOW) {
				throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a stream window went over 2^31-1');
			}
			if (delta > 0 && stream.sendable) this.ready(stream);
		}
	}

	#onSettingsAck(): void {
		const settings = this.#announced.shift();
		if (settings === undefined) throw protocolError('SETTINGS acknowledged that were never sent');
		const before = this.local.initialWindowSize;
		Object.assign(this.local, settings);
		if (settings.maxFrameSize !== undefined) this.#reader.maxFrameSize = settings.maxFrameSize;
		if (settings.headerTableSize !== undefined) this.#decoder.setMaxTableSize(settings.headerTableSize);
		const delta = this.local.initialWindowSize - before;
		if (delta !== 0) for (const stream of this.#streams.values()) stream.receiveWindow.shift(delta);
		if (this.#wanted !== null) {
			const wanted = this.#wanted;
			this.#wanted = null;
			this.#announce(wanted);
		}
		this.#handler.settingsAcknowledged?.(this);
	}

	#onPing(payload: Buffer): void {
		if (this.#handler.holdPings?.()) {
			if (this.#heldPings.length >= 64) this.#heldPings.shift();
			this.#heldPings.push(payload);
		} else {
			this.#answerPing(payload);
		}
	}

	#answerPing(payload: Buffer): void {
		this.#writer.ping(payload, true);
		this.#countAnswer();
		this.#scheduleFlush();
	}

	#onPong(buffer: Buffer, start: number): void {
		const rtt = this.#pings.answered(buffer, start);
		if (rtt !== null && (this.rtt === 0 || rtt < this.rtt)) this.rtt = rtt;
	}

	#onGoaway(buffer: Buffer, start: number, end: number): void {
		const last = buffer.readUInt32BE(start) & 0x7fff_ffff;
		const code = buffer.readUInt32BE(start + 4);
		const debugData = buffer.toString('utf8', start + 8, Math.min(end, start + 8 + 256));
		this.#goawayReceived = true;
		if (this.role === 'client') {
			const failure: StreamFailure = {
				kind: 'goaway',
				code,
				started: false,
				message: `the peer is going away: ${errorCodeName(code)}`,
			};
			for (const stream of [...this.#streams.values()]) {
				if (stream.id > last) this.#guard(stream, () => stream.fail(failure));
			}
		}
		this.#handler.goaway?.(this, last, code, debugData);
		this.#finishIfDone();
	}

	#onPriority(streamId: number, buffer: Buffer, start: number, length: number): void {
		if (streamId === 0) throw protocolError('PRIORITY on stream 0');
		const stream = this.#streams.get(streamId);
		let error: StreamError | null = null;
		if (length !== 5) error = new StreamError(ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
		else if ((buffer.readUInt32BE(start) & 0x7fff_ffff) === streamId) {
			error = new StreamError(ErrorCode.PROTOCOL_ERROR, 'a stream cannot depend on itself');
		}
		if (error === null) return;
		if (stream) this.#breach(stream, error);
		else this.#answerWithReset(streamId, error.code);
	}

	/** Whether a frame for a stream is to be acted upon; deals with it if not. `stream` is undefined for one that is over. */
	#admit(id: number, stream: Stream | undefined, frame: Received): boolean {
		const state = stream?.state ?? (this.#resetByUs.has(id) ? StreamState.RESET_BY_US : StreamState.CLOSED);
		const verdict = verdictOn(state, frame);
		switch (verdict.do) {
			case 'accept':
				return true;
			case 'ignore':
				return false;
			case 'end-stream':
				if (stream) this.#breach(stream, new StreamError(verdict.code, 'a frame after the end of the stream'));
				else this.#answerWithReset(id, verdict.code);
				return false;
			case 'end-connection':
				throw new ConnectionError(verdict.code, 'a frame that its stream does not allow');
		}
	}

	/** Never opened by either side. */
	#isIdle(id: number): boolean {
		const ours = (id & 1) === (this.role === 'client' ? 1 : 0);
		return ours ? id >= this.#nextStreamId : id > this.#lastPeerStreamId;
	}

	// Writing.

	#open(id: number, handler: StreamHandler, bodiless: boolean): Stream {
		const stream = new Stream(this, id, handler, this.remote.initialWindowSize, this.local.initialWindowSize, bodiless);
		this.#streams.set(id, stream);
		return stream;
	}

	#writeHeaders(id: number, fields: FieldList, endStream: boolean, neverIndexed?: readonly string[]): void {
		const block = this.#encoder.encode(fields, neverIndexed);
		this.#writer.headers(id, block, endStream, this.remote.maxFrameSize);
		this.#scheduleFlush();
	}

	#announce(settings: Partial<Settings>): void {
		this.#announced.push(settings);
		this.#writer.settings(settingPairs(settings));
		this.#scheduleFlush();
	}

	#creditConnection(): void {
		const increment = this.#receiveWindow.credit(
			performance.now(),
			this.rtt,
			0,
			this.#maxConnectionWindow,
			this.#budget,
		);
		if (increment > 0) this.sendWindowUpdate(0, increment);
	}

	#rememberReset(id: number): void {
		this.#resetByUs.add(id);
		if (this.#resetByUs.size > CLOSED_REMEMBERED) {
			for (const oldest of this.#resetByUs) {
				this.#resetByUs.delete(oldest);
				break;
			}
		}
	}

	/** It ends the connection rather than throw, since our own user's resets count too. */
	/** A reset that the peer brought about, so that one who asks for many without reading them is cut off. */
	#answerWithReset(streamId: number, code: number): void {
		this.sendReset(streamId, code);
		this.#countAnswer();
	}

	#countAnswer(): void {
		if (++this.#unreadAnswers > MAX_UNREAD_ANSWERS) {
			this.destroy(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'the peer asks without reading the answers'));
		}
	}

	#scheduleFlush(): void {
		if (this.#flushScheduled || this.#closed) return;
		this.#flushScheduled = true;
		setImmediate(this.#flush);
	}

	readonly #flush = (): void => {
		this.#flushScheduled = false;
		if (this.#closed) return;
		try {
			this.#flushing = true;
			this.#fillWithData();
			this.#flushing = false;
			this.#writeOut();
			this.#finishIfDone();
		} catch (error) {
			this.#flushing = false;
			this.#fail(error);
		}
	};

	/** Lets streams take turns until the socket has enough, the connection window is used up, or nothing is left. */
	#fillWithData(): void {
		const scheduler = this.#scheduler;
		let room = this.#unsentLimit - this.socket.writableLength - this.#writer.pending;
		let turns = scheduler.size;
		while (turns-- > 0 || scheduler.size > 0) {
			const stream = scheduler.next();
			if (stream === undefined) return;
			if (!stream.sendable) continue;
			if (stream.hasBytes && (room <= 0 || this.#sendWindow <= 0)) {
				scheduler.add(stream);
				// One round suffices to let those out that only end.
				if (turns <= 0) return;
				continue;
			}
			const frame = scheduler.size > 0 ? TURN_BYTES : this.remote.maxFrameSize;
			const sent = stream.transmit(this.#writer, Math.min(frame, this.#sendWindow, Math.max(room, 1)));
			this.#sendWindow -= sent;
			room -= sent;
			if (stream.sendable) scheduler.add(stream);
		}
	}

	#writeOut(): void {
		if (this.#writer.pending === 0) return;
		const socket = this.socket;
		const parts = this.#writer.take();
		if (parts.length === 1) {
			socket.write(parts[0] as Buffer, this.#written);
		} else {
			socket.cork();
			const last = parts.length - 1;
			for (let i = 0; i < last; i++) socket.write(parts[i] as Buffer);
			socket.write(parts[last] as Buffer, this.#written);
			socket.uncork();
		}
		if (socket.writableLength > 0) this.#stuck = true;
		if (this.#recyclable && socket.writableLength === 0) this.#writer.recycle();
		else this.#writer.abandon();
	}

	/** The kernel took a write. */
	readonly #written = (error?: Error | null): void => {
		if (error || this.#closed) return;
		// A write that the kernel's buffer took at once says nothing of the peer.
		if (this.#stuck) this.progress++;
		if (this.socket.writableLength === 0) {
			this.#stuck = false;
			this.#unreadAnswers = 0;
		}
		if (this.#scheduler.size > 0) this.#scheduleFlush();
	};

	// The end.

	readonly #onEnd = (): void => {
		if (this.#goawayReceived || this.#shuttingDown) this.#end(this.#streams.size > 0 ? lost() : null);
		else this.#end(lost());
	};

	readonly #onError = (error: Error): void => {
		this.#end(error);
	};

	readonly #onClose = (): void => {
		this.#end(this.#shuttingDown && this.#streams.size === 0 ? null : lost());
	};

	/** After a shutdown by either side: closes the socket once nothing is open and everything is written. */
	#finishIfDone(): void {
		if (this.#closed || this.#flushing || this.#streams.size > 0 || this.#writer.pending > 0) return;
		const weAreDone = this.role === 'server' ? this.#goawaySent !== Number.POSITIVE_INFINITY : this.#shuttingDown;
		if (weAreDone || (this.#goawayReceived && this.role === 'client')) this.#end(null);
	}

	#end(error: Error | null): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#error = error;
		this.#reader.stop();
		this.#scheduler.clear();
		this.#pings.clear();
		this.#heldPings = [];
		const failure: StreamFailure = {
			kind: 'lost',
			code: error instanceof ConnectionError ? error.code : ErrorCode.NO_ERROR,
			started: true,
			message: error ? error.message : 'the connection was closed',
		};
		for (const stream of [...this.#streams.values()]) {
			try {
				stream.fail(failure);
			} catch (fault) {
				this.#handler.fault?.(this, fault);
			}
		}
		this.#receiveWindow.close(this.#budget);
		const socket = this.socket;
		socket.off('data', this.#onBytes);
		socket.resume();
		if (error === null || error instanceof ConnectionError) endThenDestroy(socket, error === null);
		else socket.destroy();
		this.#handler.closed(this, error);
	}

	/** Why the connection ended, once it has. */
	get error(): Error | null {
		return this.#error;
	}
}

/** Who hears of a stream until the session's handler has said who does. */
const unowned: StreamHandler = {
	data() {},
	end() {},
	failed() {},
};

/**
 * Lets what was written out, then waits for the peer's end: closing a socket with unread bytes in it would take from the peer
 * what it has not read yet. A peer that does not end gets a second.
 * @param patient whether more than a second may pass until all is written
 */
function endThenDestroy(socket: Duplex, patient: boolean): void {
	if (socket.destroyed) return;
	let timer = setTimeout(() => socket.destroy(), patient ? LAST_WRITE_MS : LAST_READ_MS);
	socket.once('close', () => clearTimeout(timer));
	socket.end(() => {
		clearTimeout(timer);
		if (socket.destroyed) return;
		timer = setTimeout(() => socket.destroy(), LAST_READ_MS);
	});
}

function protocolError(message: string): ConnectionError {
	return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

function frameSize(what: string): ConnectionError {
	return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} of a wrong size`);
}

function shortBody(expected: number, received: number): StreamError {
	return new StreamError(ErrorCode.PROTOCOL_ERROR, `Content-Length says ${expected} bytes, ${received} came`);
}

function lost(): Error {
	return new Error('the connection was lost');
}

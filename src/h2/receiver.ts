/**
 * What received frames do to streams: each is admitted by its stream's state, messages are checked, and their owners told. A fault
 * of one message ends its stream, a fault of the connection is thrown. Owns which streams there are and the connection's
 * receive window; knows nothing of sockets.
 */

import type { StreamFrames } from './frame-parser.ts';
import { FRAME_BYTES } from './frame-writer.ts';
import type { HpackDecoder } from './hpack-decoder.ts';
import { OVERSIZED_BYTES } from './limits.ts';
import { checkComplete, receiveBytes, receiveRequest, receiveResponse, receiveTrailers } from './message-rules.ts';
import type { Outbound } from './outbound.ts';
import type { PeerBudget } from './peer-budget.ts';
import {
	ConnectionError,
	DEFAULT_WINDOW,
	ErrorCode,
	errorCodeName,
	type FieldList,
	MAX_WINDOW,
	StreamError,
} from './protocol.ts';
import type { Session } from './session.ts';
import { Stream, type StreamFailure, type StreamHandler } from './stream.ts';
import { Received, StreamState, verdictOn } from './stream-state.ts';
import { StreamTable } from './stream-table.ts';
import { openingConnectionWindow, ReceiveWindow, type WindowBudget } from './window.ts';

export interface ReceiverOptions {
	readonly outbound: Outbound;
	readonly decoder: HpackDecoder;
	/** Growth of this connection's windows. */
	readonly budget: WindowBudget;
	/** The largest that the connection's window may become. */
	readonly maxConnectionWindow: number;
	/** Resets of streams without a response. */
	readonly resets: PeerBudget;
	/** How many streams the peer may have open. */
	readonly mostStreams: () => number;
	/** Server role: see SessionHandler.stream. */
	readonly accept: (stream: Stream, fields: FieldList, endStream: boolean) => StreamHandler | null;
	/** A handler threw what is no protocol error. */
	readonly fault: (error: unknown) => void;
}

export class Receiver implements StreamFrames {
	readonly streams: StreamTable;
	readonly window = new ReceiveWindow(DEFAULT_WINDOW);
	readonly #session: Session;
	readonly #options: ReceiverOptions;
	readonly #outbound: Outbound;
	/** Whose DATA is being read; null if it is passed over. */
	#reading: Stream | null = null;

	constructor(session: Session, options: ReceiverOptions) {
		this.#session = session;
		this.#options = options;
		this.#outbound = options.outbound;
		this.streams = new StreamTable(session.role);
	}

	/** A stream that one of both sides opened. */
	open(id: number, handler: StreamHandler, method: string): Stream {
		const { remote, local } = this.#session;
		const stream = new Stream(this.#session, id, handler, remote.initialWindowSize, local.initialWindowSize, method);
		this.streams.add(stream);
		return stream;
	}

	/** A stream is over. */
	left(stream: Stream): void {
		this.streams.remove(stream);
		if (stream.responded) this.#options.resets.earn();
		stream.receiveWindow.close(this.#options.budget);
		if (this.#reading === stream) this.#reading = null;
	}

	/** All streams fail; handlers that throw hold up nothing. */
	failAll(failure: StreamFailure): void {
		for (const stream of this.streams.all()) {
			try {
				stream.fail(failure);
			} catch (fault) {
				this.#options.fault(fault);
			}
		}
	}

	/** The peer's GOAWAY passed over the streams above `last` (RFC 9113 section 6.8). */
	failAbove(last: number, code: number): void {
		const failure: StreamFailure = {
			kind: 'goaway',
			code,
			started: false,
			message: `the peer is going away: ${errorCodeName(code)}`,
		};
		for (const stream of this.streams.all()) {
			if (stream.id <= last) continue;
			this.streams.passOver(stream.id);
			this.guard(stream, () => stream.fail(failure));
		}
	}

	/** Runs a handler's code so that what it throws ends its own stream only. */
	guard(stream: Stream, call: () => void): void {
		try {
			call();
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	reset(id: number, code: number): void {
		this.streams.passOver(id);
		this.#outbound.frames.rstStream(id, code);
		this.#outbound.schedule();
	}

	onSection(id: number, fields: FieldList, endStream: boolean, selfDependent: boolean): void {
		const known = this.streams.get(id);
		if (!this.#admit(id, known, Received.HEADERS)) return;
		const stream = known ?? this.#accept(id, fields, endStream, selfDependent);
		if (known) this.#nextSection(known, fields, endStream, selfDependent);
		if (stream && endStream && !stream.closed) this.#endOf(stream);
	}

	#nextSection(stream: Stream, fields: FieldList, endStream: boolean, selfDependent: boolean): void {
		try {
			if (this.#options.decoder.overflow) {
				throw new StreamError(ErrorCode.ENHANCE_YOUR_CALM, 'the field section is too large');
			}
			if (selfDependent) throw selfDependence();
			stream.neverIndexed = this.#options.decoder.neverIndexed;
			this.#section(stream, fields, endStream);
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	#section(stream: Stream, fields: FieldList, endStream: boolean): void {
		const { handler } = stream;
		if (stream.headersSeen) {
			receiveTrailers(stream, fields, endStream);
			handler.trailers?.(stream, fields);
		} else if (receiveResponse(stream, fields, endStream)) {
			handler.headers?.(stream, fields, endStream);
		} else {
			handler.information?.(stream, fields);
		}
	}

	/** Server role: HEADERS opened a stream. */
	#accept(id: number, fields: FieldList, endStream: boolean, selfDependent: boolean): Stream | undefined {
		const { streams } = this;
		const { decoder, accept, mostStreams } = this.#options;
		streams.advancePeer(id);
		if (id > streams.refusedAbove) {
			// Its body is passed over too.
			this.#options.resets.spend();
			streams.passOver(id);
			return undefined;
		}
		if (streams.size >= mostStreams() || this.#outbound.backlogged) {
			this.#answerWithReset(id, ErrorCode.REFUSED_STREAM);
			return undefined;
		}
		const stream = this.open(id, unowned, '');
		try {
			if (selfDependent) throw selfDependence();
			if (decoder.overflow) {
				stream.respond([':status', '431'], true);
				// It is no work done that would pay for a reset.
				if (stream.closed) this.#options.resets.spend();
				else this.#resetForPeer(stream, ErrorCode.NO_ERROR);
				this.#options.resets.spend();
				return undefined;
			}
			receiveRequest(stream, fields, endStream);
			stream.neverIndexed = decoder.neverIndexed;
			const handler = accept(stream, fields, endStream);
			if (handler) stream.handler = handler;
			else if (stream.writable) this.#resetForPeer(stream, ErrorCode.REFUSED_STREAM);
			else stream.reset(ErrorCode.NO_ERROR);
		} catch (error) {
			this.#streamFault(stream, error);
		}
		return stream;
	}

	/** Its stream's reset costs one more. */
	onOversized(blockBytes: number): void {
		this.#options.resets.spend(Math.ceil(blockBytes / OVERSIZED_BYTES));
	}

	onData(id: number, length: number): void {
		const { window } = this;
		if (!window.receive(length)) {
			throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'more DATA than the connection window allows');
		}
		if (window.idle) window.begin(performance.now());
		// Connection credit returns on receipt: a stream whose reader is slow must not hold up the others.
		if (window.read(length)) this.#creditConnection();
		const stream = this.streams.get(id);
		this.#reading = null;
		if (!this.#admit(id, stream, Received.DATA) || stream === undefined) return;
		if (!stream.headersSeen) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'DATA before HEADERS'));
		} else if (!stream.receiveWindow.receive(length)) {
			this.#breach(stream, new StreamError(ErrorCode.FLOW_CONTROL_ERROR, 'more DATA than the stream window allows'));
		} else {
			this.#reading = stream;
			if (stream.receiveWindow.idle) stream.receiveWindow.begin(performance.now());
		}
	}

	onPadding(bytes: number): void {
		this.#reading?.consume(bytes);
	}

	onBytes(chunk: Buffer, start: number, end: number): void {
		const stream = this.#reading;
		if (stream === null) return;
		if (!receiveBytes(stream, end - start)) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'more DATA than the message may have'));
			return;
		}
		try {
			stream.handler.data(stream, start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	onDataEnd(endStream: boolean): void {
		const stream = this.#reading;
		this.#reading = null;
		if (stream === null || !endStream || stream.closed) return;
		try {
			checkComplete(stream);
		} catch (error) {
			this.#streamFault(stream, error);
			return;
		}
		this.#endOf(stream);
	}

	#endOf(stream: Stream): void {
		try {
			stream.endReceived();
		} catch (error) {
			this.#streamFault(stream, error);
		}
	}

	onReset(id: number, code: number): void {
		const stream = this.streams.get(id);
		if (!this.#admit(id, stream, Received.RST_STREAM) || stream === undefined) return;
		if (this.#session.role === 'client' && stream.state === StreamState.HALF_CLOSED_REMOTE) {
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
		const isCancel = this.#session.role === 'server' && !stream.responded;
		this.guard(stream, () => stream.fail(failure));
		if (isCancel) this.#options.resets.spend();
	}

	/** For a stream, not for the connection. */
	onWindowUpdate(id: number, increment: number): void {
		const stream = this.streams.get(id);
		if (!this.#admit(id, stream, Received.WINDOW_UPDATE) || stream === undefined) return;
		if (increment === 0) {
			this.#breach(stream, new StreamError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0'));
			return;
		}
		stream.sendWindow += increment;
		if (stream.sendWindow > MAX_WINDOW) {
			this.#breach(stream, new StreamError(ErrorCode.FLOW_CONTROL_ERROR, 'the window went over 2^31-1'));
		} else if (stream.sendable) {
			this.#outbound.ready(stream);
		}
	}

	/** The peer's SETTINGS_INITIAL_WINDOW_SIZE changed by `delta` (RFC 9113 section 6.9.2). */
	shiftSendWindows(delta: number): void {
		for (const stream of this.streams.all()) {
			stream.sendWindow += delta;
			if (stream.sendWindow > MAX_WINDOW) {
				throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a stream window went over 2^31-1');
			}
			if (delta > 0 && stream.sendable) this.#outbound.ready(stream);
		}
	}

	onPriority(id: number, fault: 'size' | 'self-dependent' | null): void {
		if (fault === null) return;
		const error =
			fault === 'size' ? new StreamError(ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of a wrong size') : selfDependence();
		const stream = this.streams.get(id);
		if (stream) {
			this.#breach(stream, error);
			return;
		}
		const state = this.streams.stateOf(id);
		// RST_STREAM may not be sent on an idle stream (section 6.4), so this ends more (section 5.4.1).
		if (state <= StreamState.IDLE) throw new ConnectionError(error.code, error.message);
		if (state !== StreamState.RESET_BY_US) this.#answerWithReset(id, error.code);
	}

	/** Whether a frame for a stream is to be acted upon; deals with it if not. `stream` is undefined for one that is over. */
	#admit(id: number, stream: Stream | undefined, frame: Received): boolean {
		const verdict = verdictOn(stream?.state ?? this.streams.stateOf(id), frame);
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
				throw new ConnectionError(
					verdict.code,
					`${receivedName(frame)} on stream ${id}, whose state does not allow it`,
				);
		}
	}

	#streamFault(stream: Stream, error: unknown): void {
		if (error instanceof ConnectionError) throw error;
		if (error instanceof StreamError) {
			this.#breach(stream, error);
			return;
		}
		this.#options.fault(error);
		stream.reset(ErrorCode.INTERNAL_ERROR);
	}

	/** The peer broke a rule on one stream: it is reset, and its owner told. */
	#breach(stream: Stream, error: StreamError): void {
		if (stream.closed) return;
		this.#answerWithReset(stream.id, error.code);
		const failure: StreamFailure = { kind: 'protocol', code: error.code, started: true, message: error.message };
		this.guard(stream, () => stream.fail(failure, StreamState.RESET_BY_US));
	}

	/** A reset that the peer brought about, so that one who asks for many without reading them is cut off. */
	#answerWithReset(id: number, code: number): void {
		this.reset(id, code);
		this.#outbound.countAnswer(FRAME_BYTES.RST_STREAM);
		this.#options.resets.spend();
	}

	/** The same for a stream that an owner need not hear of. */
	#resetForPeer(stream: Stream, code: number): void {
		if (stream.closed) return;
		stream.reset(code);
		this.#outbound.countAnswer(FRAME_BYTES.RST_STREAM);
		this.#options.resets.spend();
	}

	/** Its growth costs nothing: what is received lies in the windows of streams. */
	#creditConnection(): void {
		const { maxConnectionWindow } = this.#options;
		const { rtt } = this.#session;
		const floor = openingConnectionWindow(rtt);
		const increment = this.window.credit(performance.now(), rtt, floor, maxConnectionWindow, null);
		if (increment > 0) {
			this.#outbound.frames.windowUpdate(0, increment);
			this.#outbound.countAnswer(FRAME_BYTES.WINDOW_UPDATE);
			this.#outbound.schedule();
		}
	}
}

/** Who hears of a stream until the session's handler has said who does. */
const unowned: StreamHandler = {
	data() {},
	end() {},
	failed() {},
};

function receivedName(frame: Received): string {
	return Object.keys(Received)[frame] ?? 'a frame';
}

function selfDependence(): StreamError {
	return new StreamError(ErrorCode.PROTOCOL_ERROR, 'a stream cannot depend on itself');
}

/**
 * Frames into calls with what their payloads say: sizes, padding and the order of header blocks are checked here, header blocks
 * are put together and decompressed (RFC 9113 sections 4.3 and 6). What a frame does to a stream is its listeners' business.
 */
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HeaderBlock } from './header-block.ts';
import type { HpackDecoder } from './hpack-decoder.ts';
import { EXTENSION_PAYLOAD } from './limits.ts';
import { ConnectionError, ErrorCode, type FieldList, Flag, FrameType } from './protocol.ts';
import type { Settings } from './settings.ts';

/** Frames that concern streams. What throws a ConnectionError ends the connection. */
export interface StreamFrames {
	/** A whole section, whatever becomes of it; limits and never-indexed names are in the decoder until the next one. */
	onSection(id: number, fields: FieldList, endStream: boolean, selfDependent: boolean): void;
	/** The section told next is over a limit: so many bytes were decoded for nothing. */
	onOversized(blockBytes: number): void;
	/** A DATA frame begins; its bytes follow. `length` counts padding. */
	onData(id: number, length: number): void;
	/** Padding and its length, which count in flow control and mean nothing. */
	onPadding(bytes: number): void;
	onBytes(chunk: Buffer, start: number, end: number): void;
	onDataEnd(endStream: boolean): void;
	onReset(id: number, code: number): void;
	/** RFC 9113 section 5.3.2: priorities are ignored, malformed ones are stream errors. */
	onPriority(id: number, fault: 'size' | 'self-dependent' | null): void;
}

/** Frames that concern the connection; what throws ends it too. */
export interface ConnectionFrames {
	/** Of a stream as well. */
	onWindowUpdate(id: number, increment: number): void;
	/** The payload is `buffer[start, end)`. */
	onSettings(buffer: Buffer, start: number, end: number): void;
	onSettingsAck(): void;
	onPing(payload: Buffer): void;
	onPong(buffer: Buffer, start: number): void;
	onGoaway(lastStreamId: number, code: number, debugData: string): void;
	/** A frame of a type that RFC 9113 does not define, of a size that may be told; the payload is `buffer[start, end)`. */
	onExtension(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void;
	/** The frame that is being read carries no part of a message (limits.ts); what it says is told as well. */
	onOverhead(): void;
}

/** Debug data of a GOAWAY that is read, in bytes. */
const MOST_DEBUG_DATA = 256;

export class FrameParser implements FrameSink {
	readonly decoder: HpackDecoder;
	readonly #reader: FrameReader;
	readonly #block: HeaderBlock;
	readonly #streams: StreamFrames;
	readonly #connection: ConnectionFrames;
	#sawSettings = false;
	/** Frames that were read to their end, those of one header block together. */
	finished = 0;
	/** Of the DATA frame being read. */
	#ends = false;
	#padded = false;
	#left = 0;
	#padding = 0;
	#isEmpty = true;

	/** True while the peer owes the rest of what it has begun: the preface with its SETTINGS, a frame, a header block. */
	get unfinished(): boolean {
		return !this.#sawSettings || this.#block.open || this.#reader.isGathering;
	}

	/** @param maxListSize the largest field section that is accepted, uncompressed */
	constructor(
		decoder: HpackDecoder,
		maxListSize: number,
		maxFrameSize: number,
		expectPreface: boolean,
		streams: StreamFrames,
		connection: ConnectionFrames,
	) {
		this.decoder = decoder;
		this.#block = new HeaderBlock(maxListSize);
		this.#streams = streams;
		this.#connection = connection;
		this.#reader = new FrameReader(this, maxFrameSize, expectPreface);
	}

	/** What the peer has acknowledged of our settings. */
	setLimits({ maxFrameSize, maxHeaderListSize, headerTableSize }: Partial<Settings>): void {
		if (maxFrameSize !== undefined) this.#reader.maxFrameSize = maxFrameSize;
		if (headerTableSize !== undefined) this.decoder.setMaxTableSize(headerTableSize);
		if (maxHeaderListSize === undefined) return;
		this.decoder.setMaxListSize(maxHeaderListSize);
		this.#block.maxListSize = maxHeaderListSize;
	}

	/** @throws ConnectionError, and whatever is told throws */
	push(chunk: Buffer): void {
		this.#reader.push(chunk);
	}

	/** Nothing more is told, not even what is left of the chunk being read. */
	stop(): void {
		this.#reader.stop();
	}

	// FrameSink

	dataBegin(id: number, flags: number, length: number): void {
		if (this.#block.open) throw protocolError('a header block was interrupted by DATA');
		if (!this.#sawSettings) throw protocolError('the first frame must be SETTINGS');
		if (id === 0) throw protocolError('DATA on stream 0');
		this.#ends = (flags & Flag.END_STREAM) !== 0;
		this.#padded = (flags & Flag.PADDED) !== 0;
		this.#left = length;
		this.#padding = 0;
		this.#isEmpty = true;
		if (this.#padded && length === 0) throw frameSize('DATA');
		this.#streams.onData(id, length);
	}

	dataBytes(chunk: Buffer, from: number, to: number): void {
		let start = from;
		this.#left -= to - from;
		if (this.#padded) {
			this.#padded = false;
			this.#padding = chunk[start] as number;
			start++;
			if (this.#padding > this.#left + (to - start)) throw protocolError('more padding than payload');
			this.#streams.onPadding(1 + this.#padding);
		}
		const end = Math.min(to, to + this.#left - this.#padding);
		if (end <= start) return;
		this.#isEmpty = false;
		this.#streams.onBytes(chunk, start, end);
	}

	dataEnd(): void {
		this.finished++;
		if (this.#isEmpty && !this.#ends) this.#connection.onOverhead();
		this.#streams.onDataEnd(this.#ends);
	}

	frame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void {
		if (this.#block.open && (type !== FrameType.CONTINUATION || id !== this.#block.streamId)) {
			throw protocolError('a header block was interrupted by another frame');
		}
		if (!this.#sawSettings && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
			throw protocolError('the first frame must be SETTINGS');
		}
		this.#act(type, flags, id, buffer, start, end);
		if (!this.#block.open) this.finished++;
	}

	#act(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void {
		const length = end - start;
		const connection = this.#connection;
		switch (type) {
			case FrameType.HEADERS:
				this.#headers(flags, id, buffer, start, end);
				break;
			case FrameType.CONTINUATION:
				this.#continuation(flags, id, buffer, start, end);
				break;
			case FrameType.RST_STREAM:
				if (length !== 4) throw frameSize('RST_STREAM');
				if (id === 0) throw protocolError('RST_STREAM on stream 0');
				connection.onOverhead();
				this.#streams.onReset(id, buffer.readUInt32BE(start));
				break;
			case FrameType.WINDOW_UPDATE:
				if (length !== 4) throw frameSize('WINDOW_UPDATE');
				connection.onWindowUpdate(id, buffer.readUInt32BE(start) & 0x7fff_ffff);
				break;
			case FrameType.SETTINGS:
				if (id !== 0) throw protocolError('SETTINGS on a stream');
				connection.onOverhead();
				this.#settings(flags, buffer, start, end);
				break;
			case FrameType.PING:
				if (id !== 0) throw protocolError('PING on a stream');
				if (length !== 8) throw frameSize('PING');
				connection.onOverhead();
				if ((flags & Flag.ACK) !== 0) connection.onPong(buffer, start);
				else connection.onPing(Buffer.from(buffer.subarray(start, end)));
				break;
			case FrameType.GOAWAY:
				if (id !== 0) throw protocolError('GOAWAY on a stream');
				if (length < 8) throw frameSize('GOAWAY');
				connection.onOverhead();
				connection.onGoaway(
					buffer.readUInt32BE(start) & 0x7fff_ffff,
					buffer.readUInt32BE(start + 4),
					buffer.toString('utf8', start + 8, Math.min(end, start + 8 + MOST_DEBUG_DATA)),
				);
				break;
			case FrameType.PRIORITY: {
				if (id === 0) throw protocolError('PRIORITY on stream 0');
				connection.onOverhead();
				const selfDependent = length === 5 && (buffer.readUInt32BE(start) & 0x7fff_ffff) === id;
				this.#streams.onPriority(id, length !== 5 ? 'size' : selfDependent ? 'self-dependent' : null);
				break;
			}
			case FrameType.PUSH_PROMISE:
				throw protocolError('PUSH_PROMISE although pushes are off');
			default:
				// RFC 9113 section 4.1: unknown types are ignored, where nobody knows them.
				connection.onOverhead();
				if (length <= EXTENSION_PAYLOAD) connection.onExtension(type, flags, id, buffer, start, end);
				break;
		}
	}

	#headers(flags: number, id: number, buffer: Buffer, from: number, to: number): void {
		if (id === 0) throw protocolError('HEADERS on stream 0');
		const padded = (flags & Flag.PADDED) !== 0;
		const prioritized = (flags & Flag.PRIORITY) !== 0;
		const start = from + (padded ? 1 : 0) + (prioritized ? 5 : 0);
		if (start > to) throw frameSize('HEADERS');
		const end = padded ? to - (buffer[from] as number) : to;
		if (end < start) throw protocolError('more padding than payload');
		const selfDependent = prioritized && (buffer.readUInt32BE(start - 5) & 0x7fff_ffff) === id;
		const endStream = (flags & Flag.END_STREAM) !== 0;
		if ((flags & Flag.END_HEADERS) !== 0) {
			this.#section(id, endStream, selfDependent, buffer, start, end);
		} else {
			this.#block.begin(id, endStream, selfDependent);
			this.#block.add(buffer, start, end);
		}
	}

	#continuation(flags: number, id: number, buffer: Buffer, start: number, end: number): void {
		if (!this.#block.open) throw protocolError('CONTINUATION without HEADERS');
		this.#block.add(buffer, start, end);
		if ((flags & Flag.END_HEADERS) === 0) return;
		const block = this.#block.take();
		this.#section(id, this.#block.endStream, this.#block.selfDependent, block, 0, block.length);
	}

	/** Every block is decoded, whatever becomes of it: the compression state must stay in step. */
	#section(id: number, endStream: boolean, selfDependent: boolean, block: Buffer, start: number, end: number): void {
		const fields = this.decoder.decode(block, start, end);
		if (this.decoder.overflow) this.#streams.onOversized(end - start);
		this.#streams.onSection(id, fields, endStream, selfDependent);
	}

	#settings(flags: number, buffer: Buffer, start: number, end: number): void {
		if ((flags & Flag.ACK) !== 0) {
			if (end !== start) throw frameSize('SETTINGS');
			this.#connection.onSettingsAck();
			return;
		}
		if ((end - start) % 6 !== 0) throw frameSize('SETTINGS');
		this.#sawSettings = true;
		this.#connection.onSettings(buffer, start, end);
	}
}

export function protocolError(message: string): ConnectionError {
	return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

function frameSize(what: string): ConnectionError {
	return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} of a wrong size`);
}

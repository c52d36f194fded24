/**
 * Cuts a byte stream into HTTP/2 frames (RFC 9113 section 4.1).
 * DATA payloads are handed on as they arrive, never gathered or copied; every other frame is handed on whole.
 * It checks sizes only: what a frame means is its sink's business.
 */
import { CLIENT_PREFACE, ConnectionError, ErrorCode, FRAME_HEADER_BYTES, FrameType } from './protocol.ts';

export interface FrameSink {
	/** A DATA frame begins; `length` counts padding (RFC 9113 section 6.1). */
	dataBegin(streamId: number, flags: number, length: number): void;
	/** Bytes of that frame's payload, pad length and padding included. */
	dataBytes(chunk: Buffer, start: number, end: number): void;
	dataEnd(): void;
	/** Any other frame; its payload is `buffer[start, end)` and valid only during the call. */
	frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
}

const AT_PREFACE = 0;
const AT_HEADER = 1;
const IN_DATA = 2;
const IN_FRAME = 3;

const NOTHING = Buffer.alloc(0);

export class FrameReader {
	/** Largest payload that we announced in SETTINGS_MAX_FRAME_SIZE. */
	maxFrameSize: number;
	readonly #sink: FrameSink;
	#state: number;
	#stopped = false;
	/** What came of the preface or of a frame header that was cut by a chunk's end. */
	#partial = NOTHING;
	#have = 0;
	#left = 0;
	#type = 0;
	#flags = 0;
	#streamId = 0;

	constructor(sink: FrameSink, maxFrameSize: number, expectPreface: boolean) {
		this.#sink = sink;
		this.maxFrameSize = maxFrameSize;
		this.#state = expectPreface ? AT_PREFACE : AT_HEADER;
	}

	/** Nothing more is handed on, not even what is left of the chunk being read. */
	stop(): void {
		this.#stopped = true;
		this.#partial = NOTHING;
	}

	/** True between frames: nothing of a frame has been read and not handed on. */
	get atBoundary(): boolean {
		return this.#state === AT_HEADER && this.#have === 0;
	}

	/** True in the middle of the preface or of a frame other than DATA, whose payload is handed on as it comes. */
	get isGathering(): boolean {
		return this.#state !== IN_DATA && !this.atBoundary;
	}

	/** @throws ConnectionError for a bad preface or a frame over the size limit, and whatever the sink throws */
	push(chunk: Buffer): void {
		let at = 0;
		while (at < chunk.length && !this.#stopped) {
			switch (this.#state) {
				case AT_HEADER:
					at = this.#readHeader(chunk, at);
					break;
				case IN_DATA: {
					const end = Math.min(chunk.length, at + this.#left);
					this.#left -= end - at;
					this.#sink.dataBytes(chunk, at, end);
					at = end;
					if (this.#left === 0) this.#finishData();
					break;
				}
				case IN_FRAME:
					at = this.#gather(chunk, at);
					if (this.#have === this.#partial.length) this.#finishFrame();
					break;
				default:
					at = this.#readPreface(chunk, at);
			}
		}
	}

	#readPreface(chunk: Buffer, from: number): number {
		let at = from;
		while (at < chunk.length && this.#have < CLIENT_PREFACE.length) {
			if (chunk[at++] !== CLIENT_PREFACE[this.#have++]) {
				throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'the peer does not speak HTTP/2: bad connection preface');
			}
		}
		if (this.#have === CLIENT_PREFACE.length) {
			this.#have = 0;
			this.#state = AT_HEADER;
		}
		return at;
	}

	#readHeader(chunk: Buffer, from: number): number {
		let at = from;
		let head = chunk;
		let offset = at;
		if (this.#have > 0 || chunk.length - at < FRAME_HEADER_BYTES) {
			if (this.#have === 0) this.#partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
			at = this.#gather(chunk, at);
			if (this.#have < FRAME_HEADER_BYTES) return at;
			head = this.#partial;
			offset = 0;
			this.#have = 0;
		} else {
			at += FRAME_HEADER_BYTES;
		}
		const length = head.readUIntBE(offset, 3);
		const type = head[offset + 3] as number;
		this.#flags = head[offset + 4] as number;
		this.#streamId = head.readUInt32BE(offset + 5) & 0x7fff_ffff;
		this.#type = type;
		if (length > this.maxFrameSize) {
			throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes is over the announced size`);
		}
		if (type === FrameType.DATA) {
			this.#sink.dataBegin(this.#streamId, this.#flags, length);
			this.#left = length;
			this.#state = IN_DATA;
			if (length === 0) this.#finishData();
			return at;
		}
		if (chunk.length - at >= length) {
			this.#partial = NOTHING;
			this.#sink.frame(type, this.#flags, this.#streamId, chunk, at, at + length);
			return at + length;
		}
		this.#partial = Buffer.allocUnsafe(length);
		this.#state = IN_FRAME;
		return at;
	}

	#gather(chunk: Buffer, at: number): number {
		const n = Math.min(this.#partial.length - this.#have, chunk.length - at);
		chunk.copy(this.#partial, this.#have, at, at + n);
		this.#have += n;
		return at + n;
	}

	#finishData(): void {
		this.#state = AT_HEADER;
		this.#sink.dataEnd();
	}

	#finishFrame(): void {
		const payload = this.#partial;
		this.#partial = NOTHING;
		this.#have = 0;
		this.#state = AT_HEADER;
		this.#sink.frame(this.#type, this.#flags, this.#streamId, payload, 0, payload.length);
	}
}

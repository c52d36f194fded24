/**
 * Writes HTTP/2 frames into the bytes of one socket write (RFC 9113 section 4.1).
 * Frame headers and small payloads go into a slab, larger payloads are passed on by reference; take() yields the parts in order.
 * It knows nothing of windows, streams or sockets.
 */
import { Flag, FRAME_HEADER_BYTES, FrameType } from './protocol.ts';

const SLAB_BYTES = 32 * 1024;
/** Slabs kept for reuse by all writers of the process. */
const SPARE_SLABS = 64;
/** Payloads up to this size are cheaper to copy once into the slab than to send as a vector of their own. */
const COPY_BYTES = 1024;

const spare: Buffer[] = [];

/** Frames with a payload of fixed size, their header included. */
export const FRAME_BYTES = {
	PING: FRAME_HEADER_BYTES + 8,
	RST_STREAM: FRAME_HEADER_BYTES + 4,
	SETTINGS_ACK: FRAME_HEADER_BYTES,
	WINDOW_UPDATE: FRAME_HEADER_BYTES + 4,
} as const;

export class FrameWriter {
	#slab: Buffer | null = null;
	/** Where the part of the slab begins that is not yet among the parts. */
	#from = 0;
	#at = 0;
	#parts: Buffer[] = [];
	#slabs: Buffer[] = [];
	/** Bytes written and not yet taken. */
	pending = 0;

	/** RFC 9113 section 6.2, 6.10: a block over `maxFrameSize` goes on in CONTINUATION frames. */
	headers(streamId: number, block: Buffer, endStream: boolean, maxFrameSize: number): void {
		let flags = endStream ? Flag.END_STREAM : 0;
		let type: number = FrameType.HEADERS;
		let at = 0;
		while (block.length - at > maxFrameSize) {
			this.#header(maxFrameSize, type, flags, streamId);
			this.#copy(block, at, at + maxFrameSize);
			at += maxFrameSize;
			type = FrameType.CONTINUATION;
			flags = 0;
		}
		this.#header(block.length - at, type, flags | Flag.END_HEADERS, streamId);
		this.#copy(block, at, block.length);
	}

	/** The header of a DATA frame; exactly `length` bytes of payload() must follow. */
	data(streamId: number, length: number, endStream: boolean): void {
		this.#header(length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId);
	}

	payload(chunk: Buffer, start: number, end: number): void {
		if (end - start <= COPY_BYTES) {
			this.#copy(chunk, start, end);
			return;
		}
		this.#closePart();
		this.#parts.push(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
		this.pending += end - start;
	}

	rstStream(streamId: number, code: number): void {
		this.#header(4, FrameType.RST_STREAM, 0, streamId);
		this.#uint32(code);
	}

	windowUpdate(streamId: number, increment: number): void {
		this.#header(4, FrameType.WINDOW_UPDATE, 0, streamId);
		this.#uint32(increment);
	}

	/** @param pairs id, value, id, value … */
	settings(pairs: readonly number[]): void {
		this.#header((pairs.length / 2) * 6, FrameType.SETTINGS, 0, 0);
		for (let i = 0; i < pairs.length; i += 2) {
			const slab = this.#room(6);
			slab.writeUInt16BE(pairs[i] as number, this.#at);
			this.#advance(2);
			this.#uint32(pairs[i + 1] as number);
		}
	}

	settingsAck(): void {
		this.#header(0, FrameType.SETTINGS, Flag.ACK, 0);
	}

	ping(payload: Buffer, ack: boolean): void {
		this.#header(8, FrameType.PING, ack ? Flag.ACK : 0, 0);
		this.#copy(payload, 0, 8);
	}

	goaway(lastStreamId: number, code: number, debugData: Buffer): void {
		this.#header(8 + debugData.length, FrameType.GOAWAY, 0, 0);
		this.#uint32(lastStreamId);
		this.#uint32(code);
		this.#copy(debugData, 0, debugData.length);
	}

	/** A frame of any type, as it is. */
	extension(type: number, flags: number, streamId: number, payload: Buffer): void {
		this.#header(payload.length, type, flags, streamId);
		this.#copy(payload, 0, payload.length);
	}

	raw(bytes: Buffer): void {
		this.#copy(bytes, 0, bytes.length);
	}

	/** All parts written since the last take, in order. Their slabs stay untouched until recycle(). */
	take(): Buffer[] {
		this.#closePart();
		const parts = this.#parts;
		this.#parts = [];
		this.pending = 0;
		return parts;
	}

	/**
	 * Gives the slabs of everything taken back for reuse.
	 * Only for when the kernel, or a cipher, has its own copy of all of it and nothing is pending.
	 */
	recycle(): void {
		for (const slab of this.#slabs) if (spare.length < SPARE_SLABS) spare.push(slab);
		this.#slabs.length = 0;
		if (this.#slab && spare.length < SPARE_SLABS) spare.push(this.#slab);
		this.#slab = null;
		this.#from = this.#at = 0;
	}

	/** Forgets the slabs of everything taken: their bytes are still in use elsewhere, the garbage collector will free them. */
	abandon(): void {
		this.#slabs.length = 0;
	}

	#header(length: number, type: number, flags: number, streamId: number): void {
		const slab = this.#room(FRAME_HEADER_BYTES);
		const at = this.#at;
		slab[at] = length >>> 16;
		slab[at + 1] = length >>> 8;
		slab[at + 2] = length;
		slab[at + 3] = type;
		slab[at + 4] = flags;
		slab[at + 5] = streamId >>> 24;
		slab[at + 6] = streamId >>> 16;
		slab[at + 7] = streamId >>> 8;
		slab[at + 8] = streamId;
		this.#advance(FRAME_HEADER_BYTES);
	}

	#uint32(value: number): void {
		const slab = this.#room(4);
		slab.writeUInt32BE(value >>> 0, this.#at);
		this.#advance(4);
	}

	#copy(bytes: Buffer, start: number, end: number): void {
		let at = start;
		while (at < end) {
			const slab = this.#room(1);
			const n = Math.min(end - at, slab.length - this.#at);
			bytes.copy(slab, this.#at, at, at + n);
			this.#advance(n);
			at += n;
		}
	}

	#advance(n: number): void {
		this.#at += n;
		this.pending += n;
	}

	/** The slab with at least `n` bytes free at #at. */
	#room(n: number): Buffer {
		if (this.#slab && this.#slab.length - this.#at >= n) return this.#slab;
		this.#closePart();
		if (this.#slab) this.#slabs.push(this.#slab);
		this.#slab = spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
		this.#from = this.#at = 0;
		return this.#slab;
	}

	#closePart(): void {
		if (this.#slab && this.#at > this.#from) {
			this.#parts.push(this.#slab.subarray(this.#from, this.#at));
			this.#from = this.#at;
		}
	}
}

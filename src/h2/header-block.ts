/** Gathers a header block that comes in several frames, bounded in bytes and in frames (RFC 9113 section 4.3). */
import { ConnectionError, ErrorCode } from './protocol.ts';

/** A field section of the largest allowed size, badly compressed, in frames of the smallest sensible size. */
const MAX_FRAMES = 128;

export class HeaderBlock {
	open = false;
	streamId = 0;
	endStream = false;
	selfDependent = false;
	#maxBytes: number;
	#parts: Buffer[] = [];
	#bytes = 0;

	/** @param maxListSize the largest field section that will be accepted, uncompressed */
	constructor(maxListSize: number) {
		this.#maxBytes = 4 * maxListSize;
	}

	set maxListSize(size: number) {
		this.#maxBytes = 4 * size;
	}

	begin(streamId: number, endStream: boolean, selfDependent: boolean): void {
		this.open = true;
		this.streamId = streamId;
		this.endStream = endStream;
		this.selfDependent = selfDependent;
	}

	/** @throws ConnectionError when the block is larger than any section could need */
	add(buffer: Buffer, start: number, end: number): void {
		this.#bytes += end - start;
		this.#parts.push(Buffer.from(buffer.subarray(start, end)));
		if (this.#bytes > this.#maxBytes || this.#parts.length > MAX_FRAMES) {
			throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'a header block is too large');
		}
	}

	take(): Buffer {
		const block = Buffer.concat(this.#parts, this.#bytes);
		this.open = false;
		this.#parts = [];
		this.#bytes = 0;
		return block;
	}
}

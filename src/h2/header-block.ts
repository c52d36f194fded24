/** Gathers a header block that comes in several frames, bounded in bytes and in frames (RFC 9113 section 4.3). */
import { HEADER_BLOCK_FACTOR, HEADER_BLOCK_FRAMES } from './limits.ts';
import { ConnectionError, ErrorCode } from './protocol.ts';

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
		this.#maxBytes = HEADER_BLOCK_FACTOR * maxListSize;
	}

	set maxListSize(size: number) {
		this.#maxBytes = HEADER_BLOCK_FACTOR * size;
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
		if (this.#bytes > this.#maxBytes || this.#parts.length > HEADER_BLOCK_FRAMES) {
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

/**
 * Reads along at the start of each response on a connection, before undici does: for the version, which undici does not tell, and for a
 * 100 that nobody waits for, which it takes for an error although any client has to bear one (RFC 9110 section 15.2).
 */
import type { Socket } from 'node:net';

const INTERIM = 'HTTP/1.1 100';
const HEAD_END = Buffer.from('\r\n\r\n');
/** A longer one is left to undici, which ends the connection. */
const MAX_HELD = 16 * 1024;
const NOTHING = Buffer.alloc(0);

export class ResponseStart {
	#text = '';
	#looking = false;
	/** What may become a 100 that is not all there. */
	#held: Buffer | null = null;

	constructor(socket: Socket) {
		const { read } = socket;
		socket.read = (size?: number) => {
			for (;;) {
				const chunk: Buffer | null = read.call(socket, size);
				if (chunk === null || !this.#looking) return chunk;
				const rest = this.#look(chunk);
				if (rest.length > 0) return rest;
			}
		};
	}

	/** The next bytes are those of another response. */
	expect(): void {
		this.#text = '';
		this.#held = null;
		this.#looking = true;
	}

	/** Such as `1.1`; empty for what has none. */
	get version(): string {
		return /^HTTP\/(\d\.\d)/.exec(this.#text)?.[1] ?? '';
	}

	/** @returns the bytes that undici may see */
	#look(chunk: Buffer): Buffer {
		const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
		this.#held = null;
		let at = 0;
		while (bytes[at] === 0x0d || bytes[at] === 0x0a) at++;
		const text = bytes.toString('latin1', at, at + INTERIM.length);
		if (INTERIM.startsWith(text) && bytes.length < MAX_HELD) {
			const end = text === INTERIM ? bytes.indexOf(HEAD_END, at) : -1;
			if (end < 0) {
				this.#held = bytes;
				return NOTHING;
			}
			const rest = bytes.subarray(end + HEAD_END.length);
			return rest.length > 0 ? this.#look(rest) : NOTHING;
		}
		this.#text = text;
		this.#looking = false;
		return bytes;
	}
}

/** Connections that the hub ended because they took too long, or were not what they had to be: counted by the phase that they were in. */
import type { Logger } from '../shared/logger.ts';

/**
 * `proxy_header`: a trusted proxy's PROXY header was late or malformed. `tls_handshake`: it was late. `first_byte`: nothing was said.
 * `preface`: HTTP/2's began and did not end. `frame`: its first SETTINGS were late, or a frame or a header block did not
 * end. `headers`: a request's headers were late, in HTTP/1, or anything of one at the admin listener. `keep_alive`: idle for long.
 * `per_address`: one address had too many. `too_many`: all together were too many.
 */
export type EndedPhase = keyof EndedCounts;

export interface EndedCounts {
	proxy_header: number;
	tls_handshake: number;
	first_byte: number;
	preface: number;
	frame: number;
	headers: number;
	keep_alive: number;
	per_address: number;
	too_many: number;
}

export class EndedConnections {
	readonly counts: EndedCounts = {
		proxy_header: 0,
		tls_handshake: 0,
		first_byte: 0,
		preface: 0,
		frame: 0,
		headers: 0,
		keep_alive: 0,
		per_address: 0,
		too_many: 0,
	};
	readonly #log: Logger;

	constructor(logger: Logger) {
		this.#log = logger;
	}

	/** @param address of the peer, where it is known */
	count(phase: EndedPhase, address: string | undefined, reason?: string): void {
		this.counts[phase]++;
		this.#log.debug({ phase, address, reason }, 'a connection was ended');
	}
}

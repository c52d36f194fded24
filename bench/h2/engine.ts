/** What an HTTP/2 implementation must be able to do to be measured: the same paths served and the same calls made. */

export const FIELDS: ReadonlyArray<readonly [string, string]> = [
	['accept', 'application/json'],
	['accept-encoding', 'gzip, deflate'],
	['authorization', 'Bearer 0123456789abcdef0123456789abcdef'],
	['content-type', 'application/json'],
	['user-agent', 'bench/1.0'],
	['x-forwarded-for', '192.0.2.7'],
	['x-forwarded-proto', 'https'],
	['x-request-id', '5f2c0e7ab1d3-17'],
];

/**
 * A server answers
 *   /small            16 bytes
 *   /tokens/N         N pieces of 100 bytes, one each turn of the event loop
 *   /ticks/N          N pieces of 100 bytes, one each 5 ms, that begin with the time they were written, in ns, as 8 bytes
 *   /bulk/N           N bytes
 *   /sink             the number of bytes of the request
 *   /hold             a response that never ends
 */
export interface Engine {
	/** Serves on a free port of 127.0.0.1. */
	listen(): Promise<number>;
	connect(port: number): Promise<Connection>;
}

export interface Connection {
	/** Resolves with the number of bytes of the response. */
	get(path: string, onBytes?: (chunk: Buffer) => void): Promise<number>;
	/** Sends `bytes` bytes to /sink. */
	upload(bytes: number): Promise<void>;
	/** Resolves when the response has begun. */
	hold(): Promise<void>;
	close(): void;
}

export const TOKEN = Buffer.alloc(100, 't');
export const SMALL = Buffer.alloc(16, 's');
/** As a socket hands bulk over. */
export const PIECE = Buffer.alloc(65_536, 'b');
export const TICK_MS = 5;

/** The last part of a path such as /bulk/1000. */
export function numberIn(path: string): number {
	return Number(path.slice(path.lastIndexOf('/') + 1));
}

/** A response's body, whichever implementation writes it. */
export interface Body {
	write(chunk: Buffer): boolean;
	end(): void;
}

/**
 * Serves /tokens/N and /ticks/N, and no other path.
 * @param whenDrained calls back once there is room again
 */
export function serveTokens(path: string, body: Body, whenDrained: (then: () => void) => void): void {
	let left = numberIn(path);
	if (path.startsWith('/tokens')) {
		const next = () => {
			if (left-- === 0) body.end();
			else if (body.write(TOKEN)) setImmediate(next);
			else whenDrained(next);
		};
		next();
	} else if (path.startsWith('/ticks')) {
		const timer = setInterval(() => {
			body.write(stamped());
			if (--left > 0) return;
			clearInterval(timer);
			body.end();
		}, TICK_MS);
	}
}

/** A token that says when it was written. */
export function stamped(): Buffer {
	const token = Buffer.alloc(100);
	token.writeBigUInt64BE(process.hrtime.bigint());
	return token;
}

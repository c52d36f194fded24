/** Who may use the admin listener, but for its probes. Knows a request's header fields and where the listener is; nothing of what is asked for. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SlimeError } from '../shared/errors.ts';

const BEARER = /^bearer +/i;
/** What browsers say of requests that no page of another site caused (Sec-Fetch-Site). */
const OWN_SITE: ReadonlySet<unknown> = new Set([undefined, 'same-origin', 'none']);

/**
 * With a token, whoever has it. Without one, programs on this machine alone: the listener has to be on loopback, and a browser that
 * was led here by a page (DNS rebinding, cross-site requests) is recognized by its Host or Origin.
 */
export class AdminAccess {
	#expected: Buffer | undefined;
	#ownHost = '';
	/** Null until the listener is there. */
	#address: string | null = null;

	/**
	 * @param token none opens the listener to this machine, if it is on loopback
	 * @param host the listener's, as it was configured
	 */
	constructor(token: string | undefined, host: string) {
		this.replace(token, host);
	}

	/** From now on; see the constructor. */
	replace(token: string | undefined, host: string): void {
		this.#expected = token === undefined ? undefined : digest(token);
		this.#ownHost = host.toLowerCase();
	}

	/** @param address what the listener was bound to */
	listensAt(address: string): void {
		this.#address = address;
	}

	/** Whether nobody may use it: the listener can be reached from elsewhere, and there is no token. */
	get off(): boolean {
		return this.#expected === undefined && (this.#address === null || !isLoopback(this.#address));
	}

	/** What those who are let in are: whoever has the token, or any program on this machine. */
	get by(): 'token' | 'local' {
		return this.#expected === undefined ? 'local' : 'token';
	}

	/** @throws SlimeError `unauthorized` or `forbidden` */
	check({ headers, socket }: IncomingMessage): void {
		const { host, origin, authorization } = headers;
		const foreign = origin !== undefined && origin.toLowerCase() !== `http://${host ?? ''}`.toLowerCase();
		if (foreign || !OWN_SITE.has(headers['sec-fetch-site'])) {
			throw new SlimeError('forbidden', 'Pages of other sites may not ask here.');
		}
		if (this.#expected !== undefined) {
			// Which no page can know, so that it does not matter by which name it came here.
			if (authorization !== undefined && matches(this.#expected, authorization)) return;
			throw new SlimeError('unauthorized', 'The admin token is missing or wrong: see --adminTokenFile.');
		}
		if (this.off || !isLoopback(socket.remoteAddress ?? '')) {
			throw new SlimeError(
				'forbidden',
				'Only the probes are served: the admin listener is beyond loopback, and has no adminToken.',
			);
		}
		const name = hostName(host ?? '');
		if (name !== 'localhost' && name !== this.#ownHost && !isLoopback(name)) {
			throw new SlimeError('forbidden', 'The Host of the request is no name of the admin listener.');
		}
	}
}

function isLoopback(address: string): boolean {
	const bare = address.replace(/^::ffff:/i, '');
	return bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

/** Without its port and an IPv6 address's brackets. */
function hostName(host: string): string {
	return (/^\[([0-9a-f:.]+)\](?::\d+)?$/i.exec(host)?.[1] ?? host.replace(/:\d+$/, '')).toLowerCase();
}

/** Digests make both sides equally long: the time that it takes says nothing of the token. */
function matches(expected: Buffer, authorization: string): boolean {
	return BEARER.test(authorization) && timingSafeEqual(expected, digest(authorization.replace(BEARER, '')));
}

function digest(text: string): Buffer {
	return createHash('sha256').update(text).digest();
}

/** Which protocols apps may switch to, and what an HTTP/1.1 request that offers one has to look like. Touches no socket. */
import type { IncomingMessage } from 'node:http';
import { SlimeError } from '../shared/errors.ts';
import { isKey, WEBSOCKET } from '../tunnel/websocket.ts';

export class Upgrades {
	/** By lower-case name; as the upstream is asked for them. */
	readonly #served: ReadonlyMap<string, string>;

	/** @param names served beside WebSocket */
	constructor(names: readonly string[]) {
		this.#served = new Map([...names, WEBSOCKET].map((name) => [name.toLowerCase(), name]));
	}

	/** The name under which a protocol is served. */
	serves(protocol: string): string | undefined {
		return this.#served.get(protocol.toLowerCase());
	}

	/**
	 * The protocol to switch to: the first of those offered that is served (RFC 9110 section 7.8). `null`: the offer is to be ignored,
	 * because it is of none, comes with a body, which an extended CONNECT has no room for, or by HTTP/1.0.
	 * @throws SlimeError bad_request for an opening handshake of WebSocket that is wrong (RFC 6455 section 4.2.1)
	 */
	choose(req: IncomingMessage): string | null {
		const { headers, method } = req;
		if (req.httpVersion === '1.0') return null;
		const offered = (headers.upgrade ?? '').split(',').map((token) => this.serves(token.trim()));
		const chosen = offered.find((name) => name !== undefined);
		if (chosen === undefined) return null;
		const bodiless = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
		const plain = method === 'GET' && bodiless;
		if (chosen !== WEBSOCKET) return plain ? chosen : null;
		if (!plain) throw new SlimeError('bad_request', 'A WebSocket is asked for with GET and without a body.');
		if (!isKey(String(headers['sec-websocket-key'] ?? ''))) {
			throw new SlimeError('bad_request', 'Sec-WebSocket-Key is missing, or is not the base64 of 16 bytes.');
		}
		return chosen;
	}
}

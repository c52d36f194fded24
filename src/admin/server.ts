/** The operators' listener, apart from the applications' port on purpose. What it answers is in the routes that it is given. */
import { createServer, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorBody, messageOf, SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { AdminAccess } from './access.ts';
import { type Route, Router } from './router.ts';

export interface AdminOptions {
	readonly routes: readonly Route[];
	readonly access: AdminAccess;
	readonly logger: Logger;
}

const MOST_CONNECTIONS = 256;
/** A request has to be here whole within 5 s. */
const LIMITS = {
	maxHeaderSize: 16 * 1024,
	headersTimeout: 5000,
	requestTimeout: 5000,
	connectionsCheckingInterval: 1000,
};
/** Milliseconds without a byte either way, after which a connection is closed: who does not read its answer holds nothing. */
const SILENCE = 30_000;

export class AdminServer {
	readonly #options: AdminOptions;
	#server: Server | null = null;

	constructor(options: AdminOptions) {
		this.#options = options;
	}

	/**
	 * @param required whether a port that cannot be had is an error; otherwise it is a warning, and there is no admin listener
	 * @returns where it listens, undefined when there is none
	 */
	async open(host: string, port: number | 'off', required: boolean): Promise<AddressInfo | undefined> {
		if (port === 'off') return undefined;
		const { routes, access, logger } = this.#options;
		const router = new Router(routes, access, logger);
		const server = createServer(LIMITS, (req, res) => void router.handle(req, res));
		server.maxConnections = MOST_CONNECTIONS;
		server.timeout = SILENCE;
		server.on('clientError', refuse);
		try {
			await new Promise<void>((resolve, reject) => {
				server.once('error', reject);
				server.listen(port, host, () => {
					server.off('error', reject);
					resolve();
				});
			});
		} catch (error) {
			if (required) throw error;
			logger.warn({ host, port, reason: messageOf(error) }, 'there is no admin listener: set --adminPort');
			return undefined;
		}
		server.on('error', (error) => logger.error({ err: error }, 'admin listener'));
		this.#server = server;
		const at = server.address() as AddressInfo;
		access.listensAt(at.address);
		return at;
	}

	async close(): Promise<void> {
		const server = this.#server;
		if (server === null) return;
		this.#server = null;
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
}

/** What Node's parser found; anything else is a bad request. */
const MALFORMED: Readonly<Record<string, ErrorCode>> = {
	HPE_HEADER_OVERFLOW: 'headers_too_large',
	ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** What is no request, or comes too slowly, is answered in the shape of all errors and closed; behind another answer just closed. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
	if (error.code === 'ECONNRESET' || !socket.writable || (socket as Socket).bytesWritten > 0) {
		socket.destroy();
		return;
	}
	const told = new SlimeError(MALFORMED[error.code ?? ''] ?? 'bad_request');
	const body = errorBody(told);
	const head = [
		`HTTP/1.1 ${told.status} ${STATUS_CODES[told.status] ?? ''}`,
		'Content-Type: application/json',
		`Content-Length: ${Buffer.byteLength(body)}`,
		`Slime-Error: ${told.code}`,
		'Connection: close',
	];
	socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

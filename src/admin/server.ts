/** The operators' listener, apart from the applications' port on purpose. What it answers is in the routes that it is given. */
import { createServer, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AuditLog } from '../shared/audit-log.ts';
import { type ErrorCode, errorBody, messageOf, SlimeError } from '../shared/errors.ts';
import { type ListenAddress, listenAt } from '../shared/listen.ts';
import type { Logger } from '../shared/logger.ts';
import type { AdminAccess } from './access.ts';
import { type Route, Router } from './router.ts';

export interface AdminOptions {
	readonly routes: readonly Route[];
	readonly access: AdminAccess;
	/** null if there is none. */
	readonly audit: AuditLog | null;
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

export type AdminAddress =
	| { readonly fd: number }
	| {
			readonly host: string;
			/** 0 is any free port; `off` opens none. */
			readonly port: number | 'off';
			/** Whether a port that cannot be had is an error; otherwise it is a warning, and there is no admin listener. */
			readonly required: boolean;
	  };

function listenAddress(where: AdminAddress): ListenAddress | null {
	if ('fd' in where) return where;
	const { host, port } = where;
	return port === 'off' ? null : { host, port };
}

export class AdminServer {
	readonly #options: AdminOptions;
	#server: Server | null = null;

	constructor(options: AdminOptions) {
		this.#options = options;
	}

	/** @returns where it listens, undefined when there is none */
	async open(where: AdminAddress): Promise<AddressInfo | undefined> {
		const to = listenAddress(where);
		if (to === null) return undefined;
		const { routes, access, audit, logger } = this.#options;
		const router = new Router(routes, access, audit, logger);
		const server = createServer(LIMITS, (req, res) => void router.handle(req, res));
		server.maxConnections = MOST_CONNECTIONS;
		server.timeout = SILENCE;
		server.on('clientError', refuse);
		let address: AddressInfo;
		try {
			address = await listenAt(server, to);
		} catch (error) {
			if ('fd' in where || where.required) throw error;
			const { host, port } = where;
			logger.warn({ host, port, reason: messageOf(error) }, 'there is no admin listener: set --adminPort');
			return undefined;
		}
		server.on('error', (error) => logger.error({ err: error }, 'admin listener'));
		this.#server = server;
		access.listensAt(address.address);
		return address;
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

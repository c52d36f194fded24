/** The operators' listener, apart from the applications' port on purpose. What it answers is in the routes that it is given. */
import { createServer, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { AuditLog } from '../shared/audit-log.ts';
import { type ErrorCode, errorBody, messageOf, SlimeError } from '../shared/errors.ts';
import { type ListenAddress, listenAt } from '../shared/listen.ts';
import type { Logger } from '../shared/logger.ts';
import { PerAddress } from '../shared/per-address.ts';
import type { AdminAccess } from './access.ts';
import { answerError } from './answers.ts';
import { type Route, Router } from './router.ts';

export interface AdminOptions {
	readonly routes: readonly Route[];
	readonly access: AdminAccess;
	/** null if there is none. */
	readonly audit: AuditLog | null;
	readonly logger: Logger;
	/** Hears of each connection that is ended for what it did not do, or that is one too many. */
	readonly ended: EndedCounter;
	/** Other limits than those of ADMIN_LIMITS. */
	readonly limits?: Partial<AdminLimits>;
}

export interface EndedCounter {
	count(phase: 'first_byte' | 'headers' | 'keep_alive' | 'per_address' | 'too_many', address: string | undefined): void;
}

export interface AdminLimits {
	readonly connections: number;
	readonly connectionsPerAddress: number;
	/** Then a connection ends after its last answer. */
	readonly requestsPerConnection: number;
	readonly headerBytes: number;
	readonly headerFields: number;
	/** Milliseconds in which a request has to be here whole. */
	readonly requestTimeout: number;
	/** Milliseconds for which a connection is kept without a request. */
	readonly keepAliveTimeout: number;
	/** Milliseconds without a byte either way, after which a connection is closed: who does not read its answer holds nothing. */
	readonly silence: number;
}

export const ADMIN_LIMITS: AdminLimits = {
	connections: 256,
	connectionsPerAddress: 128,
	requestsPerConnection: 1000,
	headerBytes: 16 * 1024,
	headerFields: 100,
	requestTimeout: 5000,
	keepAliveTimeout: 5000,
	silence: 30_000,
};

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
		const { access, logger } = this.#options;
		const server = this.#limited();
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

	/** No new connections; what was asked is answered. */
	retire(): void {
		this.#server?.close();
	}

	#limited(): Server {
		const { routes, access, audit, logger, ended } = this.#options;
		const limits = { ...ADMIN_LIMITS, ...this.#options.limits };
		const router = new Router(routes, access, audit, logger);
		const options = {
			maxHeaderSize: limits.headerBytes,
			headersTimeout: limits.requestTimeout,
			requestTimeout: limits.requestTimeout,
			connectionsCheckingInterval: Math.min(1000, limits.requestTimeout),
			keepAliveTimeout: limits.keepAliveTimeout,
		};
		const server = createServer(options, (req, res) => {
			if (req.rawHeaders.length <= 2 * limits.headerFields) void router.handle(req, res);
			else answerError(res, new SlimeError('headers_too_large', 'Too many header fields.'));
		});
		// Node would drop what is over the limit without a word.
		server.maxHeadersCount = 0;
		server.maxConnections = limits.connections;
		server.maxRequestsPerSocket = limits.requestsPerConnection;
		server.timeout = limits.silence;
		const perAddress = new PerAddress(limits.connectionsPerAddress);
		server.on('connection', (socket: Socket) => {
			const address = socket.remoteAddress ?? 'unknown';
			if (perAddress.admit(address, socket)) return;
			ended.count('per_address', address);
			socket.destroy();
		});
		server.on('drop', (data) => ended.count('too_many', data?.remoteAddress));
		server.on('timeout', (socket) => {
			ended.count('keep_alive', socket.remoteAddress);
			socket.destroy();
		});
		server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
			if (error.code === LATE) ended.count(socket.bytesRead === 0 ? 'first_byte' : 'headers', socket.remoteAddress);
			refuse(error, socket);
		});
		return server;
	}

	async close(): Promise<void> {
		const server = this.#server;
		if (server === null) return;
		this.#server = null;
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
}

const LATE = 'ERR_HTTP_REQUEST_TIMEOUT';

/** What Node's parser found; anything else is a bad request. */
const MALFORMED: Readonly<Record<string, ErrorCode>> = {
	HPE_HEADER_OVERFLOW: 'headers_too_large',
	[LATE]: 'request_timeout',
};

/** What is no request, or comes too slowly, is answered in the shape of all errors and closed; behind another answer just closed. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
	if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
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

/**
 * The operators' listener: is the hub alive, may it be sent requests, and the routes that it is given. Apart from the applications'
 * port on purpose. Knows paths and methods, not what the routes do.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { answerError } from './answers.ts';

/** Answers one path. GET answers HEAD as well. */
export interface Route {
	readonly method: 'GET' | 'POST';
	/** Whole, without the query. */
	readonly path: string;
	/** Ends the response, or throws: a SlimeError is told to the client, anything else is logged and answered with 500. */
	handle(req: IncomingMessage, res: ServerResponse): void | Promise<void>;
}

export interface AdminOptions {
	/** Whether new requests are welcome. */
	readonly ready: () => boolean;
	/** Beside /healthz and /readyz. */
	readonly routes?: readonly Route[];
	readonly logger: Logger;
}

export class AdminServer {
	readonly #options: AdminOptions;
	readonly #routes: readonly Route[];
	#server: Server | null = null;

	constructor(options: AdminOptions) {
		this.#options = options;
		this.#routes = [
			{ method: 'GET', path: '/healthz', handle: (_req, res) => plain(res, 200, 'ok\n') },
			{
				method: 'GET',
				path: '/readyz',
				handle: (_req, res) => (options.ready() ? plain(res, 200, 'ready\n') : plain(res, 503, 'draining\n')),
			},
			...(options.routes ?? []),
		];
	}

	/**
	 * @param required whether a port that cannot be had is an error; otherwise it is a warning, and there is no admin listener
	 * @returns where it listens, undefined when there is none
	 */
	async open(host: string, port: number | 'off', required: boolean): Promise<AddressInfo | undefined> {
		if (port === 'off') return undefined;
		const server = createServer(
			{ maxHeaderSize: 16 * 1024, headersTimeout: 5000, requestTimeout: 5000 },
			(req, res) => void this.#answer(req, res),
		);
		server.maxConnections = 256;
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
			this.#options.logger.warn(
				{ host, port, reason: messageOf(error) },
				'there is no admin listener: set --adminPort',
			);
			return undefined;
		}
		server.on('error', (error) => this.#options.logger.error({ err: error }, 'admin listener'));
		this.#server = server;
		return server.address() as AddressInfo;
	}

	async close(): Promise<void> {
		const server = this.#server;
		if (server === null) return;
		this.#server = null;
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}

	async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const path = (req.url ?? '').split('?', 1)[0];
		const method = req.method === 'HEAD' ? 'GET' : req.method;
		const routes = this.#routes.filter((route) => route.path === path);
		const route = routes.find((candidate) => candidate.method === method);
		try {
			if (routes.length === 0) throw new SlimeError('not_found');
			if (route === undefined) {
				const allowed = routes.flatMap((other) => (other.method === 'GET' ? ['GET', 'HEAD'] : [other.method]));
				res.setHeader('allow', allowed.join(', '));
				throw new SlimeError('method_not_allowed');
			}
			await route.handle(req, res);
		} catch (error) {
			if (!(error instanceof SlimeError)) this.#options.logger.error({ err: error, path }, 'an admin request failed');
			answerError(res, error);
		}
	}
}

function plain(res: ServerResponse, status: number, text: string): void {
	res.writeHead(status, { 'content-type': 'text/plain' }).end(text);
}

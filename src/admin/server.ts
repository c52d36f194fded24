/** The operators' listener, apart from the applications' port on purpose. What it answers is in the routes that it is given. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { type Route, Router } from './router.ts';

export interface AdminOptions {
	readonly routes: readonly Route[];
	readonly logger: Logger;
}

export class AdminServer {
	readonly #options: AdminOptions;
	#server: Server | null = null;

	constructor(options: AdminOptions) {
		this.#options = options;
	}

	/**
	 * @param required whether a port that cannot be had is an error; otherwise it is a warning, and there is no admin listener
	 * @returns the port, undefined when there is none
	 */
	async open(host: string, port: number | 'off', required: boolean): Promise<number | undefined> {
		if (port === 'off') return undefined;
		const router = new Router(this.#options.routes, this.#options.logger);
		const server = createServer(
			{ maxHeaderSize: 16 * 1024, headersTimeout: 5000, requestTimeout: 5000 },
			(req, res) => void router.handle(req, res),
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
		return (server.address() as AddressInfo).port;
	}

	async close(): Promise<void> {
		const server = this.#server;
		if (server === null) return;
		this.#server = null;
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
}

/** The operators' listener: is the hub alive, may it be sent requests. Apart from the applications' port on purpose. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';

export interface AdminOptions {
	/** Whether new requests are welcome. */
	readonly ready: () => boolean;
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
		const server = createServer(
			{ maxHeaderSize: 16 * 1024, headersTimeout: 5000, requestTimeout: 5000 },
			(req, res) => {
				const path = (req.url ?? '').split('?', 1)[0];
				if (req.method !== 'GET' && req.method !== 'HEAD') res.writeHead(405, { allow: 'GET, HEAD' }).end();
				else if (path === '/healthz') res.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
				else if (path !== '/readyz') res.writeHead(404).end();
				else if (this.#options.ready()) res.writeHead(200, { 'content-type': 'text/plain' }).end('ready\n');
				else res.writeHead(503, { 'content-type': 'text/plain' }).end('draining\n');
			},
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

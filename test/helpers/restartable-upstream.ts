/** An upstream of any kind that can be stopped, which ends its connections, and started again at its address. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
	createServer as createHttp2Server,
	createSecureServer,
	type Http2ServerRequest,
	type Http2ServerResponse,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, type Server, type Socket, Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificates, writeCertificates } from './certificates.ts';
import { closedPort } from './ports.ts';

export const UPSTREAM_KINDS = ['http', 'unix', 'h2c', 'https with h2', 'https with http/1.1'] as const;
export type UpstreamKind = (typeof UPSTREAM_KINDS)[number];

type Handler = (req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse) => void;

export class RestartableUpstream {
	/** As `--upstream` takes it. */
	readonly address: string;
	/** What an agent must trust to reach it. */
	readonly ca: string | undefined;
	/** Paths of the requests that came, in order. */
	readonly paths: string[] = [];
	/** Connections that were taken. */
	connections = 0;
	handler: Handler;
	readonly #server: Server;
	readonly #at: number | string;
	readonly #open = new Set<Socket>();

	private constructor(server: Server, at: number | string, scheme: string, ca: string | undefined, handler: Handler) {
		this.#server = server;
		this.#at = at;
		this.ca = ca;
		this.address = typeof at === 'string' ? `unix:${at}` : `${scheme}://127.0.0.1:${at}`;
		this.handler = handler;
		server.on('connection', (socket: Socket) => {
			this.connections++;
			this.#open.add(socket);
			socket.on('error', () => undefined);
			socket.once('close', () => this.#open.delete(socket));
		});
		server.on('request', (req, res) => {
			this.paths.push(req.url ?? '');
			req.on('error', () => undefined);
			res.on('error', () => undefined);
			this.handler(req, res);
		});
		server.on('session', (session) => session.on('error', () => undefined));
	}

	/** Starts one. Without a handler it answers `up`. */
	static async open(
		context: TestContext,
		kind: UpstreamKind = 'http',
		handler: Handler = (_req, res) => void res.end('up'),
	): Promise<RestartableUpstream> {
		const dir = await mkdtemp(join(tmpdir(), 'slime-'));
		context.after(() => rm(dir, { recursive: true, force: true }));
		const secure = kind.startsWith('https');
		const certificates = secure ? makeCertificates() : undefined;
		const ca = certificates && (await writeCertificates(dir, certificates)).ca;
		const server = serverFor(kind, certificates);
		const path = join(dir, 'upstream.sock');
		server.listen(kind === 'unix' ? { path } : { host: '127.0.0.1', port: await closedPort() });
		await once(server, 'listening');
		const at = kind === 'unix' ? path : (server.address() as AddressInfo).port;
		const upstream = new RestartableUpstream(
			server,
			at,
			kind === 'h2c' ? 'h2c' : secure ? 'https' : 'http',
			ca,
			handler,
		);
		context.after(() => upstream.stop());
		return upstream;
	}

	/** Connections that are open. */
	get open(): number {
		return this.#open.size;
	}

	/** Refuses connections from now on; those that are open stay. */
	stopListening(): void {
		// An HTTP server would end those that are idle.
		TcpServer.prototype.close.call(this.#server);
	}

	/** Refuses connections from now on, and ends those that are open. */
	async stop(): Promise<void> {
		const closed = new Promise((resolve) => this.#server.close(resolve));
		for (const socket of this.#open) socket.destroy();
		await closed;
	}

	async start(): Promise<void> {
		this.#server.listen(typeof this.#at === 'string' ? { path: this.#at } : { host: '127.0.0.1', port: this.#at });
		await once(this.#server, 'listening');
	}
}

function serverFor(kind: UpstreamKind, certificates: { cert: string; key: string } | undefined): Server {
	switch (kind) {
		case 'http':
		case 'unix':
			return createServer();
		case 'h2c':
			return createHttp2Server();
		case 'https with h2':
			return createSecureServer({ cert: certificates?.cert, key: certificates?.key });
		case 'https with http/1.1':
			return createHttpsServer({ cert: certificates?.cert, key: certificates?.key, ALPNProtocols: ['http/1.1'] });
	}
}

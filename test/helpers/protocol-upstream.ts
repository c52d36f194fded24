/** Upstreams that speak HTTP/2, without TLS or by ALPN, or HTTPS with HTTP/1.1 alone; served by Node. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
	createSecureServer,
	createServer,
	type Http2ServerRequest,
	type Http2ServerResponse,
	type ServerHttp2Session,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificates, writeCertificates } from './certificates.ts';
import { listenOn } from './stack.ts';

export const KINDS = ['h2c', 'https with h2', 'https with http/1.1 alone'] as const;
export type Kind = (typeof KINDS)[number];

export type Req = Http2ServerRequest | IncomingMessage;
export type Res = Http2ServerResponse | ServerResponse;

export interface ProtocolUpstream {
	/** As `--upstream` takes it. */
	readonly address: string;
	/** What an agent must trust to reach it. */
	readonly ca: string | undefined;
	readonly sessions: ReadonlySet<ServerHttp2Session>;
	/** Requests whose responses have not ended. */
	readonly active: number;
	readonly peak: number;
	readonly served: number;
}

/** @param asked answers what says Expect: 100-continue, which is told to go on otherwise */
export async function protocolUpstream(
	context: TestContext,
	kind: Kind,
	handler: (req: Req, res: Res) => void,
	asked?: (req: Req, res: Res) => void,
): Promise<ProtocolUpstream> {
	let active = 0;
	let peak = 0;
	let served = 0;
	const counted = (req: Req, res: Res) => {
		active++;
		served++;
		peak = Math.max(peak, active);
		res.once('close', () => active--);
		req.on('error', () => undefined);
		res.on('error', () => undefined);
		handler(req, res);
	};
	const sessions = new Set<ServerHttp2Session>();
	const sockets = new Set<Socket>();
	let server: Server;
	let ca: string | undefined;
	if (kind === 'h2c') {
		server = createServer(counted);
	} else {
		const certificates = makeCertificates();
		const dir = await mkdtemp(join(tmpdir(), 'slime-'));
		context.after(() => rm(dir, { recursive: true, force: true }));
		({ ca } = await writeCertificates(dir, certificates));
		const { cert, key } = certificates;
		server =
			kind === 'https with h2'
				? createSecureServer({ cert, key }, counted)
				: createHttpsServer({ cert, key, ALPNProtocols: ['http/1.1'] }, counted);
	}
	if (asked !== undefined) server.on('checkContinue', asked);
	server.on('session', (session: ServerHttp2Session) => {
		sessions.add(session);
		session.once('close', () => sessions.delete(session));
		session.on('error', () => undefined);
	});
	server.on('connection', (socket: Socket) => {
		sockets.add(socket);
		socket.once('close', () => sockets.delete(socket));
	});
	const port = await listenOn(context, server);
	context.after(() => {
		for (const session of sessions) session.destroy();
		for (const socket of sockets) socket.destroy();
	});
	return {
		address: `${kind === 'h2c' ? 'h2c' : 'https'}://127.0.0.1:${port}`,
		ca,
		sessions,
		get active() {
			return active;
		},
		get peak() {
			return peak;
		},
		get served() {
			return served;
		},
	};
}

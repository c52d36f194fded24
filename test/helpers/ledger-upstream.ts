/** The upstream of a ledger's load: answers as the request's query asks, over HTTP/1.1 or HTTP/2, and writes down what began. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cutSocket } from '../../src/shared/cut-socket.ts';
import { BodyCheck, bytesOf, type Ledger } from './ledger.ts';
import { listens } from './ports.ts';
import { listenOn } from './stack.ts';

const PIECE = 32 * 1024;
const EVENT = 200;

export interface LedgerUpstream {
	/** As `--upstream` takes it. */
	readonly address: string;
	readonly active: number;
	readonly peak: number;
	/** Most at a time so far is forgotten. */
	resetPeak(): void;
	/** Resets all connections: after a FIN nobody could tell a response that ends with its connection from a whole one. */
	cut(): void;
	/** The same, and refuses connections for so many milliseconds. */
	refuse(ms: number): Promise<void>;
	/** Ends for good. */
	close(): Promise<void>;
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

export async function ledgerUpstream(
	context: TestContext,
	ledger: Ledger,
	protocol: 'http/1.1' | 'h2c' = 'http/1.1',
): Promise<LedgerUpstream> {
	let active = 0;
	let peak = 0;
	const open = new Set<Socket>();
	const handle = (req: Request, res: Response) => {
		active++;
		peak = Math.max(peak, active);
		let counted = true;
		const connection = 'stream' in req ? null : req.socket;
		const done = () => {
			if (counted) active--;
			counted = false;
			connection?.off('end', done);
		};
		res.once('prefinish', done).once('close', done);
		// Node tells of a close at the end of its loop's turn, in which it may have taken the next request of that worker.
		connection?.once('end', done);
		req.on('error', () => res.destroy());
		res.on('error', () => undefined);
		serve(ledger, req, res);
	};
	const server =
		protocol === 'h2c'
			? createHttp2Server(handle)
			: createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, handle);
	server.on('connection', (socket: Socket) => {
		open.add(socket);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => open.delete(socket));
	});
	const port = await listenOn(context, server);
	let closed = false;
	const cut = () => {
		for (const socket of open) cutSocket(socket);
	};
	context.after(cut);
	return {
		address: `${protocol === 'h2c' ? 'h2c://' : ''}127.0.0.1:${port}`,
		get active() {
			return active;
		},
		get peak() {
			return peak;
		},
		resetPeak: () => {
			peak = active;
		},
		cut,
		refuse: async (ms) => {
			server.close();
			cut();
			await sleep(ms);
			// Another may have it for the moment: ports that systems give out may be anybody's.
			while (!closed && !(await listens(() => server.listen(port, '127.0.0.1'), server))) await sleep(50);
			if (closed) server.close();
		},
		close: async () => {
			closed = true;
			cut();
			if (server.listening) await new Promise((resolve) => server.close(resolve));
		},
	};
}

function serve(ledger: Ledger, req: Request, res: Response): void {
	const { searchParams: query } = new URL(req.url ?? '/', 'http://upstream');
	const id = Number(query.get('id'));
	ledger.started(id);
	const check = new BodyCheck(id);
	req.on('data', (chunk: Buffer) => check.add(chunk));
	const respond = () => answer(res, id, query);
	req.once('end', () => {
		// Node's HTTP/2 also ends the body of a stream that was reset.
		if ('stream' in req && req.stream.rstCode !== 0) return;
		ledger.uploaded(id, check);
		if (query.get('when') === 'after') respond();
	});
	if (query.get('when') !== 'after') respond();
}

function answer(res: Response, id: number, query: URLSearchParams): void {
	const down = Number(query.get('down'));
	const pace = Number(query.get('pace'));
	const framing = query.get('framing');
	if (framing === 'length') res.setHeader('content-length', down);
	else if (framing === 'close' && !('stream' in res)) {
		res.shouldKeepAlive = false;
		res.useChunkedEncodingByDefault = false;
	}
	res.writeHead(200, { 'content-type': pace > 0 ? 'text/event-stream' : 'application/octet-stream' });
	let at = 0;
	const more = () => {
		while (!res.destroyed && at < down) {
			const piece = bytesOf(id, at, Math.min(down - at, pace > 0 ? EVENT : PIECE));
			at += piece.length;
			const room = (res as ServerResponse).write(piece);
			if (at === down) break;
			if (pace > 0) {
				setTimeout(more, pace);
				return;
			}
			if (!room) {
				res.once('drain', more);
				return;
			}
		}
		if (!res.destroyed) res.end();
	};
	more();
}

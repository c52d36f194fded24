/** A hub, its agents and their upstreams in one process on port 0, and clients that show exactly what an application sees. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
	createServer,
	type IncomingHttpHeaders,
	type IncomingMessage,
	type OutgoingHttpHeaders,
	type RequestListener,
	request,
	type Server,
	type ServerResponse,
} from 'node:http';
import {
	type AddressInfo,
	connect,
	createServer as createTcpServer,
	type Socket,
	type Server as TcpServer,
} from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	type Agent,
	createAgent,
	createHub,
	createLogger,
	createTokens,
	type GivenAgentOptions,
	type GivenHubOptions,
	type Hub,
	type TokenRequest,
	type Tokens,
} from '../../src/index.ts';

export const SECRET = 'a secret for tests only';

let shared: Promise<Tokens> | undefined;
let names = 0;

/** A token of the tests' secret; each call makes another. */
export async function token(request: Partial<TokenRequest> = {}): Promise<string> {
	shared ??= createTokens({ secret: SECRET });
	names++;
	return (await shared).issue({ name: `token-${names}`, ...request });
}

/** Lines of a log as objects. */
export class LogSink {
	readonly lines: Array<Record<string, unknown>> = [];
	readonly logger = createLogger('debug', { write: (line) => void this.lines.push(JSON.parse(line)) });

	has(text: string): boolean {
		return this.lines.some((line) => String(line.msg).includes(text));
	}
}

/** For requests that are to wait for a worker. */
export const WAITS: Readonly<Record<string, string>> = { 'slime-block': '1' };

/** Generous: it tells what never happens from a slow machine. */
const EVENTUALLY_MS = 30_000;

/** Waits for what has no event of its own. */
export async function eventually(what: string, holds: () => boolean, within = EVENTUALLY_MS): Promise<void> {
	const deadline = performance.now() + within;
	while (!holds()) {
		if (performance.now() > deadline) assert.fail(`never happened: ${what}`);
		await sleep(2);
	}
}

/** Waits until no request holds a worker and there is one that could take another. */
export function workerFree(hub: Hub): Promise<void> {
	return eventually('a worker is free', () => hub.leased === 0 && hub.free > 0);
}

export interface Upstream {
	readonly port: number;
	/** As `--upstream` takes it. */
	readonly address: string;
	readonly server: Server;
	/** Requests whose responses are under way. */
	readonly active: number;
	/** Most that there ever were. */
	readonly peak: number;
	readonly served: number;
}

/** An HTTP/1.1 service that counts what is at it. */
export async function upstream(context: TestContext, handler: RequestListener): Promise<Upstream> {
	let active = 0;
	let peak = 0;
	let served = 0;
	const listener: RequestListener = (req, res) => {
		active++;
		served++;
		peak = Math.max(peak, active);
		let counted = true;
		const done = () => {
			if (counted) active--;
			counted = false;
		};
		res.once('prefinish', done);
		res.once('close', done);
		req.on('error', () => res.destroy());
		handler(req, res);
	};
	const server = createServer({ requestTimeout: 0 }, listener);
	server.on('checkContinue', (req, res) => {
		res.writeContinue();
		server.emit('request', req, res);
	});
	const port = await listenOn(context, server);
	context.after(() => server.closeAllConnections());
	return {
		port,
		address: `127.0.0.1:${port}`,
		server,
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

/** A service that speaks whatever bytes the test wants. */
export async function rawUpstream(context: TestContext, accept: (socket: Socket) => void): Promise<string> {
	const open = new Set<Socket>();
	const server = createTcpServer((socket) => {
		open.add(socket);
		socket.on('error', () => socket.destroy());
		socket.on('close', () => open.delete(socket));
		accept(socket);
	});
	const port = await listenOn(context, server);
	context.after(() => {
		for (const socket of open) socket.destroy();
	});
	return `127.0.0.1:${port}`;
}

/** Answers every request of a connection with the same bytes, once its header section is complete. */
export function answering(bytes: string, then?: (socket: Socket) => void): (socket: Socket) => void {
	return (socket) => {
		let head = '';
		socket.on('data', (chunk) => {
			head += chunk.toString('latin1');
			if (!head.includes('\r\n\r\n')) return;
			head = '';
			socket.write(bytes, 'latin1', () => then?.(socket));
		});
	};
}

/** @param at the path of a socket, or where else than at a free port */
export async function listenOn(
	context: TestContext,
	server: TcpServer,
	at: string | { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
): Promise<number> {
	server.listen(at);
	await once(server, 'listening');
	context.after(() => void server.close());
	return (server.address() as AddressInfo).port;
}

export type AgentWish = Partial<GivenAgentOptions> & Pick<TokenRequest, 'scopes' | 'scopePaths'>;

export interface Stack {
	readonly hub: Hub;
	readonly port: number;
	readonly log: LogSink;
	/** Starts one more and waits until the hub has its tunnels. */
	join(upstreams: string | readonly string[], wish?: AgentWish): Promise<Agent>;
}

/** Starts a hub, and an agent for each given upstream; closes all of it after the test. */
export async function stack(
	context: TestContext,
	upstreams: readonly string[] = [],
	given: { hub?: Partial<GivenHubOptions> | undefined; agent?: AgentWish | undefined } = {},
): Promise<Stack> {
	const log = new LogSink();
	const hub = await createHub({
		secret: SECRET,
		host: '127.0.0.1',
		port: 0,
		adminPort: 'off',
		logger: log.logger,
		...given.hub,
	});
	context.after(() => hub.close());
	const { port } = hub.address;
	const join: Stack['join'] = async (addresses, wish = {}) => {
		const { scopes, scopePaths, ...options } = wish;
		const list = typeof addresses === 'string' ? [addresses] : addresses;
		const before = hub.agents;
		names++;
		const agent = await createAgent({
			token: options.token ?? (await token({ scopes, scopePaths })),
			hubs: [hub.agentUrl],
			upstreams: list,
			agentID: `agent-${names}`,
			reportHardware: false,
			logger: log.logger,
			...options,
		});
		context.after(() => agent.close());
		await eventually('the agent joined', () => hub.agents >= before + list.length && agent.connected >= list.length);
		return agent;
	};
	for (const address of upstreams) await join(address, given.agent);
	return { hub, port, log, join };
}

export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly rawHeaders: string[];
	readonly trailers: NodeJS.Dict<string>;
	readonly body: string;
	/** False when the connection was cut. */
	readonly complete: boolean;
}

export interface Asking {
	readonly method?: string;
	readonly headers?: OutgoingHttpHeaders;
	readonly body?: string | Buffer;
	readonly signal?: AbortSignal;
	readonly host?: string;
}

/** One request on a connection of its own, read to its end or cut. */
export async function ask(port: number, path = '/', asking: Asking = {}): Promise<Answer> {
	const { method, headers, body, signal, host = '127.0.0.1' } = asking;
	const req = request({ host, port, path, method, headers, agent: false, signal });
	req.end(body);
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	// The answer may come before all of the body was taken.
	req.on('error', () => undefined);
	return readAnswer(res);
}

export async function readAnswer(res: IncomingMessage): Promise<Answer> {
	const chunks: Buffer[] = [];
	res.on('data', (chunk: Buffer) => chunks.push(chunk));
	res.on('error', () => undefined);
	await new Promise((resolve) => res.once('close', resolve));
	return {
		status: res.statusCode ?? 0,
		headers: res.headers,
		rawHeaders: res.rawHeaders,
		trailers: res.trailers,
		body: Buffer.concat(chunks).toString('utf8'),
		complete: res.complete,
	};
}

/** Asserts an error that the hub made, in the shape that OpenAI clients expect. */
export function assertError(answer: Answer, status: number, code: string): void {
	assert.equal(`${answer.status} ${answer.headers['slime-error']}`, `${status} ${code}`, answer.body);
	assert.equal(answer.headers['content-type'], 'application/json');
	const { error } = JSON.parse(answer.body);
	assert.equal(error.code, code);
	assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'type']);
	const seconds = answer.headers['retry-after'];
	if (status === 503) assert.match(String(seconds), /^[1-9]\d*$/);
}

/** The other end of a test's handshake with its upstream: requests that arrived and wait for what the test does with them. */
export class Arrivals {
	readonly #arrived: Array<[IncomingMessage, ServerResponse]> = [];
	readonly #waiting: Array<(pair: [IncomingMessage, ServerResponse]) => void> = [];

	readonly handler: RequestListener = (req, res) => {
		const next = this.#waiting.shift();
		if (next) next([req, res]);
		else this.#arrived.push([req, res]);
	};

	get count(): number {
		return this.#arrived.length;
	}

	next(): Promise<[IncomingMessage, ServerResponse]> {
		const pair = this.#arrived.shift();
		if (pair) return Promise.resolve(pair);
		return new Promise((resolve) => this.#waiting.push(resolve));
	}
}

/** To libuv a reset behind bytes that were not read yet is a FIN; but only after a FIN can anything be written, be it nothing. */
export function wasReset(socket: Socket): boolean {
	if (socket.writable) socket.write('');
	return socket.errored !== null;
}

/** A TCP client that says exactly these bytes and keeps exactly what comes back. */
export class RawClient {
	readonly socket: Socket;
	/** Latin-1. */
	received = '';
	/** How the connection ended. */
	ended: 'open' | 'fin' | 'reset' = 'open';

	private constructor(socket: Socket) {
		this.socket = socket;
		socket.on('data', (chunk) => {
			this.received += chunk.toString('latin1');
		});
		socket.on('end', () => {
			if (this.ended === 'open') this.ended = wasReset(socket) ? 'reset' : 'fin';
		});
		socket.on('error', (error: NodeJS.ErrnoException) => {
			if (error.code === 'ECONNRESET') this.ended = 'reset';
		});
	}

	/** @param localAddress of several that a machine has for itself, such as 127.0.0.2 */
	static async open(
		context: TestContext,
		port: number,
		allowHalfOpen = false,
		localAddress?: string,
	): Promise<RawClient> {
		const socket = connect({ host: '127.0.0.1', port, allowHalfOpen, localAddress });
		const client = new RawClient(socket);
		context.after(() => socket.destroy());
		await once(socket, 'connect');
		return client;
	}

	send(text: string): void {
		this.socket.write(text, 'latin1');
	}

	/** Resolves when what was received contains the text so many times. */
	async sees(text: string, times = 1): Promise<void> {
		await eventually(`${JSON.stringify(text)} in ${JSON.stringify(this.received.slice(0, 600))}`, () => {
			return this.received.split(text).length > times;
		});
	}

	/** Everything until the connection ended. */
	async all(): Promise<string> {
		await eventually('the connection ended', () => this.ended !== 'open');
		return this.received;
	}
}

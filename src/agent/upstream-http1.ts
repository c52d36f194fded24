/**
 * HTTP/1.1 upstreams through undici, one Client a connection, so that we choose which connection a request gets: never one
 * that the upstream may be closing at that moment. Knows connections; what is relayed over them is the worker's business.
 */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import { withOneCookie } from '../tunnel/fields.ts';
import { ResponseStart } from './response-start.ts';
import type {
	UpstreamCall,
	UpstreamClient,
	UpstreamExchange,
	UpstreamIdentity,
	UpstreamSink,
} from './upstream-client.ts';
import { CANNOT_BE_SENT, connectError, exchangeError } from './upstream-errors.ts';
import { LateBodyExchange } from './upstream-http1-late-body.ts';
import { exchangeOnOwnConnection, needsOwnConnection } from './upstream-http1-single.ts';
import { exchangeWithUpgrade } from './upstream-http1-upgrade.ts';

/** Common servers close after 5 s of silence; undici also obeys Keep-Alive: timeout. */
const IDLE_MS = 4000;
/** A request that may not be sent twice gets no connection that was silent for longer. */
const FRESH_MS = 1000;
/** How long an upstream may take to notice our FIN until it gets a reset. */
const FIN_GRACE_MS = 50;
const MAX_HEADER_BYTES = 256 * 1024;

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** Opens the socket of a new connection, TLS done. */
export type Connect = (opened: (error: Error | null, socket: Socket | null) => void) => void;

export interface Http1Options {
	readonly identity: UpstreamIdentity;
	readonly connect: Connect;
	/** Milliseconds from the request to the response's head. */
	readonly firstByteTimeout: number;
}

export class Http1Upstream implements UpstreamClient {
	readonly #options: Http1Options;
	/** Most recently used last. */
	readonly #idle: Connection[] = [];
	#closed = false;

	constructor(options: Http1Options) {
		this.#options = options;
	}

	send(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange {
		if (call.upgrade !== undefined) return exchangeWithUpgrade(call, call.upgrade, sink, this.#options);
		if (needsOwnConnection(call)) return exchangeOnOwnConnection(call, sink, this.#options);
		if (call.body !== 'stream' || call.begun) return this.#run(call, sink);
		return new LateBodyExchange(
			sink,
			() => this.#run(call, sink),
			() => exchangeOnOwnConnection(call, sink, this.#options),
		);
	}

	#run(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange {
		const connection = this.#take(IDEMPOTENT.has(call.method)) ?? this.#open();
		return connection.run(call, sink);
	}

	close(): void {
		this.#closed = true;
		for (const connection of this.#idle.splice(0)) connection.destroy();
	}

	#take(idempotent: boolean): Connection | undefined {
		const connection = this.#idle.at(-1);
		if (connection === undefined) return undefined;
		if (!idempotent && performance.now() - connection.idleSince > FRESH_MS) return undefined;
		return this.#idle.pop();
	}

	#open(): Connection {
		return new Connection(this.#options, {
			idle: (connection) => {
				if (this.#closed) connection.destroy();
				else this.#idle.push(connection);
			},
			gone: (connection) => {
				const at = this.#idle.indexOf(connection);
				if (at >= 0) this.#idle.splice(at, 1);
				connection.destroy();
			},
		});
	}
}

interface Pool {
	idle(connection: Connection): void;
	gone(connection: Connection): void;
}

/** One connection: a Client that is never given a second request before the first is done. */
class Connection {
	idleSince = 0;
	socket: Socket | null = null;
	start: ResponseStart | null = null;
	readonly #client: Client;
	readonly #pool: Pool;
	readonly #authorization: string | undefined;
	readonly #authority: string;
	#busy = false;
	#exchange: Http1Exchange | null = null;
	#corked: Socket | null = null;

	constructor(options: Http1Options, pool: Pool) {
		this.#pool = pool;
		this.#authority = options.identity.authority;
		this.#authorization = options.identity.authorization;
		this.#client = new Client(`http://${options.identity.authority || 'localhost'}`, {
			pipelining: 1,
			keepAliveTimeout: IDLE_MS,
			keepAliveMaxTimeout: IDLE_MS,
			headersTimeout: options.firstByteTimeout,
			bodyTimeout: 0,
			maxHeaderSize: MAX_HEADER_BYTES,
			connect: (_options, callback) => {
				options.connect((error, socket) => {
					this.socket = socket;
					if (error) callback(error, null);
					else if (socket) {
						this.start = new ResponseStart(socket);
						this.#guard(socket);
						callback(null, socket);
					}
				});
			},
		});
		this.#client.on('disconnect', () => {
			this.socket = null;
			if (!this.#busy) pool.gone(this);
		});
	}

	/**
	 * undici throws, where nobody can catch it, if a response ends with its connection while it is paused; and it takes a reset
	 * for such an end. So before it hears of a FIN it is resumed, and a reset gets a code that it does not know. A reset behind
	 * bytes that were not read yet is a FIN to libuv; but only after a FIN can anything be written, be it nothing.
	 */
	#guard(socket: Socket): void {
		socket.on('end', () => {
			if (socket.writable) socket.write('');
			this.#exchange?.upstreamEnded();
		});
		socket.on('error', (error: NodeJS.ErrnoException) => {
			if (error.code === 'ECONNRESET') error.code = 'UPSTREAM_RESET';
		});
	}

	run(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange {
		this.#busy = true;
		const headers: FieldList = ['host', this.#authority, ...withOneCookie(call.fields)];
		if (this.#authorization !== undefined) headers.push('authorization', this.#authorization);
		const body = call.body === 'stream' ? new BodySource(sink) : call.body;
		const exchange = new Http1Exchange(this, sink, body instanceof BodySource ? body : null);
		this.#exchange = exchange;
		const request: Dispatcher.DispatchOptions = {
			method: call.method as Dispatcher.HttpMethod,
			path: call.path,
			headers,
			body,
		};
		this.#client.dispatch(request, exchange);
		return exchange;
	}

	/**
	 * What is written until the read that brought it is dealt with leaves in one piece: a read of the tunnel is seldom a whole frame
	 * of a body, and a system call for each part costs more than its bytes.
	 */
	gather(): void {
		if (this.#corked !== null || this.socket === null) return;
		this.#corked = this.socket;
		this.#corked.cork();
		process.nextTick(uncork, this);
	}

	uncork(): void {
		this.#corked?.uncork();
		this.#corked = null;
	}

	/** The exchange is over. @param reusable whether the connection is between two messages */
	done(reusable: boolean): void {
		this.#busy = false;
		this.#exchange = null;
		this.idleSince = performance.now();
		if (reusable && this.socket !== null && !this.socket.destroyed) this.#pool.idle(this);
		else this.#pool.gone(this);
	}

	destroy(): void {
		// What was under way has been told of; nobody else hears of this end.
		this.#client.destroy().then(undefined, () => undefined);
	}
}

/** A request body that undici reads as fast as the upstream takes it. */
class BodySource extends Readable {
	readonly #sink: UpstreamSink;
	#untaken = 0;

	constructor(sink: UpstreamSink) {
		super({ highWaterMark: 64 * 1024 });
		this.#sink = sink;
	}

	add(chunk: Buffer): void {
		if (this.push(chunk)) this.#sink.onTaken(chunk.length);
		else this.#untaken += chunk.length;
	}

	override _read(): void {
		if (this.#untaken === 0) return;
		const bytes = this.#untaken;
		this.#untaken = 0;
		this.#sink.onTaken(bytes);
	}
}

class Http1Exchange implements UpstreamExchange, Dispatcher.DispatchHandler {
	readonly #connection: Connection;
	readonly #sink: UpstreamSink;
	readonly #body: BodySource | null;
	#abort: (() => void) | null = null;
	#resume: (() => void) | null = null;
	#started = false;
	#responded = false;
	#notModified = false;
	#reusable = true;
	#cancelled = false;
	/** The upstream has closed its side. */
	#ended = false;
	#over = false;

	constructor(connection: Connection, sink: UpstreamSink, body: BodySource | null) {
		this.#connection = connection;
		this.#sink = sink;
		this.#body = body;
		body?.on('error', () => this.#abort?.());
	}

	// UpstreamExchange

	write(chunk: Buffer): void {
		if (this.#over || this.#cancelled) {
			this.#sink.onTaken(chunk.length);
			return;
		}
		this.#connection.gather();
		this.#body?.add(chunk);
	}

	finish(): void {
		if (!this.#over && !this.#cancelled) this.#body?.push(null);
	}

	resume(): void {
		this.#resume?.();
	}

	/**
	 * The upstream sees the connection close, as from any client that goes away. It first gets a FIN, and only if it does
	 * not close its side a reset: so we know when it is done, and the worker is not free before.
	 */
	cancel(): void {
		if (this.#over || this.#cancelled) return;
		this.#cancelled = true;
		const { socket } = this.#connection;
		if (this.#abort === null || socket === null || this.#body !== null) {
			this.#abortNow();
			return;
		}
		this.#resume?.();
		const timer = setTimeout(() => this.#abortNow(), FIN_GRACE_MS);
		socket.once('close', () => clearTimeout(timer));
		socket.end();
	}

	/** All that is left was read, so there is nothing to hold back any more. */
	upstreamEnded(): void {
		this.#ended = true;
		this.#resume?.();
	}

	#abortNow(): void {
		if (this.#over) return;
		if (this.#abort === null) this.#connection.destroy();
		else this.#abort();
	}

	// Dispatcher.DispatchHandler

	onConnect(abort: () => void): void {
		this.#abort = abort;
		if (this.#cancelled) {
			abort();
			return;
		}
		this.#started = true;
		this.#connection.start?.expect();
		this.#sink.onConnected();
	}

	onHeaders(status: number, rawHeaders: Buffer[], resume: () => void): boolean {
		this.#resume = resume;
		if (this.#cancelled) return true;
		const raw = textOf(rawHeaders);
		const version = this.#connection.start?.version;
		// Thrown, it comes back through onError, and the connection is closed.
		if (version !== '1.1' && version !== '1.0')
			throw new SlimeError('upstream_protocol', 'The upstream answered in another version of HTTP than 1.0 and 1.1.');
		if (status === 101)
			throw new SlimeError('upstream_protocol', 'The upstream switched protocols without being asked.');
		// RFC 9112 section 6.1: who speaks 1.0 may not know where its own chunks end.
		if (version === '1.0' && raw.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'transfer-encoding'))
			this.#reusable = false;
		if (status < 200) {
			this.#sink.onInformation(status, raw);
			return true;
		}
		this.#responded = true;
		this.#notModified = status === 304;
		this.#sink.onResponse(status, raw);
		return true;
	}

	onData(chunk: Buffer): boolean {
		return this.#cancelled || this.#sink.onBody(chunk) || this.#ended;
	}

	onComplete(trailers: string[] | null): void {
		const reset = this.#connection.socket?.errored;
		if (reset) {
			this.onError(reset);
			return;
		}
		const rawTrailers = trailers === null ? [] : textOf(trailers as unknown as Buffer[]);
		this.#finish(this.#reusable && !this.#cancelled);
		if (!this.#cancelled) this.#sink.onComplete(rawTrailers);
	}

	onError(error: Error): void {
		if (this.#over) return;
		this.#finish(false);
		if (this.#cancelled) return;
		// A 304 may say how long the representation is, without a body (RFC 9110 section 8.6); undici takes that for a cut.
		if (this.#notModified && 'code' in error && error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
			this.#sink.onComplete([]);
			return;
		}
		// What undici cannot send without ambiguity it refuses here rather than when it is asked; no other agent could send it.
		if (!this.#started && 'code' in error && error.code === 'UND_ERR_INVALID_ARG') {
			this.#sink.onFailure(new SlimeError('bad_request', CANNOT_BE_SENT, { cause: error }), true);
			return;
		}
		const told = this.#started ? exchangeError(error) : connectError(error);
		this.#sink.onFailure(told, this.#started || this.#responded);
	}

	/** Gives the connection and the worker back, before the end is told: the next request may come with the answer to it. */
	#finish(reusable: boolean): void {
		this.#over = true;
		if (this.#body !== null && !this.#body.destroyed) this.#body.destroy();
		this.#connection.done(reusable);
		this.#sink.onReleased();
	}
}

function uncork(connection: Connection): void {
	connection.uncork();
}

function textOf(raw: readonly Buffer[]): string[] {
	const text: string[] = [];
	for (const part of raw) text.push(part.toString('latin1'));
	return text;
}

/**
 * The engine in its server role for other people's clients, over TCP or TLS. What it does is in the paths (see `routes`); the
 * peers' own servers in test/peers/programs serve the same ones.
 */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { ErrorCode, type FieldList } from '../../src/h2/protocol.ts';
import { Session, type SessionHandler, type SessionOptions } from '../../src/h2/session.ts';
import type { Settings } from '../../src/h2/settings.ts';
import type { Stream, StreamFailure, StreamHandler } from '../../src/h2/stream.ts';
import { OK } from './h2-peer.ts';
import { PatternExchange } from './pattern-body.ts';

/** Receive windows of the engine that stay as they are: 64 KiB as a stream and as a connection, or wide. */
export const windows = {
	small: {
		settings: { initialWindowSize: 65_535 },
		connectionWindow: 65_535,
		maxConnectionWindow: 65_535,
		maxStreamWindow: 65_535,
	},
	large: { settings: { initialWindowSize: 16 * 1024 * 1024 }, connectionWindow: 64 * 1024 * 1024 },
} as const;
export type Windows = keyof typeof windows;

export interface EngineServerOptions extends Omit<SessionOptions, 'socket' | 'role' | 'handler'> {
	/** PEM texts. */
	readonly tls?: { readonly cert: string; readonly key: string };
	/** A connection is shut down when it has had so many requests. */
	readonly requestsEach?: number;
}

interface Request {
	readonly stream: Stream;
	readonly fields: FieldList;
	readonly query: URLSearchParams;
}

type Route = (request: Request) => StreamHandler;

export class EngineServer {
	port = 0;
	/** All that were accepted, those that are over too. */
	readonly sessions: Session[] = [];
	/** Of streams that were not finished, in the order of their ends. */
	readonly failures: StreamFailure[] = [];
	readonly faults: unknown[] = [];
	/** Errors with which connections ended. */
	readonly errors: Error[] = [];
	readonly exchanges: PatternExchange[] = [];
	/** How often each id of /once was executed. */
	readonly executed = new Map<string, number>();
	/** The most requests of /peak at one time. */
	peak = 0;
	#atPeak = 0;
	#together: Stream[] = [];
	#acknowledged: Array<() => void> = [];
	#onFailure: () => void = () => {};
	#onClosed: () => void = () => {};
	#onRequest: () => void = () => {};
	readonly #requests = new Map<Session, number>();
	readonly #options: EngineServerOptions;

	constructor(options: EngineServerOptions) {
		this.#options = options;
	}

	/** Announces settings; resolves when the client has taken note, or is gone. */
	async change(session: Session, settings: Partial<Settings>): Promise<void> {
		session.updateSettings(settings);
		while (!session.closed && !(session.settingsSettled && session.settingsSent)) {
			await new Promise<void>((resolve) => this.#acknowledged.push(resolve));
		}
	}

	/** Resolves at the next request. */
	asked(): Promise<void> {
		return new Promise((resolve) => {
			this.#onRequest = resolve;
		});
	}

	/** Resolves when so many streams have failed. */
	async failed(count: number): Promise<StreamFailure[]> {
		while (this.failures.length < count) {
			await new Promise<void>((resolve) => {
				this.#onFailure = resolve;
			});
		}
		return this.failures;
	}

	/** Resolves when no connection is open. */
	async idle(): Promise<void> {
		while (this.sessions.some(({ closed }) => !closed)) {
			await new Promise<void>((resolve) => {
				this.#onClosed = resolve;
			});
		}
	}

	serve(socket: net.Socket): void {
		const { tls: _tls, requestsEach: _requestsEach, ...options } = this.#options;
		const settings = { maxConcurrentStreams: 2000, enableConnectProtocol: true, ...options.settings };
		this.sessions.push(new Session({ ...options, settings, socket, role: 'server', handler: this.#handler }));
	}

	readonly #handler: SessionHandler = {
		stream: (stream, fields) => {
			const url = new URL(fields[fields.indexOf(':path') + 1] ?? '/', 'http://test');
			const name = fields[1] === 'CONNECT' ? 'tunnel' : url.pathname.slice(1);
			const route = this.#routes[name];
			this.#count(stream.session);
			if (fields.includes('100-continue')) stream.respond([':status', '100'], false);
			if (route) return route({ stream, fields, query: url.searchParams });
			stream.respond([':status', '404'], true);
			return null;
		},
		settingsAcknowledged: () => this.#lookAtSettings(),
		fault: (_session, error) => this.faults.push(error),
		closed: (_session, error) => {
			if (error) this.errors.push(error);
			this.#onClosed();
			this.#lookAtSettings();
		},
	};

	#lookAtSettings(): void {
		const waiting = this.#acknowledged;
		this.#acknowledged = [];
		for (const look of waiting) look();
	}

	#count(session: Session): void {
		const requests = (this.#requests.get(session) ?? 0) + 1;
		this.#requests.set(session, requests);
		this.#onRequest();
		if (requests === this.#options.requestsEach) session.shutdown('enough');
	}

	readonly #routes: Record<string, Route> = {
		/** What comes, trailers too. */
		echo: ({ stream }) => {
			stream.respond(OK, false);
			return this.#echo();
		},
		/** Extended CONNECT (RFC 8441). */
		tunnel: ({ stream, fields }) => {
			const protocol = fields[fields.indexOf(':protocol') + 1];
			stream.respond([...OK, 'x-protocol', protocol ?? ''], false);
			return this.#echo();
		},
		/** `bytes` of pattern while as many as the client likes are read; the trailers say what came. */
		exchange: ({ stream, query }) => {
			const exchange = new PatternExchange(Number(query.get('bytes')), true);
			this.exchanges.push(exchange);
			stream.respond([...OK, 'trailer', 'x-received, x-intact'], false);
			exchange.drain(stream);
			return exchange;
		},
		early: ({ stream }) => {
			stream.respond([':status', '103', 'link', '</a>; rel=preload'], false);
			return this.#answer((to) => finish(to, 'final'));
		},
		/** Part of a body, then RST_STREAM. */
		reset: ({ stream }) => {
			stream.respond(OK, false);
			stream.write(Buffer.from('some'));
			// What was written before has left when the answer to a later PING is here.
			stream.session.ping(() => stream.reset(ErrorCode.INTERNAL_ERROR));
			return this.#answer(() => {});
		},
		/** Answers, reads, and never ends. */
		hold: ({ stream }) => {
			stream.respond(OK, false);
			stream.write(Buffer.from('held'));
			return this.#answer(() => {});
		},
		/** The codes of streams that were not finished, once there are `count`. */
		resets: ({ query }) =>
			this.#answer(async (stream) => {
				const failures = await this.failed(Number(query.get('count')));
				finish(stream, JSON.stringify(failures.map(({ code }) => code)));
			}),
		/** Answers when `count` requests are waiting. */
		together: ({ query }) =>
			this.#answer((stream) => {
				this.#together.push(stream);
				if (this.#together.length < Number(query.get('count'))) return;
				const all = this.#together;
				this.#together = [];
				for (const each of all) finish(each, 'all here');
			}),
		/** Answers after a round trip, in which the client could send too many. */
		peak: ({ stream }) => {
			this.peak = Math.max(this.peak, ++this.#atPeak);
			stream.session.ping(() => {
				this.#atPeak--;
				finish(stream, 'done');
			});
			return this.#answer(() => {});
		},
		once: ({ query }) =>
			this.#answer((stream) => {
				const id = query.get('id') ?? '';
				this.executed.set(id, (this.executed.get(id) ?? 0) + 1);
				finish(stream, id);
			}),
		/** Announces what the query says at once; answers when the client has taken note. */
		settings: ({ stream, query }) => {
			const { session } = stream;
			const changes: Record<string, number> = {};
			for (const [key, value] of query) changes[key] = Number(value);
			const changed = this.change(session, changes as Partial<Settings>);
			return this.#answer(async (to) => {
				await changed;
				finish(to, 'settled');
			});
		},
		/** Graceful shutdown; this request is answered nevertheless. */
		goaway: ({ stream }) => {
			stream.session.shutdown('bye');
			return this.#answer((to) => finish(to, 'last'));
		},
	};

	#echo(): StreamHandler {
		let held = 0;
		let trailers: FieldList | undefined;
		return {
			data(stream, chunk) {
				if (stream.write(chunk)) stream.consume(chunk.length);
				else held += chunk.length;
			},
			drain(stream) {
				stream.consume(held);
				held = 0;
			},
			trailers(_stream, fields) {
				trailers = fields;
			},
			end: (stream) => stream.end(trailers),
			failed: (_stream, failure) => this.#failed(failure),
		};
	}

	/** Reads a request to its end and then answers. */
	#answer(end: (stream: Stream) => unknown): StreamHandler {
		return {
			data: (stream, chunk) => stream.consume(chunk.length),
			end,
			failed: (_stream, failure) => this.#failed(failure),
		};
	}

	#failed(failure: StreamFailure): void {
		this.failures.push(failure);
		this.#onFailure();
	}
}

function finish(stream: Stream, text: string): void {
	stream.respond(OK, false);
	stream.write(Buffer.from(text));
	stream.end();
}

/** Listens on loopback until the test is over. */
export async function engineServer(context: TestContext, options: EngineServerOptions = {}): Promise<EngineServer> {
	const engine = new EngineServer(options);
	const server = options.tls
		? tls.createServer({ ...options.tls, ALPNProtocols: ['h2'] }, (socket) => engine.serve(socket))
		: net.createServer((socket) => engine.serve(socket));
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	engine.port = (server.address() as AddressInfo).port;
	context.after(() => {
		for (const session of engine.sessions) session.destroy();
		server.close();
	});
	return engine;
}

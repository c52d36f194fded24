/** HTTP/2 upstreams (h2c, or h2 by ALPN) through the project's own engine in its client role. */
import type { Socket } from 'node:net';
import { ErrorCode, type FieldList } from '../h2/protocol.ts';
import { Session, type SessionHandler } from '../h2/session.ts';
import type { Stream, StreamFailure, StreamHandler } from '../h2/stream.ts';
import { StreamState } from '../h2/stream-state.ts';
import { SlimeError } from '../shared/errors.ts';
import { CONTINUE } from '../tunnel/fields.ts';
import { Heartbeat, type HeartbeatOptions } from '../tunnel/heartbeat.ts';
import { SECRET_FIELDS } from '../tunnel/secret-fields.ts';
import { unaskedChoice, WEBSOCKET } from '../tunnel/websocket.ts';
import type {
	UpstreamCall,
	UpstreamClient,
	UpstreamExchange,
	UpstreamIdentity,
	UpstreamSink,
} from './upstream-client.ts';
import { connectError } from './upstream-errors.ts';
import type { Connect } from './upstream-http1.ts';

export interface Http2Options {
	readonly identity: UpstreamIdentity;
	readonly scheme: 'http' | 'https';
	readonly connect: Connect;
	/** Milliseconds that a connection may take to its first SETTINGS, once it is there. */
	readonly connectTimeout: number;
	readonly firstByteTimeout: number;
	readonly heartbeat: HeartbeatOptions;
	/** Where upgrades go if the upstream takes none over HTTP/2 (RFC 8441 section 3). */
	readonly http1?: UpstreamClient | undefined;
}

const MiB = 1024 * 1024;
/** How long a session without streams is kept. */
const IDLE_MS = 60_000;

export class Http2Upstream implements UpstreamClient {
	readonly #options: Http2Options;
	readonly #sessions = new Set<UpstreamSession>();
	#opening: Http2Exchange[] | null = null;
	#closed = false;

	constructor(options: Http2Options) {
		this.#options = options;
	}

	send(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange {
		const exchange = new Http2Exchange(call, sink, this.#options);
		for (const session of this.#sessions) {
			if (session.h2.canRequest) {
				exchange.start(session);
				return exchange;
			}
		}
		this.#startOnNew(exchange);
		return exchange;
	}

	close(): void {
		this.#closed = true;
		for (const session of this.#sessions) session.h2.shutdown();
	}

	/** One connection is opened for all that wait for it; what it cannot take gets another one. */
	#startOnNew(exchange: Http2Exchange): void {
		if (this.#opening !== null) {
			this.#opening.push(exchange);
			return;
		}
		const waiting = [exchange];
		this.#opening = waiting;
		this.#options.connect((error, socket) => {
			if (error || socket === null) {
				this.#opening = null;
				for (const each of waiting) each.unreachable(error ?? new Error('no socket'));
				return;
			}
			const session = new UpstreamSession(socket, this.#options, {
				ready: () => {
					this.#opening = null;
					this.#sessions.add(session);
					for (const each of waiting) {
						if (session.h2.canRequest) each.start(session);
						else this.#startOnNew(each);
					}
					if (this.#closed) session.h2.shutdown();
				},
				closed: (wasReady) => {
					this.#sessions.delete(session);
					if (wasReady) return;
					this.#opening = null;
					for (const each of waiting) each.unreachable(new Error('the upstream does not speak HTTP/2'));
				},
			});
		});
	}
}

interface SessionOwner {
	ready(): void;
	closed(wasReady: boolean): void;
}

class UpstreamSession implements SessionHandler {
	readonly h2: Session;
	readonly #heartbeat: Heartbeat;
	readonly #owner: SessionOwner;
	readonly #stopping = new Set<() => void>();
	/** Runs until its first SETTINGS. */
	readonly #greeting: NodeJS.Timeout;
	#ready = false;
	#idleTimer: NodeJS.Timeout | undefined;

	constructor(socket: Socket, { heartbeat, connectTimeout }: Http2Options, owner: SessionOwner) {
		this.#owner = owner;
		this.h2 = new Session({
			socket,
			role: 'client',
			handler: this,
			neverIndexed: SECRET_FIELDS,
			settings: { initialWindowSize: MiB, maxFrameSize: 64 * 1024, maxHeaderListSize: 512 * 1024 },
			maxFields: 8000,
		});
		this.#heartbeat = new Heartbeat(this.h2, heartbeat, () => this.h2.destroy(new Error('the upstream went silent')));
		this.#greeting = setTimeout(() => this.h2.destroy(new Error('the upstream says nothing')), connectTimeout);
	}

	settings(): void {
		if (this.#ready) return;
		this.#ready = true;
		clearTimeout(this.#greeting);
		this.#owner.ready();
		this.streamOver();
	}

	/** Calls back when the upstream has taken note of a reset, or is gone. */
	whenStopped(released: () => void): void {
		this.#stopping.add(released);
		this.h2.ping(() => {
			if (this.#stopping.delete(released)) released();
		});
		if (this.h2.closed && this.#stopping.delete(released)) released();
	}

	streamOver(): void {
		clearTimeout(this.#idleTimer);
		if (this.h2.openStreams > 0) return;
		this.#idleTimer = setTimeout(() => {
			if (this.h2.openStreams === 0) this.h2.shutdown();
		}, IDLE_MS);
		this.#idleTimer.unref();
	}

	closed(): void {
		clearTimeout(this.#greeting);
		clearTimeout(this.#idleTimer);
		this.#heartbeat.stop();
		for (const released of this.#stopping) released();
		this.#stopping.clear();
		this.#owner.closed(this.#ready);
	}
}

class Http2Exchange implements UpstreamExchange, StreamHandler {
	readonly #call: UpstreamCall;
	readonly #sink: UpstreamSink;
	readonly #options: Http2Options;
	#session: UpstreamSession | null = null;
	#stream: Stream | null = null;
	#late: NodeJS.Timeout | undefined;
	#responded = false;
	#over = false;
	#paused = 0;
	#trailers: FieldList = [];
	#untaken = 0;
	/** Body that came before there was a connection: at most what a hub may send unasked. */
	#early: Buffer[] = [];
	#finished: { readonly trailers: FieldList | undefined } | null = null;
	/** The upstream's answer to an upgrade was to switch. */
	#switched = false;
	/** The exchange over HTTP/1.1 that took the place of this one. */
	#instead: UpstreamExchange | null = null;

	constructor(call: UpstreamCall, sink: UpstreamSink, options: Http2Options) {
		this.#call = call;
		this.#sink = sink;
		this.#options = options;
	}

	start(session: UpstreamSession): void {
		if (this.#over) return;
		const { identity, scheme, firstByteTimeout } = this.#options;
		const { method, path, fields, body, upgrade, asksFirst, neverIndexed } = this.#call;
		if (upgrade !== undefined && !session.h2.remote.enableConnectProtocol) {
			this.#startElsewhere();
			return;
		}
		const section = [':method', upgrade === undefined ? method : 'CONNECT', ':scheme', scheme];
		section.push(':authority', identity.authority, ':path', path);
		if (upgrade !== undefined) section.push(':protocol', upgrade);
		section.push(...fields);
		if (asksFirst) section.push('expect', CONTINUE);
		if (identity.authorization !== undefined) section.push('authorization', identity.authorization);
		this.#session = session;
		this.#sink.onConnected();
		if (this.#over) return;
		this.#stream = session.h2.request(section, body === null, this, neverIndexed ?? undefined);
		this.#late = setTimeout(() => this.#timedOut(), firstByteTimeout);
		if (body !== null && body !== 'stream') {
			this.#stream.write(body);
			this.#stream.end();
		}
		const early = this.#early;
		this.#early = [];
		for (const chunk of early) this.write(chunk);
		if (this.#finished !== null) this.#stream.end(this.#finished.trailers);
	}

	#startElsewhere(): void {
		const { http1 } = this.#options;
		if (http1 !== undefined) {
			this.#instead = http1.send(this.#call, this.#sink);
			return;
		}
		this.#over = true;
		this.#sink.onFailure(new SlimeError('upstream_protocol', 'The upstream takes no upgrades over HTTP/2.'), false);
		this.#sink.onReleased();
	}

	unreachable(error: Error): void {
		if (this.#over) return;
		this.#over = true;
		this.#early = [];
		this.#sink.onFailure(connectError(error), false);
		this.#sink.onReleased();
	}

	// UpstreamExchange

	write(chunk: Buffer): void {
		if (this.#instead !== null) this.#instead.write(chunk);
		else if (this.#stream === null && !this.#over) this.#early.push(chunk);
		else if (this.#stream === null || this.#over || this.#stream.write(chunk)) this.#sink.onTaken(chunk.length);
		else this.#untaken += chunk.length;
	}

	finish(trailers?: FieldList): void {
		if (this.#instead !== null) this.#instead.finish(trailers);
		else if (this.#stream === null) this.#finished = { trailers };
		else this.#stream.end(trailers);
	}

	resume(): void {
		this.#instead?.resume();
		const bytes = this.#paused;
		this.#paused = 0;
		this.#stream?.consume(bytes);
	}

	cancel(): void {
		if (this.#instead !== null) {
			this.#instead.cancel();
			return;
		}
		if (this.#over) return;
		this.#over = true;
		this.#early = [];
		if (this.#stream === null) this.#sink.onReleased();
		else this.#stream.reset(ErrorCode.CANCEL);
	}

	// StreamHandler

	information(_stream: Stream, section: FieldList): void {
		if (!this.#over) this.#sink.onInformation(Number(section[1]), section.slice(2));
	}

	headers(stream: Stream, section: FieldList): void {
		clearTimeout(this.#late);
		if (this.#over) return;
		this.#responded = true;
		const raw = section.slice(2);
		const status = Number(section[1]);
		if (this.#call.upgrade === undefined || status >= 300) this.#sink.onResponse(status, raw, stream.neverIndexed);
		else this.#onSwitched(raw);
	}

	#onSwitched(raw: FieldList): void {
		const { upgrade, fields } = this.#call;
		const unasked = upgrade === WEBSOCKET ? unaskedChoice(fields, raw) : null;
		if (unasked === null) {
			this.#switched = true;
			this.#sink.onSwitched(raw);
			return;
		}
		this.#over = true;
		const what = `The upstream switched protocols with a ${unasked} that was not offered.`;
		this.#sink.onFailure(new SlimeError('upstream_protocol', what), true);
		this.#stream?.reset(ErrorCode.CANCEL);
	}

	data(stream: Stream, chunk: Buffer): void {
		if (this.#over || this.#sink.onBody(chunk)) stream.consume(chunk.length);
		else this.#paused += chunk.length;
	}

	trailers(_stream: Stream, section: FieldList): void {
		this.#trailers = section;
	}

	end(stream: Stream): void {
		if (this.#switched && !this.#over) {
			this.#sink.onComplete([]);
			return;
		}
		if (!this.#over) {
			this.#over = true;
			this.#sink.onComplete(this.#trailers);
		}
		// Not NO_ERROR, which is for servers: some take it for the end of the body that is broken off here.
		if (stream.writable) stream.reset(ErrorCode.CANCEL);
	}

	failed(_stream: Stream, failure: StreamFailure): void {
		if (this.#over) return;
		this.#over = true;
		const started = failure.started || this.#responded;
		if (failure.kind === 'protocol') this.#sink.onFailure(new SlimeError('upstream_protocol'), true);
		else
			this.#sink.onFailure(new SlimeError('upstream_unreachable', `The upstream failed: ${failure.message}.`), started);
	}

	drain(): void {
		const bytes = this.#untaken;
		this.#untaken = 0;
		this.#sink.onTaken(bytes);
	}

	closed(stream: Stream): void {
		clearTimeout(this.#late);
		this.#session?.streamOver();
		if (stream.state === StreamState.RESET_BY_US) this.#session?.whenStopped(() => this.#sink.onReleased());
		else this.#sink.onReleased();
	}

	#timedOut(): void {
		if (this.#over) return;
		this.#over = true;
		this.#sink.onFailure(new SlimeError('upstream_timeout'), true);
		this.#stream?.reset(ErrorCode.CANCEL);
	}
}

/**
 * Applications' HTTP/2 connections: each socket is a session of the project's own engine, within limits for strangers. Its streams
 * become requests like any other.
 */
import type { Socket } from 'node:net';
import { STRANGERS_OVERHEAD, STRANGERS_RESETS } from '../h2/limits.ts';
import { ConnectionError, ErrorCode, type FieldList, UnfinishedError } from '../h2/protocol.ts';
import { Session, type SessionHandler } from '../h2/session.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import { WindowBudget } from '../h2/window.ts';
import { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { SECRET_FIELDS } from '../tunnel/secret-fields.ts';
import type { AppRequest } from './app-request.ts';
import type { EndedConnections } from './ended.ts';
import { Http2App } from './http2-app.ts';
import type { Peer } from './peer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export interface AppSessionsOptions {
	readonly request: (app: AppRequest) => void;
	readonly logger: Logger;
	readonly ended: EndedConnections;
	/** Milliseconds for a connection's first SETTINGS, and for its answer when it was told that it is over. */
	readonly settingsTimeout: number;
	/** Milliseconds without a stream after which a connection is closed. */
	readonly idleTimeout: number;
	/** Requests of one connection after which it is told that it is over; 0 is no limit. */
	readonly maxRequests: number;
	/** Bytes and number of fields of a request's header section. */
	readonly maxHeaderBytes: number;
	readonly maxFields: number;
}

/** Requests at a time on one connection. */
const MAX_STREAMS = 256;
/** Receive windows: of a connection at the start and at most, and growth of all streams of one and of all of them. */
const CONNECTION_WINDOW = MiB;
const MAX_CONNECTION_WINDOW = 16 * MiB;
const WINDOW_BUDGET = 16 * MiB;
const PROCESS_WINDOWS = 256 * MiB;

export class AppSessions {
	readonly faults = new LogGate();
	readonly options: AppSessionsOptions;
	readonly windows = new WindowBudget(PROCESS_WINDOWS);
	readonly #open = new Set<AppSession>();
	#draining = false;

	constructor(options: AppSessionsOptions) {
		this.options = options;
	}

	/** @param head bytes that were read already */
	accept(socket: Socket, head: Buffer, peer: Peer): void {
		const session = new AppSession(this, socket, head, peer);
		this.#open.add(session);
		if (this.#draining) session.drain();
	}

	ended(session: AppSession): void {
		this.#open.delete(session);
	}

	/** No new requests; connections end with their last response. */
	drain(): void {
		this.#draining = true;
		for (const session of this.#open) session.drain();
	}

	destroy(): void {
		for (const session of this.#open) session.destroy();
	}
}

class AppSession implements SessionHandler {
	readonly #owner: AppSessions;
	readonly #session: Session;
	readonly #peer: Peer;
	#timer: NodeJS.Timeout;

	constructor(owner: AppSessions, socket: Socket, head: Buffer, peer: Peer) {
		const { maxHeaderBytes, maxFields, settingsTimeout } = owner.options;
		this.#owner = owner;
		this.#peer = peer;
		socket.setNoDelay(true);
		this.#session = new Session({
			socket,
			head,
			role: 'server',
			handler: this,
			neverIndexed: SECRET_FIELDS,
			settings: {
				maxConcurrentStreams: MAX_STREAMS,
				initialWindowSize: 64 * KiB,
				maxFrameSize: 64 * KiB,
				// HTTP/2 counts 32 bytes more for each field.
				maxHeaderListSize: maxHeaderBytes + 32 * maxFields,
				enableConnectProtocol: true,
			},
			maxFields: maxFields + 8,
			connectionWindow: CONNECTION_WINDOW,
			maxConnectionWindow: MAX_CONNECTION_WINDOW,
			windowBudget: WINDOW_BUDGET,
			processBudget: owner.windows,
			resetBudget: STRANGERS_RESETS,
			overheadBudget: STRANGERS_OVERHEAD,
			unfinishedTimeout: settingsTimeout,
		});
		this.#timer = setTimeout(() => {
			this.#session.destroy(new ConnectionError(ErrorCode.SETTINGS_TIMEOUT, 'no SETTINGS in time'));
		}, settingsTimeout);
	}

	drain(): void {
		this.#session.shutdown();
	}

	destroy(): void {
		this.#session.destroy();
	}

	// SessionHandler

	settings(): void {
		if (this.#session.openStreams === 0) this.#waitIdle();
	}

	stream(stream: Stream, section: FieldList, endStream: boolean): StreamHandler | null {
		const { maxRequests } = this.#owner.options;
		const requests = ++this.#peer.requests;
		if (maxRequests > 0 && requests >= maxRequests) {
			this.#session.shutdown();
			// Those that were on their way are served; who goes on has not read what it was told.
			if (requests > maxRequests + MAX_STREAMS) return null;
		}
		clearTimeout(this.#timer);
		const app = new Http2App(stream, section, endStream, this.#peer, () => this.#streamOver());
		// Its handler must be known before anything can be answered.
		stream.handler = app;
		this.#owner.options.request(app);
		return app;
	}

	fault(_session: Session, error: unknown): void {
		const leftOut = this.#owner.faults.pass();
		if (leftOut !== null) this.#owner.options.logger.error({ err: error, leftOut }, 'a request failed inside the hub');
	}

	closed(_session: Session, error: Error | null): void {
		clearTimeout(this.#timer);
		this.#owner.ended(this);
		const { ended, logger } = this.#owner.options;
		const late = error instanceof ConnectionError && error.code === ErrorCode.SETTINGS_TIMEOUT;
		if (late || error instanceof UnfinishedError) ended.count('frame', this.#peer.address, error.message);
		else if (error) logger.debug({ reason: error.message }, 'an HTTP/2 connection ended');
	}

	#streamOver(): void {
		if (this.#session.openStreams === 0 && !this.#session.closed) this.#waitIdle();
	}

	#waitIdle(): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#leave(), this.#owner.options.idleTimeout);
	}

	/** The app is told, and has some time to say that it heard so. */
	#leave(): void {
		const { ended, settingsTimeout } = this.#owner.options;
		if (!this.#session.draining) ended.count('keep_alive', this.#peer.address);
		this.#session.shutdown();
		this.#timer = setTimeout(() => this.#session.destroy(), settingsTimeout);
	}
}

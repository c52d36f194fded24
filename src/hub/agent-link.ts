/**
 * One connected agent: its tunnel as the hub sees it, and what its slots mean to the dispatcher (PROTOCOL.md, slots).
 * Knows who the agent is; nothing of applications.
 */
import type { Duplex } from 'node:stream';
import type { AgentDetails, AgentStatus } from '../admin/status.ts';
import type { Dispatcher, Lease, Member, Membership } from '../dispatch/dispatcher.ts';
import { type ExtensionFrame, Session, type SessionHandler } from '../h2/session.ts';
import type { Stream } from '../h2/stream.ts';
import type { WindowBudget } from '../h2/window.ts';
import { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { bytesPassed } from '../shared/v8-settings.ts';
import type { AgentInfo } from '../tunnel/handshake.ts';
import { Heartbeat, type HeartbeatOptions } from '../tunnel/heartbeat.ts';
import { SECRET_FIELDS } from '../tunnel/secret-fields.ts';
import { UPSTREAM_STATE_FRAME } from '../tunnel/upstream-state.ts';
import type { Statistics } from './statistics.ts';
import { UpstreamReport } from './upstream-report.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
/** Initial stream windows of one tunnel, all together, at most. */
const ALL_WINDOWS = 32 * MiB;

/** How long an agent has to read why its tunnel is closed, in milliseconds; then its requests are cut. */
const LAST_WORD = 500;

/** Who an agent is, as its token and its handshake say. */
export interface AgentIdentity {
	readonly tokenId: string;
	readonly tokenName: string;
	readonly agentId: string;
	readonly scopes: readonly string[];
	readonly scopePaths: readonly string[];
	/** When its token was made, and until when it is let in; undefined is for ever. */
	readonly issuedAt: Date;
	readonly expiresAt: Date | undefined;
	readonly info: AgentInfo;
	readonly address: string;
}

/** Two tokens may use the same agent id: they are two agents. */
export function keyOf({ tokenId, agentId }: Pick<AgentIdentity, 'tokenId' | 'agentId'>): string {
	return `${tokenId}/${agentId}`;
}

/** Whatever wants to act once all frames of one read have been told. */
export interface ReadListener {
	readDone(): void;
	/** readDone() threw. */
	readFailed(): void;
}

export interface AgentLinkOptions {
	readonly socket: Duplex;
	readonly head: Buffer;
	readonly identity: AgentIdentity;
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly heartbeat: HeartbeatOptions;
	readonly windows: WindowBudget;
	readonly statistics: Statistics;
	readonly logger: Logger;
	readonly left: (link: AgentLink) => void;
}

export class AgentLink implements Member, SessionHandler {
	readonly identity: AgentIdentity;
	/** See keyOf. */
	readonly key: string;
	readonly session: Session;
	/** It has said how many workers it has. */
	ready = false;
	readonly #membership: Membership;
	readonly #connected = performance.now();
	readonly #heartbeat: Heartbeat;
	readonly #log: Logger;
	readonly #left: (link: AgentLink) => void;
	readonly #faults = new LogGate();
	readonly #statistics: Statistics;
	/** The heartbeat has found it dead. */
	#silent = false;
	#waitingForRead: ReadListener[] = [];
	/** Bytes received until the last read. */
	#passed = 0;
	/** Leases of cancelled requests, until the agent has said that it took note. */
	#cancelled: Array<Lease<AgentLink>> = [];
	#pingUnderWay = false;
	#refused = false;
	/** The agent has said so. */
	#leaving = false;
	/** It gets no new requests, and the tunnel ends with those that it has. */
	retired = false;
	#drained = false;
	/** What it says of its upstream. */
	readonly upstream: UpstreamReport;

	constructor(options: AgentLinkOptions) {
		const { identity } = options;
		this.identity = identity;
		this.key = keyOf(identity);
		this.#log = options.logger;
		this.upstream = new UpstreamReport(options.logger);
		this.#left = options.left;
		this.#statistics = options.statistics;
		this.#membership = options.dispatcher.join(this);
		const workers = identity.info.numWorker ?? 1;
		this.session = new Session({
			socket: options.socket,
			role: 'client',
			head: options.head,
			handler: this,
			processBudget: options.windows,
			neverIndexed: SECRET_FIELDS,
			settings: {
				initialWindowSize: Math.max(64 * KiB, Math.min(MiB, Math.floor(ALL_WINDOWS / workers))),
				maxFrameSize: 64 * KiB,
				maxHeaderListSize: 640 * KiB,
			},
			maxFields: 8000,
		});
		this.#heartbeat = new Heartbeat(this.session, options.heartbeat, () => {
			this.#log.warn('the agent does not answer any more');
			this.#silent = true;
			this.session.destroy(new Error('no sign of life from the agent'));
		});
	}

	get scopes(): readonly string[] {
		return this.identity.scopes;
	}

	get scopePaths(): readonly string[] {
		return this.identity.scopePaths;
	}

	/** What operators are shown. */
	get status(): AgentStatus {
		const { agentId: id, tokenName: token, tokenId, address, info } = this.identity;
		const { limit, leased, aside } = this.#membership;
		const { draining, rtt } = this.session;
		const standing = !this.ready ? 'connecting' : this.#drained ? 'drained' : 'ready';
		return {
			id,
			token,
			tokenId,
			address,
			version: info.version,
			labels: info.labels,
			scopes: this.identity.scopes,
			state: draining ? 'leaving' : standing,
			workers: { total: info.numWorker ?? limit, used: leased, limit },
			upstream: this.upstream.status(aside),
			age: Math.round(performance.now() - this.#connected),
			rtt: rtt === 0 ? null : Math.round(rtt * 1000) / 1000,
		};
	}

	/** The same, with what it says of its machine. @param requests those that it has */
	details(requests: AgentDetails['requests']): AgentDetails {
		const { scopePaths, info } = this.identity;
		const { hardware } = info;
		const isTold = typeof hardware === 'object' && hardware !== null && !Array.isArray(hardware);
		return { ...this.status, scopePaths, hardware: isTold ? hardware : undefined, requests };
	}

	/** What it may have and has; the limit is 0 while it is paused, drains or has not said. */
	get slots(): Pick<Membership, 'limit' | 'leased' | 'aside'> {
		return this.#membership;
	}

	/** Whether it may be given requests. */
	get takesRequests(): boolean {
		return !this.retired && !this.#drained;
	}

	/** No new requests until it is resumed; the tunnel stays. Any number of times, as `resume`. */
	drain(): void {
		this.#drained = true;
		this.#membership.drain();
	}

	resume(): void {
		this.#drained = false;
		if (!this.retired) this.#membership.resume();
	}

	/** Calls the listener when the frames that are being read have all been told. */
	afterRead(listener: ReadListener): void {
		this.#waitingForRead.push(listener);
	}

	/**
	 * Gives a lease back whose stream is over. After a reset of ours the agent may not know of it yet: its slot is free only
	 * when it has answered a PING sent behind the RST_STREAM. One such PING covers all resets before it.
	 */
	settle(lease: Lease<AgentLink>, cancelled: boolean): void {
		if (!cancelled || this.session.closed) {
			lease.release();
			return;
		}
		this.#cancelled.push(lease);
		this.#pingForCancelled();
	}

	#pingForCancelled(): void {
		if (this.#pingUnderWay || this.#cancelled.length === 0) return;
		const covered = this.#cancelled;
		this.#cancelled = [];
		this.#pingUnderWay = true;
		this.session.ping(() => {
			this.#pingUnderWay = false;
			for (const lease of covered) lease.release();
			this.#pingForCancelled();
		});
		this.#covered = covered;
	}

	#covered: Array<Lease<AgentLink>> = [];

	/** The agent refused a request although it seemed to have a slot: it is left alone until it has said what it has. */
	refused(): void {
		if (this.#refused || this.session.closed) return;
		this.#refused = true;
		this.#membership.setLimit(0);
		this.session.ping(() => {
			this.#refused = false;
			this.#applyLimit();
		});
	}

	/** The agent is to get itself another tunnel; this one serves on until it is retired. */
	move(): void {
		this.session.announceShutdown('moving');
	}

	/** No new requests; the tunnel ends when those that it has are done. */
	retire(reason: string): void {
		this.retired = true;
		this.#membership.drain();
		this.session.shutdown(reason);
	}

	/** Nothing new, and what is under way has a moment. Resolves when the socket is closed. @param why as the log says it */
	async end(reason: 'revoked' | 'disconnected' | 'expired', why: string): Promise<void> {
		const { session } = this;
		const closed = new Promise<void>((resolve) => {
			if (session.socket.closed) resolve();
			else session.socket.once('close', () => resolve());
		});
		this.retire(reason);
		const cut = setTimeout(() => {
			session.destroy(new Error(why));
			session.socket.destroy();
		}, LAST_WORD);
		await closed;
		clearTimeout(cut);
	}

	// SessionHandler

	settings(): void {
		this.ready = true;
		this.#applyLimit();
	}

	extension(_session: Session, { type, payload }: ExtensionFrame): void {
		if (type === UPSTREAM_STATE_FRAME && this.upstream.told(payload)) {
			this.#membership.setFault(this.upstream.fault?.state ?? 'none');
		}
	}

	goaway(_session: Session, _last: number, _code: number, debugData: string): void {
		if (this.#leaving) return;
		this.#leaving = true;
		this.retired = true;
		this.#membership.drain();
		this.#log.info({ reason: debugData || undefined }, 'the agent is leaving');
	}

	readDone(): void {
		bytesPassed(this.session.received - this.#passed);
		this.#passed = this.session.received;
		if (this.#waitingForRead.length === 0) return;
		const listeners = this.#waitingForRead;
		this.#waitingForRead = [];
		for (const listener of listeners) {
			try {
				listener.readDone();
			} catch (error) {
				this.fault(this.session, error);
				listener.readFailed();
			}
		}
	}

	fault(_session: Session, error: unknown): void {
		const leftOut = this.#faults.pass();
		if (leftOut !== null) this.#log.error({ err: error, leftOut }, 'a request failed inside the hub');
	}

	closed(_session: Session, error: Error | null): void {
		this.#heartbeat.stop();
		this.#membership.leave();
		const end = this.#silent ? 'silent' : error === null ? 'done' : 'lost';
		this.#statistics.tunnelClosed(end, this.session.received, this.session.sent);
		for (const lease of [...this.#covered, ...this.#cancelled]) lease.release();
		this.#covered = [];
		this.#cancelled = [];
		this.#log.info({ reason: error?.message ?? 'done' }, 'agent disconnected');
		this.#left(this);
	}

	stream(stream: Stream): null {
		stream.reset();
		return null;
	}

	#applyLimit(): void {
		if (this.#refused) return;
		const most = this.session.remote.maxConcurrentStreams;
		// An agent that announces no limit is held to the one worker that every agent has.
		this.#membership.setLimit(Number.isFinite(most) ? most : 1);
	}
}

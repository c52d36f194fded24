/**
 * One tunnel as the agent sees it: requests become workers, the free workers that it is offered become the stream limit that
 * the hub is told (PROTOCOL.md, slots). Knows nothing of dialling, nor of other hubs.
 */
import type { Duplex } from 'node:stream';
import type { FieldList } from '../h2/protocol.ts';
import { Session, type SessionHandler } from '../h2/session.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import type { WindowBudget } from '../h2/window.ts';
import { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { bytesPassed } from '../shared/v8-settings.ts';
import { isPlainConnect } from '../tunnel/fields.ts';
import { Heartbeat, type HeartbeatOptions } from '../tunnel/heartbeat.ts';
import { SECRET_FIELDS } from '../tunnel/secret-fields.ts';
import { UPSTREAM_STATE_FRAME, writeUpstreamState } from '../tunnel/upstream-state.ts';
import type { Turn } from './offers.ts';
import type { Share, Slots } from './slots.ts';
import type { UpstreamHealth } from './upstream-health.ts';
import { Worker, type WorkerContext } from './worker.ts';

export interface TunnelOptions {
	readonly socket: Duplex;
	readonly head: Buffer;
	readonly slots: Slots;
	readonly worker: Omit<WorkerContext, 'settled' | 'announce' | 'suspect' | 'unsendable'>;
	readonly health: UpstreamHealth;
	readonly heartbeat: HeartbeatOptions;
	readonly windows: WindowBudget;
	readonly logger: Logger;
	/** The hub is leaving; `reason` is what it said. Until it says another than `moving` it may send new requests. */
	readonly leaving: (reason: string) => void;
	readonly closed: (error: Error | null) => void;
}

/** Until a worker has taken a request, so much of its body is let in and no more: what is refused can be replayed. */
const INITIAL_WINDOW = 64 * 1024;
/** A hub for which a worker is kept has so many round trips to take it, and no longer than so many milliseconds. */
const TURN_ROUND_TRIPS = 2;
const LONGEST_TURN = 1000;

export class Tunnel implements SessionHandler {
	readonly session: Session;
	readonly #options: TunnelOptions;
	readonly #context: WorkerContext;
	readonly #heartbeat: Heartbeat;
	readonly #share: Share;
	readonly #deafen: () => void;
	/** Streams that are open and whose workers hold their slots. */
	#open = 0;
	#announced: number;
	/** The turn that the hub has, and whether its round trips are being counted. */
	#turn: Turn | null = null;
	#counting = false;
	#turnTimer: NodeJS.Timeout | undefined;
	#fresh: Worker[] = [];
	readonly #faults = new LogGate();
	/** Bytes received until the last read. */
	#passed = 0;

	constructor(options: TunnelOptions) {
		this.#options = options;
		this.#context = {
			...options.worker,
			unsendable: new LogGate(),
			settled: () => {
				this.#open--;
			},
			announce: () => this.#announce(),
			suspect: () => options.health.suspect(),
		};
		this.#share = options.slots.join(() => this.#announce());
		this.#announced = this.#limit;
		this.session = new Session({
			socket: options.socket,
			role: 'server',
			head: options.head,
			handler: this,
			processBudget: options.windows,
			paced: true,
			neverIndexed: SECRET_FIELDS,
			settings: {
				maxConcurrentStreams: this.#announced,
				initialWindowSize: INITIAL_WINDOW,
				maxFrameSize: 64 * 1024,
				maxHeaderListSize: 256 * 1024,
				enableConnectProtocol: true,
			},
			maxFields: 2000,
		});
		if (options.health.fault !== null) this.#tellState();
		this.#deafen = options.health.listen(() => {
			this.#tellState();
			this.#announce();
		});
		this.#heartbeat = new Heartbeat(this.session, options.heartbeat, () => {
			options.logger.warn('the hub does not answer any more');
			this.session.destroy(new Error('no sign of life from the hub'));
		});
	}

	/** No new requests; the tunnel ends when those under way are done. */
	drain(): void {
		this.#retire();
		this.session.shutdown('draining');
	}

	// SessionHandler

	stream(stream: Stream, section: FieldList, endStream: boolean): StreamHandler | null {
		if (isPlainConnect(section)) {
			stream.respond([':status', '501'], true);
			return null;
		}
		// The hub had sent it before it knew.
		if (this.#options.health.down) return null;
		// Counted first, so that a slot which is taken leaves the announced sum as it is.
		this.#open++;
		const slot = this.#share.take();
		if (slot === null) {
			this.#open--;
			return null;
		}
		const worker = new Worker(this.#context, stream, section, endStream, slot);
		this.#fresh.push(worker);
		return worker;
	}

	readDone(): void {
		bytesPassed(this.session.received - this.#passed);
		this.#passed = this.session.received;
		if (this.#fresh.length === 0) return;
		const fresh = this.#fresh;
		this.#fresh = [];
		for (const worker of fresh) {
			try {
				worker.start();
			} catch (error) {
				this.fault(this.session, error);
				worker.abandon();
			}
		}
	}

	/** A hub that asks whether we took note of its cancels must first see the limit that follows from them. */
	holdPings(): boolean {
		return !this.session.settingsSent;
	}

	settingsAcknowledged(): void {
		if (!this.session.settingsSent) return;
		this.session.releasePings();
		this.#countRoundTrips();
	}

	goaway(_session: Session, _last: number, _code: number, debugData: string): void {
		// A hub that hands over still has requests that wait here for a worker.
		if (debugData !== 'moving') this.#retire();
		this.#options.leaving(debugData);
	}

	fault(_session: Session, error: unknown): void {
		const leftOut = this.#faults.pass();
		if (leftOut !== null) this.#options.logger.error({ err: error, leftOut }, 'a request failed inside the agent');
	}

	closed(_session: Session, error: Error | null): void {
		this.#heartbeat.stop();
		this.readDone();
		this.#retire();
		this.#options.closed(error);
	}

	/** The hub is offered nothing more: it sends nothing new, or is gone. */
	#retire(): void {
		this.#deafen();
		this.#share.leave();
		this.#announce();
	}

	/** Why nothing is announced comes before that. */
	#tellState(): void {
		const payload = writeUpstreamState(this.#options.health.fault);
		this.session.sendExtension({ type: UPSTREAM_STATE_FRAME, flags: 0, streamId: 0, payload });
	}

	/** What this hub may have open: its open streams and what it is offered. A worker that is still stopping is neither. */
	get #limit(): number {
		return this.#options.health.down ? 0 : this.#open + this.#share.offered;
	}

	#announce(): void {
		const limit = this.#limit;
		if (limit !== this.#announced && !this.session.closed) {
			this.#announced = limit;
			this.session.updateSettings({ maxConcurrentStreams: limit });
		}
		const { turn } = this.#share;
		if (turn === this.#turn) return;
		clearTimeout(this.#turnTimer);
		this.#turn = turn;
		this.#counting = false;
		if (turn === null) return;
		this.#turnTimer = setTimeout(() => this.#share.pass(turn), LONGEST_TURN);
		if (this.session.settingsSent) this.#countRoundTrips();
	}

	/** A PING behind the SETTINGS is answered after whatever the hub did about them. */
	#countRoundTrips(): void {
		const turn = this.#turn;
		if (turn === null || this.#counting) return;
		this.#counting = true;
		let left = TURN_ROUND_TRIPS;
		const answered = () => {
			if (this.#turn !== turn) return;
			if (--left > 0) this.session.ping(answered);
			else this.#share.pass(turn);
		};
		this.session.ping(answered);
	}
}

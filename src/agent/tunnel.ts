/**
 * One tunnel as the agent sees it: requests become workers, free workers become the stream limit that the hub is told
 * (PROTOCOL.md, slots). Knows nothing of dialling.
 */
import type { Duplex } from 'node:stream';
import type { FieldList } from '../h2/protocol.ts';
import { Session, type SessionHandler } from '../h2/session.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import type { WindowBudget } from '../h2/window.ts';
import type { Logger } from '../shared/logger.ts';
import { bytesPassed } from '../shared/young-generation.ts';
import { isPlainConnect } from '../tunnel/fields.ts';
import { Heartbeat, type HeartbeatOptions } from '../tunnel/heartbeat.ts';
import type { Slots } from './slots.ts';
import { Worker, type WorkerContext } from './worker.ts';

export interface TunnelOptions {
	readonly socket: Duplex;
	readonly head: Buffer;
	readonly slots: Slots;
	readonly worker: Omit<WorkerContext, 'settled' | 'announce'>;
	readonly heartbeat: HeartbeatOptions;
	readonly windows: WindowBudget;
	readonly logger: Logger;
	/** The hub will send nothing new; `reason` is what it said. */
	readonly leaving: (reason: string) => void;
	readonly closed: (error: Error | null) => void;
}

/** Until a worker has taken a request, so much of its body is let in and no more: what is refused can be replayed. */
const INITIAL_WINDOW = 64 * 1024;

export class Tunnel implements SessionHandler {
	readonly session: Session;
	readonly #options: TunnelOptions;
	readonly #context: WorkerContext;
	readonly #heartbeat: Heartbeat;
	readonly #stopListening: () => void;
	/** Streams that are open and whose workers hold their slots. */
	#open = 0;
	#announced: number;
	#fresh: Worker[] = [];
	/** Bytes received until the last read. */
	#passed = 0;

	constructor(options: TunnelOptions) {
		this.#options = options;
		this.#context = {
			...options.worker,
			settled: () => {
				this.#open--;
			},
			announce: () => this.#announce(),
		};
		this.#announced = options.slots.free;
		this.session = new Session({
			socket: options.socket,
			role: 'server',
			head: options.head,
			handler: this,
			processBudget: options.windows,
			settings: {
				maxConcurrentStreams: this.#announced,
				initialWindowSize: INITIAL_WINDOW,
				maxFrameSize: 64 * 1024,
				maxHeaderListSize: 256 * 1024,
				enableConnectProtocol: true,
			},
			maxFields: 2000,
		});
		this.#stopListening = options.slots.onChange(() => this.#announce());
		this.#heartbeat = new Heartbeat(this.session, options.heartbeat, () => {
			options.logger.warn('the hub does not answer any more');
			this.session.destroy(new Error('no sign of life from the hub'));
		});
	}

	/** No new requests; the tunnel ends when those under way are done. */
	drain(): void {
		this.session.shutdown('draining');
	}

	// SessionHandler

	stream(stream: Stream, section: FieldList, endStream: boolean): StreamHandler | null {
		if (isPlainConnect(section)) {
			stream.respond([':status', '501'], true);
			return null;
		}
		// Counted first, so that a slot which is taken leaves the announced sum as it is.
		this.#open++;
		const slot = this.#options.slots.take();
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
		for (const worker of fresh) worker.start();
	}

	/** A hub that asks whether we took note of its cancels must first see the limit that follows from them. */
	holdPings(): boolean {
		return !this.session.settingsSent;
	}

	settingsAcknowledged(): void {
		if (this.session.settingsSent) this.session.releasePings();
	}

	goaway(_session: Session, _last: number, _code: number, debugData: string): void {
		this.#options.leaving(debugData);
	}

	fault(_session: Session, error: unknown): void {
		this.#options.logger.error({ err: error }, 'a request failed inside the agent');
	}

	closed(_session: Session, error: Error | null): void {
		this.#heartbeat.stop();
		this.#stopListening();
		this.readDone();
		this.#options.closed(error);
	}

	/** What this hub may have open: its open streams and the free workers. A worker that is still stopping is neither. */
	#announce(): void {
		const limit = this.#open + this.#options.slots.free;
		if (limit === this.#announced || this.session.closed) return;
		this.#announced = limit;
		this.session.updateSettings({ maxConcurrentStreams: limit });
	}
}

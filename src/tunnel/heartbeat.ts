/**
 * Tells a dead tunnel from a quiet or a slow one. Any byte received, and any movement of bytes that were stuck on our side, is life;
 * PING only asks when there was neither. Found dead within interval + timeout and two ticks.
 */
import type { Session } from '../h2/session.ts';

const TICKS_PER_TIMEOUT = 5;

export interface HeartbeatOptions {
	/** Milliseconds of silence after which the peer is asked. */
	readonly interval: number;
	/** Milliseconds that it may then stay silent. */
	readonly timeout: number;
}

export class Heartbeat {
	readonly #session: Session;
	readonly #options: HeartbeatOptions;
	readonly #dead: () => void;
	readonly #timer: NodeJS.Timeout;
	#received = 0;
	#progress = 0;
	#lastSign = performance.now();
	/**
	 * Ticks since it was asked, 0 if it was not. Time is not enough: where the process itself stood still, an answer may have come that is
	 * read only after this.
	 */
	#silentTicks = 0;

	/** @param dead is called once; the caller ends the session */
	constructor(session: Session, options: HeartbeatOptions, dead: () => void) {
		this.#session = session;
		this.#options = options;
		this.#dead = dead;
		this.#timer = setInterval(() => this.#tick(), Math.max(10, options.timeout / TICKS_PER_TIMEOUT));
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#tick(): void {
		const now = performance.now();
		const { received, progress } = this.#session;
		if (received !== this.#received || progress !== this.#progress) {
			this.#received = received;
			this.#progress = progress;
			this.#lastSign = now;
			this.#silentTicks = 0;
			return;
		}
		if (this.#silentTicks > 0) {
			if (++this.#silentTicks <= TICKS_PER_TIMEOUT) return;
			this.stop();
			this.#dead();
		} else if (now - this.#lastSign >= this.#options.interval) {
			this.#silentTicks = 1;
			this.#session.ping();
		}
	}
}

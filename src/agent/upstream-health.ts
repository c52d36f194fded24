/**
 * Whether one upstream can serve. A request that fails there only makes it suspect: the agent then connects to it itself, and it is down
 * if that fails too, until a connection or a health check succeeds. Owns when it is looked at; who is told is others' business.
 */
import { Backoff } from '../shared/backoff.ts';
import type { Logger } from '../shared/logger.ts';
import type { UpstreamFault } from '../tunnel/upstream-state.ts';
import { type CheckFault, checkHealth, type HealthCheckOptions } from './health-check.ts';
import { probe } from './probe.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { connectFault, isOwnFault } from './upstream-errors.ts';
import type { Connect } from './upstream-http1.ts';

export interface UpstreamHealthOptions {
	readonly client: UpstreamClient;
	/** Opens a connection for nothing but to see whether it can be opened. */
	readonly connect: Connect;
	readonly check: HealthCheckOptions;
	/** Whether the upstream has all the requests that it may have: it is not checked meanwhile. */
	readonly busy: () => boolean;
	/** Nothing is served before it was seen to be up. */
	readonly waits: boolean;
	readonly logger: Logger;
}

/** Milliseconds between two looks at an upstream that turned out to be up: requests may fail for reasons of their own, again and again. */
const QUIET = 1000;
/** Milliseconds between looks at one that is down or fails its checks, which is looked at sooner than one that is well. */
const BACKOFF = { min: 250, max: 5000, stableAfter: 0 };

const STARTING: UpstreamFault = { state: 'down', reason: 'starting', message: 'it has not been seen up yet' };

export class UpstreamHealth {
	readonly #options: UpstreamHealthOptions;
	readonly #listeners = new Set<() => void>();
	#fault: UpstreamFault | null;
	#downSince = performance.now();
	#backoff = new Backoff(BACKOFF);
	/** Ends the connection that is being tried. */
	#stopLook: (() => void) | null = null;
	#lookTimer: NodeJS.Timeout | undefined;
	#lookedAt = Number.NEGATIVE_INFINITY;
	#stopCheck: (() => void) | null = null;
	#checkTimer: NodeJS.Timeout | undefined;
	/** Checks in a row. */
	#failed = 0;
	#passed = 0;
	#closed = false;

	constructor(options: UpstreamHealthOptions) {
		this.#options = options;
		this.#fault = options.waits ? STARTING : null;
	}

	/** null while nothing is wrong with it, as far as is known. */
	get fault(): UpstreamFault | null {
		return this.#fault;
	}

	get down(): boolean {
		return this.#fault?.state === 'down';
	}

	start(): void {
		if (this.#checks) this.#check();
		else if (this.down) this.#look();
	}

	/** @returns ends it */
	listen(changed: () => void): () => void {
		this.#listeners.add(changed);
		return () => this.#listeners.delete(changed);
	}

	/** A request could not reach it, or it closed the connection without an answer. */
	suspect(): void {
		if (this.#closed || this.down || this.#stopLook !== null || this.#lookTimer !== undefined) return;
		this.#lookAfter(this.#lookedAt + QUIET - performance.now());
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#lookTimer);
		clearTimeout(this.#checkTimer);
		this.#stopLook?.();
		this.#stopCheck?.();
		this.#listeners.clear();
	}

	get #checks(): boolean {
		return this.#options.check.path !== undefined;
	}

	#lookAfter(delay: number): void {
		if (delay <= 0) {
			this.#look();
			return;
		}
		this.#lookTimer = setTimeout(() => this.#look(), delay);
	}

	#look(): void {
		this.#lookTimer = undefined;
		// A connection may fail before probe() returns.
		let over = false;
		const stop = probe(this.#options.connect, (error) => {
			over = true;
			this.#stopLook = null;
			this.#lookedAt = performance.now();
			if (!this.#closed) this.#looked(error);
		});
		if (!over) this.#stopLook = stop;
	}

	#looked(error: Error | null): void {
		if (error !== null && !isOwnFault(error)) {
			const { reason, why } = connectFault(error);
			this.#change({ state: 'down', reason, message: why });
		} else if (error === null && this.down && !this.#checks) this.#change(null);
		if (!this.down) return;
		if (!this.#checks) this.#lookAfter(this.#backoff.next());
		else if (this.#stopCheck === null) this.#checkLater();
	}

	#check(): void {
		const { client, check, busy } = this.#options;
		const { path, timeout } = check;
		if (path === undefined) return;
		// Whoever has all that it may have is not asked for more; and nothing more could be sent to it anyway.
		if (busy()) {
			this.#checkLater();
			return;
		}
		let over = false;
		const stop = checkHealth(client, { path, timeout, busy }, (result) => {
			over = true;
			this.#stopCheck = null;
			if (this.#closed) return;
			if (result === null) this.#checkPassed();
			else if (result !== 'unknown') this.#checkFailed(result);
			this.#checkLater();
		});
		if (!over) this.#stopCheck = stop;
	}

	#checkLater(): void {
		clearTimeout(this.#checkTimer);
		const { interval } = this.#options.check;
		const delay = this.#fault === null ? interval : Math.min(interval, this.#backoff.next());
		this.#checkTimer = setTimeout(() => this.#check(), delay);
	}

	#checkPassed(): void {
		this.#failed = 0;
		this.#passed++;
		if (this.#fault !== null && this.#passed >= this.#options.check.healthyThreshold) this.#change(null);
	}

	#checkFailed({ reason, message, unreachable }: CheckFault): void {
		this.#passed = 0;
		this.#failed++;
		if (unreachable) this.suspect();
		if (this.down) {
			// It can be reached again.
			if (!unreachable) this.#change({ state: 'failing', reason, message });
		} else if (this.#fault !== null || this.#failed >= this.#options.check.unhealthyThreshold) {
			this.#change({ state: 'failing', reason, message });
		}
	}

	#change(fault: UpstreamFault | null): void {
		const before = this.#fault;
		if (fault?.state === before?.state && fault?.message === before?.message) return;
		this.#fault = fault;
		const { logger } = this.#options;
		if (fault === null) {
			logger.info({ seconds: Math.round((performance.now() - this.#downSince) / 1000) }, 'the upstream is up');
			this.#failed = 0;
		} else {
			if (before === null) {
				this.#downSince = performance.now();
				this.#backoff = new Backoff(BACKOFF);
			}
			logger.warn({ reason: fault.reason }, `the upstream is ${fault.state}: ${fault.message}`);
		}
		for (const listener of [...this.#listeners]) listener();
	}
}

/**
 * What a hub counts: plain numbers that only grow, and histograms. Whoever does the thing counts it here, on the hot path, so nothing
 * is looked up by a text that an application chose. What it is now (queue, slots) is asked where it is known.
 */
import { ERRORS, type ErrorCode } from '../shared/errors.ts';
import { Histogram } from '../shared/histogram.ts';
import { ScopedWaits } from './scoped-waits.ts';

/** How a request ended: answered whole, cut in its middle, left by its app, or with an error of the hub's own. */
export type RequestOutcome = 'complete' | 'cut' | 'app_gone' | ErrorCode;

export type ReplayReason = keyof Statistics['replays'];

export interface RequestCount {
	/** `1xx` to `5xx`; `none` if there was no answer. */
	readonly status: string;
	readonly outcome: RequestOutcome;
	readonly count: number;
}

const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];
const OUTCOMES = ['complete', 'cut', 'app_gone', ...(Object.keys(ERRORS) as ErrorCode[])] as const;
const PLACES = new Map<RequestOutcome, number>(OUTCOMES.map((outcome, place) => [outcome, place * CLASSES.length]));

/** Seconds. Requests take from a millisecond (a small model's embedding) to many minutes (a long generation). */
const REQUEST_TIMES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
/** Tokens come every few milliseconds to every few seconds. */
const GAP_TIMES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Bytes. Larger pieces of a response are bulk, whose pace says nothing of tokens. */
const LARGEST_TOKEN = 4096;
/** Agents that were here are remembered, so that one which comes back is known. */
const REMEMBERED_AGENTS = 10_000;

export class Statistics {
	/** Seconds from a request's arrival to its end. */
	readonly duration = new Histogram(REQUEST_TIMES);
	/** Seconds from a request's dispatch to an agent to its response's head. */
	readonly firstByte = new Histogram(REQUEST_TIMES);
	/** Seconds between the small pieces of a response. */
	readonly gap = new Histogram(GAP_TIMES);
	/** Seconds in the queue, of those that were given a worker. */
	readonly queueWait = new ScopedWaits(REQUEST_TIMES);
	/** Bytes of bodies, as applications sent and were sent them. */
	requestBytes = 0;
	responseBytes = 0;
	/** Requests whose work at an agent was stopped: because their apps had gone, because no answer began in time. */
	readonly cancels = { app_gone: 0, upstream_timeout: 0 };
	/** Requests that went on to another agent: one refused, one did not reach its upstream, one was lost (retryIdempotent). */
	readonly replays = { refused: 0, upstream: 0, lost: 0 };
	/** Tunnels of agents that were never here before, had left, or still had one. */
	readonly opened = { first: 0, returned: 0, replaced: 0 };
	/** Tunnels that ended as agreed, were lost, or showed no sign of life. */
	readonly closed = { done: 0, lost: 0, silent: 0 };
	/** Bytes of tunnels that are closed. */
	tunnelReceived = 0;
	tunnelSent = 0;
	readonly refusedHandshakes = new Map<ErrorCode, number>();
	readonly #requests = new Array<number>(OUTCOMES.length * CLASSES.length).fill(0);
	/** Oldest first. */
	readonly #agents = new Set<string>();

	/** @param status of the answer, undefined if none was begun @param ms from its arrival to its end */
	requestEnded(status: number | undefined, outcome: RequestOutcome, ms: number): void {
		const place = (PLACES.get(outcome) ?? 0) + (status === undefined ? 0 : Math.floor(status / 100));
		this.#requests[place] = (this.#requests[place] ?? 0) + 1;
		this.duration.observe(ms / 1000);
	}

	/** Those that ever happened. */
	*requests(): Generator<RequestCount> {
		for (const [place, count] of this.#requests.entries()) {
			if (count === 0) continue;
			const outcome = OUTCOMES[Math.floor(place / CLASSES.length)] as RequestOutcome;
			yield { status: CLASSES[place % CLASSES.length] as string, outcome, count };
		}
	}

	/** @param ms since the one before, or since the response's head */
	piece(bytes: number, ms: number): void {
		if (bytes <= LARGEST_TOKEN) this.gap.observe(ms / 1000);
	}

	/** @param key of an agent */
	tunnelOpened(key: string, replaced: boolean): void {
		this.opened[replaced ? 'replaced' : this.#agents.has(key) ? 'returned' : 'first']++;
		this.#agents.delete(key);
		this.#agents.add(key);
		if (this.#agents.size <= REMEMBERED_AGENTS) return;
		for (const oldest of this.#agents) {
			this.#agents.delete(oldest);
			return;
		}
	}

	tunnelClosed(end: keyof Statistics['closed'], received: number, sent: number): void {
		this.closed[end]++;
		this.tunnelReceived += received;
		this.tunnelSent += sent;
	}

	handshakeRefused(reason: ErrorCode): void {
		this.refusedHandshakes.set(reason, (this.refusedHandshakes.get(reason) ?? 0) + 1);
	}
}

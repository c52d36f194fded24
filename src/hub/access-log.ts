/** The access log: one line for each request that has ended, or for some of them. Says what; where lines go is the logger's business. */
import type { AccessLogField, AccessLogOptions } from '../config/access-log.ts';
import type { Logger } from '../shared/logger.ts';
import { traceIdOf } from '../tunnel/trace-context.ts';
import type { AgentIdentity } from './agent-link.ts';
import type { AppRequest } from './app-request.ts';
import type { RequestOutcome } from './statistics.ts';

/** What is known of a request at its end. Times are milliseconds. */
export interface AccessRecord {
	/** Left out of what could not be read as a request. */
	readonly app?: AppRequest;
	/** Of the application. */
	readonly address: string;
	readonly requestId?: string;
	/** Of the trace that the hub exports; left out where it exports none. */
	readonly traceId?: string | undefined;
	/** Name of the API key. */
	readonly key?: string | undefined;
	/** The one that was looked for, or those of which any would do. */
	readonly scope?: string | readonly string[] | undefined;
	/** Without the query, in which applications put what nobody else is to see. */
	readonly path?: string | undefined;
	/** The last one that it was sent to. */
	readonly agent?: AgentIdentity | undefined;
	/** How many it was sent to. */
	readonly attempts?: number;
	/** Undefined if no answer was begun. */
	readonly status: number | undefined;
	readonly outcome: RequestOutcome;
	/** Of the body, that came from the application. */
	readonly requestBytes?: number;
	/** Of the body, that an upstream sent and the application was handed. */
	readonly responseBytes?: number;
	/** In the queue; undefined if it did not wait. */
	readonly queueMs?: number | undefined;
	/** From its arrival to the head of the upstream's response. */
	readonly firstByteMs?: number | undefined;
	/** From its arrival. */
	readonly totalMs: number;
}

/** Applications choose scopes and paths, and may make them as long as a header. */
const LONGEST_TEXT = 1024;

const FIELDS = {
	requestId: ({ requestId }) => requestId,
	traceId: ({ traceId, app }) => traceId ?? traceIdOf(app?.field('traceparent')),
	key: ({ key }) => key,
	address: ({ address }) => address,
	http: ({ app }) => app?.version,
	method: ({ app }) => app?.method,
	upgrade: ({ app }) => app?.upgrade,
	path: ({ path }) => path?.slice(0, LONGEST_TEXT),
	scope: ({ scope }) => (typeof scope === 'string' ? scope.slice(0, LONGEST_TEXT) : scope),
	agent: ({ agent }) => agent?.agentId,
	token: ({ agent }) => agent?.tokenName,
	attempts: ({ attempts = 0 }) => attempts,
	status: ({ status }) => status,
	outcome: ({ outcome }) => (isError(outcome) ? 'error' : outcome),
	error: ({ outcome }) => (isError(outcome) ? outcome : undefined),
	requestBytes: ({ requestBytes = 0 }) => requestBytes,
	responseBytes: ({ responseBytes = 0 }) => responseBytes,
	queueMs: ({ queueMs }) => queueMs && rounded(queueMs),
	firstByteMs: ({ firstByteMs }) => firstByteMs && rounded(firstByteMs),
	totalMs: ({ totalMs }) => rounded(totalMs),
} as const satisfies Record<AccessLogField, (ended: AccessRecord) => unknown>;

export class AccessLog {
	readonly #options: AccessLogOptions;
	readonly #logger: Logger;

	/** @returns null if there is nothing to log */
	static of(options: AccessLogOptions, logger: Logger): AccessLog | null {
		return options.sample > 0 || options.errors ? new AccessLog(options, logger) : null;
	}

	private constructor(options: AccessLogOptions, logger: Logger) {
		this.#options = options;
		// Whoever wants it wants it whatever else is logged.
		this.#logger = logger.child({}, { level: 'info' });
	}

	/** Whether a request that ended so gets a line: ask once. */
	wants(outcome: RequestOutcome, status: number | undefined): boolean {
		const { sample, errors } = this.#options;
		if (errors && (isError(outcome) || outcome === 'cut' || (status ?? 0) >= 500)) return true;
		return sample === 1 || Math.random() < sample;
	}

	write(ended: AccessRecord): void {
		const line: Partial<Record<AccessLogField, unknown>> = {};
		for (const field of this.#options.fields) line[field] = FIELDS[field](ended);
		this.#logger.info(line, 'access');
	}
}

function isError(outcome: RequestOutcome): boolean {
	return outcome !== 'complete' && outcome !== 'cut' && outcome !== 'app_gone';
}

/** To a tenth. */
function rounded(ms: number): number {
	return Math.round(ms * 10) / 10;
}

/** The spans of one request at the hub: it as a whole, its time in the queue, and each try at an agent. Knows what is told of them. */
import type { FieldList } from '../h2/protocol.ts';
import { bounded } from '../shared/bounded.ts';
import type { TraceSpan, Tracing } from '../shared/tracing.ts';
import { withTraceparent } from '../tunnel/trace-context.ts';
import type { AgentIdentity } from './agent-link.ts';
import type { AppRequest } from './app-request.ts';
import type { RequestOutcome } from './statistics.ts';

/** Names of spans for these; the name of another is HTTP, for applications may choose any. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export class RequestTrace {
	readonly #span: TraceSpan;
	#sent: TraceSpan | null = null;
	#sentAt = 0;

	/** @param began milliseconds of performance.now(), as all times here */
	constructor(
		tracing: Tracing,
		app: AppRequest,
		requestId: string,
		path: string,
		began: number,
		key: string | undefined,
	) {
		const { method } = app;
		const attributes = {
			'http.request.method': bounded(method),
			'url.path': bounded(path),
			'network.protocol.version': app.version,
			'client.address': app.address,
			'slime.request_id': requestId,
			'slime.key': key,
		};
		const start = { name: METHODS.has(method) ? method : 'HTTP', kind: 'server', began, attributes } as const;
		this.#span = tracing.start(start, app.field('traceparent'), app.field('tracestate'));
	}

	get traceId(): string {
		return this.#span.traceId;
	}

	/** It waited for a worker. */
	queued(began: number, until: number): void {
		this.#span.child({ name: 'queue', kind: 'internal', began }).end(until);
	}

	/** It goes to an agent now. @returns the section that names the span of that as the parent */
	sent(section: FieldList, { agentId, tokenName }: AgentIdentity): FieldList {
		this.#sentAt = performance.now();
		const attributes = { 'slime.agent': agentId, 'slime.token': tokenName };
		this.#sent = this.#span.child({ name: 'tunnel', kind: 'client', began: this.#sentAt, attributes });
		return withTraceparent(section, this.#sent.traceparent);
	}

	/** What it was sent to an agent for is over. @param headAt when the response's head came, 0 if it did not */
	settled(headAt: number, now: number, status: number | undefined, error: string | undefined): void {
		const sent = this.#sent;
		if (sent === null) return;
		this.#sent = null;
		if (headAt > 0) sent.child({ name: 'first byte', kind: 'internal', began: this.#sentAt }).end(headAt);
		sent.end(now, { 'http.response.status_code': status }, error);
	}

	end(now: number, outcome: RequestOutcome, status: number | undefined, attempts: number): void {
		const failed = outcome === 'complete' ? (status ?? 0) >= 500 : outcome !== 'app_gone';
		const error = outcome === 'complete' ? String(status) : outcome;
		const attributes = { 'http.response.status_code': status, 'slime.outcome': outcome, 'slime.attempts': attempts };
		this.#span.end(now, attributes, failed ? error : undefined);
	}
}

/** The span of one request at its upstream. Knows what is told of it. */
import type { FieldList } from '../h2/protocol.ts';
import type { TraceSpan, Tracing } from '../shared/tracing.ts';
import { fieldOf, withTraceparent } from '../tunnel/trace-context.ts';

export class UpstreamTrace {
	readonly #span: TraceSpan;
	readonly #began: number;
	#error: string | undefined;
	#releasedAt = 0;
	/** Of the response, 0 if none began. */
	#status = 0;
	#told = false;
	#over = false;

	/** @param began milliseconds of performance.now(), as all times here */
	constructor(tracing: Tracing, fields: FieldList, requestId: string, began: number) {
		this.#began = began;
		const start = { name: 'upstream', kind: 'client', began, attributes: { 'slime.request_id': requestId } } as const;
		this.#span = tracing.start(start, fieldOf(fields, 'traceparent'), fieldOf(fields, 'tracestate'));
	}

	/** The fields that the upstream gets, which name this span as the parent. */
	inject(fields: FieldList): FieldList {
		return withTraceparent(fields, this.#span.traceparent);
	}

	/** The response's head is here. */
	answered(now: number): void {
		this.#span.child({ name: 'first byte', kind: 'internal', began: this.#began }).end(now);
	}

	/** What went wrong; the first that is told counts. */
	failed(error: string): void {
		this.#error ??= error;
	}

	/** Nothing of it is left at the upstream. */
	released(now: number, status: number): void {
		if (this.#releasedAt > 0) return;
		this.#releasedAt = now;
		this.#status = status;
		this.#endIfOver();
	}

	/** The hub was told how it ended. */
	told(): void {
		this.#told = true;
		this.#endIfOver();
	}

	/** What went wrong may be told before or after the upstream is released. */
	#endIfOver(): void {
		if (this.#over || this.#releasedAt === 0 || !this.#told) return;
		this.#over = true;
		this.#span.end(this.#releasedAt, { 'http.response.status_code': this.#status || undefined }, this.#error);
	}
}

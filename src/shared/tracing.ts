/**
 * Tracing as a hub and an agent know it: spans that begin, have children and end. Who exports them is the business of whoever made the
 * Tracing; without one nothing is traced, and costs nothing. Knows no package.
 */

export type SpanAttributes = Readonly<Record<string, string | number | undefined>>;

export interface SpanStart {
	readonly name: string;
	/** `server`: somebody else asked for it; `client`: it asks somebody else. */
	readonly kind: 'server' | 'client' | 'internal';
	/** Milliseconds of performance.now(). */
	readonly began: number;
	readonly attributes?: SpanAttributes;
}

export interface TraceSpan {
	/** 32 hexadecimal digits. */
	readonly traceId: string;
	/** W3C Trace Context's header field for whoever does what this span stands for. */
	readonly traceparent: string;
	child(span: SpanStart): TraceSpan;
	/**
	 * Once.
	 * @param at milliseconds of performance.now()
	 * @param error its kind, if there was one
	 */
	end(at: number, attributes?: SpanAttributes, error?: string): void;
}

export interface Tracing {
	/** A span below the one that W3C's fields name, or of a trace of its own. */
	start(span: SpanStart, traceparent: string | undefined, tracestate: string | undefined): TraceSpan;
	/** Exports what is left; resolves when that is done, or so many milliseconds have passed. */
	end(timeout: number): Promise<void>;
}

/** Whether OpenTelemetry's variables ask for traces to be exported. */
export function isTracingWanted(env: NodeJS.ProcessEnv): boolean {
	const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } =
		env;
	if (OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false;
	if (OTEL_TRACES_EXPORTER) return OTEL_TRACES_EXPORTER.split(',').some((name) => name.trim() === 'otlp');
	return Boolean(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

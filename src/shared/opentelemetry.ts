/**
 * Spans by OpenTelemetry, exported by OTLP, set up by its standard variables alone. The only owner of its packages; to be imported only
 * where traces are wanted, since they are large.
 */
import {
	defaultTextMapGetter,
	ROOT_CONTEXT,
	type Span,
	SpanKind,
	SpanStatusCode,
	type Tracer,
	trace,
} from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace-node';
import { bounded } from './bounded.ts';
import { LogGate } from './log-gate.ts';
import type { Logger } from './logger.ts';
import type { SpanAttributes, SpanStart, TraceSpan, Tracing } from './tracing.ts';
import { version } from './version.ts';
import { within } from './within.ts';

export interface OpenTelemetryOptions {
	/** Unless OTEL_SERVICE_NAME says another. */
	readonly service: string;
	readonly logger: Logger;
}

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };

/** The packages read their variables themselves: where to, headers, time limits, sampler, sizes of batches. */
export async function openTelemetry({ service, logger }: OpenTelemetryOptions): Promise<Tracing> {
	const own = resourceFromAttributes({ 'service.name': service, 'service.version': version });
	const resource = defaultResource()
		.merge(own)
		.merge(detectResources({ detectors: [envDetector] }));
	const exporter = telling(await exporterOf(logger), logger);
	const provider = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
	const tracer = provider.getTracer('slime', version);
	const propagator = new W3CTraceContextPropagator();
	return {
		start: (start, traceparent, tracestate) => {
			const carrier = { ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) };
			const parent = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
			return new OpenSpan(tracer, start, parent);
		},
		end: async (timeout) => {
			if (!(await within(timeout, provider.shutdown()))) logger.warn('traces were not all exported in time');
		},
	};
}

async function exporterOf(logger: Logger): Promise<SpanExporter> {
	const { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL } = process.env;
	const protocol = OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || OTEL_EXPORTER_OTLP_PROTOCOL || 'http/protobuf';
	if (protocol === 'http/json') {
		const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
		return new OTLPTraceExporter();
	}
	if (protocol !== 'http/protobuf') {
		logger.warn(
			{ protocol: bounded(protocol) },
			'OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf is used, there is also http/json',
		);
	}
	const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
	return new OTLPTraceExporter();
}

/** Says in the log that spans could not be exported; the packages would say so nowhere. */
function telling(exporter: SpanExporter, logger: Logger): SpanExporter {
	const gate = new LogGate();
	return {
		export: (spans, done) => {
			exporter.export(spans, (result) => {
				const leftOut = result.code === ExportResultCode.SUCCESS ? null : gate.pass();
				if (leftOut !== null) {
					const reason = bounded(result.error?.message ?? 'unknown');
					logger.warn({ spans: spans.length, reason, leftOut }, 'spans could not be exported, and are dropped');
				}
				done({ code: ExportResultCode.SUCCESS });
			});
		},
		shutdown: () => exporter.shutdown(),
		forceFlush: async () => exporter.forceFlush?.(),
	};
}

class OpenSpan implements TraceSpan {
	readonly #tracer: Tracer;
	readonly #span: Span;

	constructor(tracer: Tracer, { name, kind, began, attributes = {} }: SpanStart, parent: typeof ROOT_CONTEXT) {
		this.#tracer = tracer;
		this.#span = tracer.startSpan(name, { kind: KINDS[kind], startTime: began, attributes: { ...attributes } }, parent);
	}

	get traceId(): string {
		return this.#span.spanContext().traceId;
	}

	get traceparent(): string {
		const { traceId, spanId, traceFlags } = this.#span.spanContext();
		return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
	}

	child(start: SpanStart): TraceSpan {
		return new OpenSpan(this.#tracer, start, trace.setSpan(ROOT_CONTEXT, this.#span));
	}

	end(at: number, attributes: SpanAttributes = {}, error?: string): void {
		this.#span.setAttributes({ ...attributes, 'error.type': error });
		if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR });
		this.#span.end(at);
	}
}

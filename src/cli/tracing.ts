/** Traces of a hub's or an agent's process, if the environment asks for them. */
import { performance } from 'node:perf_hooks';
import type { Logger } from '../shared/logger.ts';
import { isTracingWanted, type Tracing } from '../shared/tracing.ts';

/** What the last spans may take when the drain has used up its time, in milliseconds. */
const LAST_SPANS = 1000;

/** @param service what it is called where OTEL_SERVICE_NAME does not say */
export async function tracingOf(service: string, logger: Logger): Promise<Tracing | undefined> {
	if (!isTracingWanted(process.env)) return undefined;
	// Large: not loaded where nothing is traced.
	const { openTelemetry } = await import('../shared/opentelemetry.ts');
	return openTelemetry({ service, logger });
}

/** Drains, and exports what is left of the traces in the time that remains, or in a second. @param timeout of both, in milliseconds */
export async function drainTraced(
	drain: () => Promise<void>,
	tracing: Tracing | undefined,
	timeout: number,
): Promise<void> {
	const began = performance.now();
	await drain();
	await tracing?.end(Math.max(LAST_SPANS, timeout - (performance.now() - began)));
}

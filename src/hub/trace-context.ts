/** W3C Trace Context, as far as a hub that traces nothing itself knows it: the id of the trace that a request belongs to. Pure. */

/** https://www.w3.org/TR/trace-context/#traceparent-header; later versions may have more behind it. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;

/** @returns undefined for what is none */
export function traceIdOf(traceparent: string | undefined): string | undefined {
	return traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
}

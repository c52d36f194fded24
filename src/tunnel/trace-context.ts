/** W3C Trace Context in header fields: which trace a request belongs to, and whose child it is. Pure. */
import type { FieldList } from '../h2/protocol.ts';

/** https://www.w3.org/TR/trace-context/#traceparent-header; later versions may have more behind it. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;

/** @returns undefined for what is none */
export function traceIdOf(traceparent: string | undefined): string | undefined {
	return traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
}

/** The value of a field, or the first of several. */
export function fieldOf(fields: FieldList, name: string): string | undefined {
	for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
	return undefined;
}

/** The same fields with this one traceparent, in the place of others. */
export function withTraceparent(fields: FieldList, traceparent: string): FieldList {
	const changed: FieldList = [];
	for (let i = 0; i < fields.length; i += 2) {
		if (fields[i] !== 'traceparent') changed.push(fields[i] as string, fields[i + 1] as string);
	}
	changed.push('traceparent', traceparent);
	return changed;
}

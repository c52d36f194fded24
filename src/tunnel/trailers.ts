/** Trailer sections on their way, in either direction: what may not come late. Pure. */
import type { FieldList } from '../h2/protocol.ts';
import { NOT_FORWARDED, NOT_FORWARDED_REQUEST, NOT_IN_HTTP1, OWN } from './fields.ts';

/** What may not come late (RFC 9110 section 6.5.1): framing, routing, authentication. */
const NOT_IN_TRAILERS = new Set([
	...NOT_FORWARDED_REQUEST,
	'via',
	'content-length',
	'content-encoding',
	'content-type',
	'content-range',
	'trailer',
	'authorization',
	'cookie',
	'set-cookie',
	'cache-control',
	'range',
	'max-forwards',
]);

/** Trailers by which one server could be made to take a message for another than the next one does. */
const REFUSED_IN_TRAILERS = new Set([
	...NOT_FORWARDED,
	'host',
	'te',
	'trailer',
	'content-length',
	'authorization',
	'cookie',
	'forwarded',
	'x-forwarded-for',
	'x-forwarded-host',
	'x-forwarded-proto',
]);

/** Whether a request's trailers hold what no sender puts there in good faith: framing, routing, credentials, Slime's own. */
export function hasForbiddenTrailer(raw: readonly string[]): boolean {
	for (let i = 0; i < raw.length; i += 2) {
		const name = (raw[i] as string).toLowerCase();
		if (REFUSED_IN_TRAILERS.has(name) || name.startsWith(OWN)) return true;
	}
	return false;
}

/** Trailers that may pass, in either direction, named in lower case. */
export function forwardableTrailers(raw: readonly string[]): FieldList {
	const fields: FieldList = [];
	for (let i = 0; i < raw.length; i += 2) {
		const name = (raw[i] as string).toLowerCase();
		if (name.charCodeAt(0) === 0x3a || NOT_IN_TRAILERS.has(name) || name.startsWith(OWN)) continue;
		const value = raw[i + 1] as string;
		if (!NOT_IN_HTTP1.test(value)) fields.push(name, value);
	}
	return fields;
}

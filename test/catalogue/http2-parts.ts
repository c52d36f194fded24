/** What rows of the HTTP/2 catalogues are made of. */
import type { Effect, Http2Outcome } from './rows.ts';

/** A request's pseudo-header fields. */
export const pseudo = (method: string, path = '/h', authority = 'a', scheme = 'http'): string[] => [
	':method',
	method,
	':scheme',
	scheme,
	':authority',
	authority,
	':path',
	path,
];
export const GET = pseudo('GET');
export const POST = pseudo('POST');
/** What somebody would have taken for another request. */
export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

export const RESET = { outcome: 'reset', effect: 'nothing' } as const;
export const REFUSED = { outcome: 400, effect: 'nothing' } as const;
export const served = (body: string, target = '/h'): { outcome: Http2Outcome; effect: Effect } => ({
	outcome: 200,
	effect: { target, body },
});

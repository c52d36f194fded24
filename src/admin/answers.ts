/** How the admin listener answers: JSON, and errors in the one shape that all of the hub's errors have. */
import type { ServerResponse } from 'node:http';
import { errorBody, type SlimeError } from '../shared/errors.ts';

/** For this client, now: no cache keeps it, no browser takes it for anything else. */
const FIELDS = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function answerJson(res: ServerResponse, value: unknown): void {
	res.writeHead(200, FIELDS).end(JSON.stringify(value));
}

/** The connection is closed after it: of the request something may be unread. */
export function answerError(res: ServerResponse, error: SlimeError): void {
	const body = errorBody(error);
	res.writeHead(error.status, {
		...FIELDS,
		'content-length': Buffer.byteLength(body),
		'slime-error': error.code,
		connection: 'close',
		...(error.status === 401 && { 'www-authenticate': 'Bearer realm="slime"' }),
	});
	res.end(body);
}

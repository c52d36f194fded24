/** How the routes below /api answer: JSON, and errors in the one shape that all of the hub's errors have. */
import type { ServerResponse } from 'node:http';
import { errorBody, type SlimeError } from '../shared/errors.ts';

export function answerJson(res: ServerResponse, value: unknown): void {
	res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(value));
}

/** The connection is closed after it: of the request something may be unread. */
export function answerError(res: ServerResponse, error: SlimeError): void {
	const body = errorBody(error);
	res.writeHead(error.status, {
		'content-type': 'application/json',
		'content-length': Buffer.byteLength(body),
		'cache-control': 'no-store',
		'slime-error': error.code,
		connection: 'close',
		...(error.status === 401 && { 'www-authenticate': 'Bearer realm="slime"' }),
	});
	res.end(body);
}

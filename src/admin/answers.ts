/** How admin routes answer: JSON, and errors in the one shape that all of the hub's errors have. */
import type { ServerResponse } from 'node:http';
import { errorBody, SlimeError } from '../shared/errors.ts';

export function answerJson(res: ServerResponse, value: unknown): void {
	res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(value));
}

/** The connection is closed after it: of the request something may be unread. */
export function answerError(res: ServerResponse, error: unknown): void {
	if (res.headersSent || res.destroyed) {
		res.destroy();
		return;
	}
	const told = error instanceof SlimeError ? error : new SlimeError('internal');
	const body = errorBody(told);
	res.writeHead(told.status, {
		'content-type': 'application/json',
		'content-length': Buffer.byteLength(body),
		'cache-control': 'no-store',
		'slime-error': told.code,
		connection: 'close',
		...(told.status === 401 && { 'www-authenticate': 'Bearer realm="slime"' }),
	});
	res.end(body);
}

/** What the hub itself answers: errors in the shape that OpenAI clients expect, and connections that end without losing them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorBody, type SlimeError } from '../shared/errors.ts';

/** A client that is still sending would lose the answer if its connection were closed under it. */
const LINGER_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 2000;
const RETRY_AFTER_SECONDS = 1;

/** Fields of an error's answer, beside those that frame it. */
export function errorFields(error: SlimeError, requestId: string | undefined): string[] {
	const fields = ['content-type', 'application/json', 'cache-control', 'no-store', 'slime-error', error.code];
	if (error.retryable) fields.push('retry-after', String(RETRY_AFTER_SECONDS));
	if (requestId !== undefined) fields.push('x-request-id', requestId);
	return fields;
}

/** Answers with an error. If the request's body was not read, the rest of it is discarded, within limits, before the end. */
export function answerError(req: IncomingMessage, res: ServerResponse, error: SlimeError, requestId?: string): void {
	if (res.headersSent || res.destroyed) return;
	const body = Buffer.from(errorBody(error));
	const fields = errorFields(error, requestId);
	fields.push('content-length', String(body.length));
	const unread = !req.complete || !req.readableEnded;
	const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
	if (!hasBody || !unread) {
		res.writeHead(error.status, fields);
		res.end(req.method === 'HEAD' ? undefined : body);
		return;
	}
	fields.push('connection', 'close');
	res.writeHead(error.status, fields);
	if (req.method === 'HEAD') res.flushHeaders();
	else res.write(body);
	discardRest(req, res);
}

/** Ends the response once the request's body has ended, or is too long, or takes too long. */
function discardRest(req: IncomingMessage, res: ServerResponse): void {
	let read = 0;
	const done = () => {
		clearTimeout(timer);
		if (!res.writableEnded) res.end();
	};
	const timer = setTimeout(done, LINGER_MS);
	req.on('data', (chunk: Buffer) => {
		read += chunk.length;
		if (read > LINGER_BYTES) done();
	});
	req.on('end', done);
	res.on('close', done);
	req.resume();
}

/** What the hub itself answers: errors in the shape that OpenAI clients expect. Knows no version of HTTP. */
import { errorBody, type SlimeError } from '../shared/errors.ts';

export interface ErrorAnswer {
	/** name, value, name, value … with Content-Length, without what a connection needs. */
	readonly fields: string[];
	readonly body: Buffer;
}

/** @param retryAfter seconds, for errors that may go away */
export function errorAnswer(error: SlimeError, requestId: string | undefined, retryAfter = 1): ErrorAnswer {
	const body = Buffer.from(errorBody(error));
	const fields = ['content-type', 'application/json', ...ownFields(error, requestId, retryAfter)];
	fields.push('content-length', String(body.length));
	return { fields, body };
}

/**
 * What every error of the hub's says, whatever its body is: name, value, name, value …
 * @param retryAfter seconds, for errors that may go away
 */
export function ownFields(error: SlimeError, requestId: string | undefined, retryAfter = 1): string[] {
	const fields = ['cache-control', 'no-store', 'slime-error', error.code];
	if (error.retryable) fields.push('retry-after', String(retryAfter));
	if (requestId !== undefined) fields.push('x-request-id', requestId);
	return fields;
}

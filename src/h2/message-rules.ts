/** What a stream's message must keep to while it is received: sections in order, body as long as it says (RFC 9113 section 8.1). */
import { checkRequest, checkResponse, checkTrailers } from './field-rules.ts';
import { ErrorCode, type FieldList, StreamError } from './protocol.ts';
import type { Stream } from './stream.ts';

/** Server role. @throws StreamError */
export function receiveRequest(stream: Stream, fields: FieldList, endStream: boolean): void {
	const { contentLength } = checkRequest(fields);
	stream.headersSeen = true;
	stream.expected = contentLength;
	if (endStream && contentLength > 0) throw shortBody(contentLength, 0);
}

/** Client role. @returns false for a 1xx response, true for the final one. @throws StreamError */
export function receiveResponse(stream: Stream, fields: FieldList, endStream: boolean): boolean {
	const { status, contentLength } = checkResponse(fields);
	if (status < 200) {
		if (endStream || status === 101) throw new StreamError(ErrorCode.PROTOCOL_ERROR, `malformed ${status} response`);
		return false;
	}
	stream.headersSeen = true;
	stream.expected = expectedBody(stream.method, status, contentLength);
	if (endStream && stream.expected > 0) throw shortBody(stream.expected, 0);
	return true;
}

/** How long a response's body has to be; -1 for any length (RFC 9113 sections 8.1.1 and 8.5, RFC 9110 section 6.4.1). */
function expectedBody(method: string, status: number, contentLength: number): number {
	if (method === 'CONNECT' && status < 300) return -1;
	return method === 'HEAD' || status === 204 || status === 304 ? 0 : contentLength;
}

/** @throws StreamError */
export function receiveTrailers(stream: Stream, fields: FieldList, endStream: boolean): void {
	if (!endStream) throw new StreamError(ErrorCode.PROTOCOL_ERROR, 'a second header section that ends nothing');
	checkTrailers(fields);
	checkComplete(stream);
}

/** Counts body bytes; whether there are no more than announced. */
export function receiveBytes(stream: Stream, bytes: number): boolean {
	stream.received += bytes;
	return stream.expected < 0 || stream.received <= stream.expected;
}

/** @throws StreamError when the body is shorter than its Content-Length */
export function checkComplete(stream: Stream): void {
	if (stream.expected >= 0 && stream.received !== stream.expected) throw shortBody(stream.expected, stream.received);
}

function shortBody(expected: number, received: number): StreamError {
	return new StreamError(ErrorCode.PROTOCOL_ERROR, `Content-Length says ${expected} bytes, ${received} came`);
}

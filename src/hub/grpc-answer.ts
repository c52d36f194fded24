/**
 * The hub's own errors as gRPC clients understand them: a response of trailers only (Trailers-Only in gRPC's PROTOCOL-HTTP2), whose
 * HTTP status is 200. With another HTTP status they would know the status alone, by gRPC's http-grpc-status-mapping, and no message.
 */
import type { SlimeError } from '../shared/errors.ts';
import { ownFields } from './answer.ts';

/** gRPC's codes, by our HTTP status. */
const CODES: ReadonlyMap<number, number> = new Map([
	[400, 13], // INTERNAL
	[401, 16], // UNAUTHENTICATED
	[403, 7], // PERMISSION_DENIED
	[404, 12], // UNIMPLEMENTED
	[405, 12],
	[408, 4], // DEADLINE_EXCEEDED
	[429, 8], // RESOURCE_EXHAUSTED
	[431, 8],
	[500, 13],
	[501, 12],
	[502, 14], // UNAVAILABLE
	[503, 14],
	[504, 4],
]);
const UNKNOWN = 2;

/** gRPC itself, not gRPC-Web: that has its trailers in the body. */
export function isGrpc(contentType: string | undefined): boolean {
	return contentType !== undefined && /^application\/grpc(?:$|[+;\s])/i.test(contentType);
}

/**
 * name, value, name, value … of the one header section, which ends the stream.
 * @param retryAfter seconds, for errors that may go away
 */
export function grpcAnswer(error: SlimeError, requestId: string | undefined, retryAfter?: number): string[] {
	const fields = ['content-type', 'application/grpc', ...ownFields(error, requestId, retryAfter)];
	fields.push('grpc-status', String(CODES.get(error.status) ?? UNKNOWN), 'grpc-message', percentEncoded(error.message));
	return fields;
}

/** PROTOCOL-HTTP2, Status-Message: UTF-8, of which all but printable ASCII and the percent sign itself are escaped. */
function percentEncoded(text: string): string {
	let encoded = '';
	for (const byte of Buffer.from(text)) {
		const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
		encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
	}
	return encoded;
}

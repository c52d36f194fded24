/** What an upstream's failure means to whoever asked: one table from the errors of sockets, TLS and undici to Slime's codes. */
import { SlimeError } from '../shared/errors.ts';
import type { FaultReason } from '../tunnel/upstream-state.ts';

/** For a request that no HTTP/1.1 could carry without ambiguity. */
export const CANNOT_BE_SENT = 'The request cannot be sent to the upstream.';

/** Before there is a connection nothing can have started. */
export function connectError(error: Error): SlimeError {
	const { why } = connectFault(error);
	return new SlimeError('upstream_unreachable', `The upstream cannot be reached: ${why}.`, { cause: error });
}

/** Why there is no connection: as one of a few words, and as part of a sentence. */
export function connectFault(error: Error): { readonly reason: FaultReason; readonly why: string } {
	const code = codeOf(error);
	const [reason, why] = CONNECT_REASONS[code] ?? [];
	if (reason !== undefined && why !== undefined) return { reason, why };
	if (isTls(error, code)) return { reason: 'tls', why: `its certificate is not trusted (${code})` };
	return { reason: 'other', why: code || 'no connection' };
}

/** What lacks is the agent's: that says nothing of the upstream. */
export function isOwnFault(error: Error): boolean {
	return OWN_FAULTS.has(codeOf(error));
}

const OWN_FAULTS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

const CONNECT_REASONS: Readonly<Record<string, readonly [FaultReason, string]>> = {
	ECONNREFUSED: ['refused', 'connection refused'],
	ENOTFOUND: ['name', 'its name is not known'],
	EAI_AGAIN: ['name', 'its name could not be looked up'],
	ENOENT: ['refused', 'there is no such socket'],
	EHOSTUNREACH: ['route', 'no route to it'],
	ENETUNREACH: ['route', 'no route to it'],
	ETIMEDOUT: ['timeout', 'it does not answer'],
	UND_ERR_CONNECT_TIMEOUT: ['timeout', 'it does not answer'],
	ECONNRESET: ['closed', 'it closed the connection'],
};

function isTls(error: Error, code: string): boolean {
	return /CERT|SELF_SIGNED|ISSUER|TLS|SSL/.test(code) || error.message.includes('certificate');
}

/** After the request went out, and before the response's head came. */
export function exchangeError(error: Error): SlimeError {
	if (error instanceof SlimeError) return error;
	const code = codeOf(error);
	if (code === 'UND_ERR_HEADERS_TIMEOUT') return new SlimeError('upstream_timeout', undefined, { cause: error });
	if (isUnparsable(error, code) || PROTOCOL_CODES.has(code)) {
		return new SlimeError('upstream_protocol', undefined, { cause: error });
	}
	return new SlimeError('upstream_unreachable', 'The upstream closed the connection without an answer.', {
		cause: error,
	});
}

const UNPARSABLE = new Set(['bad upgrade', 'bad response']);

/** undici gives a code to some of its parser's errors only, and none to a 100 or 101 that nobody asked for. */
function isUnparsable(error: Error, code: string): boolean {
	return error.name === 'HTTPParserError' || code.startsWith('HPE_') || UNPARSABLE.has(error.message);
}

const PROTOCOL_CODES = new Set([
	'UND_ERR_HEADERS_OVERFLOW',
	'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
	'UND_ERR_RES_EXCEEDED_MAX_SIZE',
	'UND_ERR_INFO',
]);

function codeOf(error: Error): string {
	return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Why a hub could not be reached, as a sentence for the agent's operator. Never holds a token or a password. */

/**
 * `unauthorized`: the token, or the credentials for a proxy, are not accepted. `impostor`: what answered has not the key that was pinned.
 * `known`: this agent has a tunnel to the hub. `refused`: the hub, or something before it, answered no. `unreachable`: no answer. `protocol`: what answered is not a hub.
 */
export type HandshakeFault = 'unauthorized' | 'impostor' | 'known' | 'refused' | 'unreachable' | 'protocol';

export interface HandshakeErrorDetails extends ErrorOptions {
	/** Of the hub's answer, if there was one. */
	readonly status?: number | undefined;
	readonly retryAfterMs?: number | undefined;
	/** A hub said it, not something before it. */
	readonly fromHub?: boolean | undefined;
	/** The connection was closed instead of an answer. */
	readonly closed?: boolean | undefined;
}

export class HandshakeError extends Error {
	readonly kind: HandshakeFault;
	readonly status?: number | undefined;
	/** How long the hub asked to wait, in milliseconds. */
	readonly retryAfterMs?: number | undefined;
	readonly fromHub: boolean;
	readonly closed: boolean;

	constructor(kind: HandshakeFault, message: string, details: HandshakeErrorDetails = {}) {
		const { status, retryAfterMs, fromHub = false, closed = false, ...options } = details;
		super(message, options);
		this.name = 'HandshakeError';
		this.kind = kind;
		this.status = status;
		this.retryAfterMs = retryAfterMs;
		this.fromHub = fromHub;
		this.closed = closed;
	}
}

/** @param who names the peer in the sentence, as `hub https://hub.example` */
export function connectError(who: string, cause: unknown): HandshakeError {
	const { code, text } = describe(cause);
	const why = CONNECT[code];
	return new HandshakeError('unreachable', why ? `${who} ${why} (${code})` : `${who}: ${text}`, { cause });
}

const CONNECT: Readonly<Record<string, string>> = {
	ENOTFOUND: 'has a name that DNS does not know',
	EAI_AGAIN: 'could not be looked up: DNS does not answer',
	ECONNREFUSED: 'refused the connection: nothing listens on that port',
	ENETUNREACH: 'is out of reach: there is no route to it',
	EHOSTUNREACH: 'is out of reach: there is no route to it',
	ETIMEDOUT: 'did not answer',
	ECONNRESET: 'closed the connection',
	EPIPE: 'closed the connection',
};

export function tlsError(who: string, cause: unknown): HandshakeError {
	const { code, text } = describe(cause);
	const say = (sentence: string, kind: HandshakeFault = 'unreachable') =>
		new HandshakeError(kind, `${who} ${sentence} (${code})`, { cause });
	if (UNTRUSTED.has(code)) {
		return say('has a certificate that is not trusted here: name the CA that signed it with --ca');
	}
	if (code === 'CERT_HAS_EXPIRED') return say('has an expired certificate, or the clock of this machine is wrong');
	if (code === 'CERT_NOT_YET_VALID')
		return say('has a certificate from the future: is the clock of this machine right?');
	if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return say(`has a certificate for another name: ${text}`);
	if (NOT_TLS.has(code)) return say('does not speak TLS: should its address begin with http://?', 'protocol');
	if (/ALERT_(?:CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)|HANDSHAKE_FAILURE/.test(code)) {
		return say("refused this agent's certificate, or asks for one: see --tlsCert and --tlsKey", 'refused');
	}
	return connectError(who, cause);
}

const UNTRUSTED: ReadonlySet<string> = new Set([
	'DEPTH_ZERO_SELF_SIGNED_CERT',
	'SELF_SIGNED_CERT_IN_CHAIN',
	'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
	'UNABLE_TO_GET_ISSUER_CERT',
	'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
	'CERT_UNTRUSTED',
	'CERT_SIGNATURE_FAILURE',
	'INVALID_CA',
]);

const NOT_TLS: ReadonlySet<string> = new Set([
	'ERR_SSL_WRONG_VERSION_NUMBER',
	'ERR_SSL_PACKET_LENGTH_TOO_LONG',
	'ERR_SSL_HTTP_REQUEST',
	'ERR_SSL_UNKNOWN_PROTOCOL',
]);

/**
 * The connection broke, or spoke no HTTP, while an answer was awaited.
 * @param ifClosed is added when it was closed without a word
 */
export function answerError(who: string, cause: unknown, ifClosed = ''): HandshakeError {
	const { code, text } = describe(cause);
	if (code === 'HPE_HEADER_OVERFLOW') {
		return new HandshakeError('protocol', `${who} answered with headers that are too large`, { cause });
	}
	if (code.startsWith('HPE_')) {
		return new HandshakeError('protocol', `${who} did not answer with HTTP: ${text}`, { cause });
	}
	if (code === 'ECONNRESET' || code === 'EPIPE') {
		return new HandshakeError('unreachable', `${who} closed the connection without an answer${ifClosed}`, {
			cause,
			closed: true,
		});
	}
	// With TLS 1.3 a server judges the client's certificate after the client's handshake is over.
	return code.startsWith('ERR_SSL_') ? tlsError(who, cause) : connectError(who, cause);
}

function describe(error: unknown): { code: string; text: string } {
	if (!(error instanceof Error)) return { code: '', text: String(error) };
	const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
	// OpenSSL's own message is a line of numbers with the reason at its end; one for several addresses is empty.
	const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : '';
	return { code, text: reason || error.message || code || error.name };
}

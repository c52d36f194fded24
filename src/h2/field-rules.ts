/** What makes a received field section malformed (RFC 9113 sections 8.1.1, 8.2, 8.3; RFC 8441 section 4). Pure. */
import { ErrorCode, type FieldList, StreamError } from './protocol.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
const DIGITS = /^[0-9]{1,15}$/;
const STATUS = /^[1-9][0-9]{2}$/;
/** RFC 3986 section 3.1. */
const SCHEME = /^[a-z][a-z0-9+\-.]*$/i;

/** Names that passed NAME before; bounded, so that a peer cannot fill it. */
const knownNames = new Set<string>();
const KNOWN_NAMES = 2000;

const connectionSpecific = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

export interface RequestLine {
	readonly method: string;
	/** -1 without Content-Length. */
	readonly contentLength: number;
}

/** @throws StreamError PROTOCOL_ERROR */
export function checkRequest(fields: FieldList): RequestLine {
	let method: string | undefined;
	let scheme: string | undefined;
	let path: string | undefined;
	let authority: string | undefined;
	let protocol: string | undefined;
	let i = 0;
	for (; i < fields.length && (fields[i] as string).charCodeAt(0) === 0x3a; i += 2) {
		const name = fields[i];
		const value = fields[i + 1] as string;
		if (BAD_VALUE.test(value)) throw malformed(`illegal characters in ${name}`);
		if (name === ':method' && method === undefined) method = value;
		else if (name === ':path' && path === undefined) path = value;
		else if (name === ':scheme' && scheme === undefined) scheme = value;
		else if (name === ':authority' && authority === undefined) authority = value;
		else if (name === ':protocol' && protocol === undefined) protocol = value;
		else throw malformed('unknown or repeated pseudo-header field');
	}
	const contentLength = checkFields(fields, i);
	if (!method) throw malformed('no :method');
	if (!NAME.test(method.toLowerCase())) throw malformed(':method is no token');
	if (method === 'CONNECT' && protocol === undefined) {
		if (!authority || path !== undefined || scheme !== undefined) throw malformed('CONNECT takes :authority alone');
		return { method, contentLength };
	}
	if (!scheme || !path) throw malformed('no :scheme or no :path');
	if (!SCHEME.test(scheme)) throw malformed(':scheme is no scheme');
	if (protocol !== undefined && (method !== 'CONNECT' || !authority)) throw malformed(':protocol without CONNECT');
	if (path.charCodeAt(0) !== 0x2f && !(path === '*' && method === 'OPTIONS')) throw malformed(':path is no path');
	return { method, contentLength };
}

export interface StatusLine {
	readonly status: number;
	readonly contentLength: number;
}

/** @throws StreamError PROTOCOL_ERROR */
export function checkResponse(fields: FieldList): StatusLine {
	const status = fields[1];
	if (fields[0] !== ':status' || status === undefined || !STATUS.test(status)) throw malformed('no valid :status');
	return { status: Number(status), contentLength: checkFields(fields, 2) };
}

/** @throws StreamError PROTOCOL_ERROR */
export function checkTrailers(fields: FieldList): void {
	checkFields(fields, 0);
}

/** The Content-Length among the regular fields from `from` on, -1 without one. */
function checkFields(fields: FieldList, from: number): number {
	let contentLength = -1;
	for (let i = from; i < fields.length; i += 2) {
		const name = fields[i] as string;
		const value = fields[i + 1] as string;
		if (!knownNames.has(name)) admitName(name);
		if (BAD_VALUE.test(value)) throw malformed(`illegal characters in the value of ${name}`);
		if (name === 'content-length') {
			const length = DIGITS.test(value) ? Number(value) : -2;
			if (length === -2 || (contentLength !== -1 && contentLength !== length)) throw malformed('bad content-length');
			contentLength = length;
		} else if (name === 'te' && value.toLowerCase() !== 'trailers') {
			throw malformed('te allows only trailers');
		}
	}
	return contentLength;
}

function admitName(name: string): void {
	if (!NAME.test(name)) throw malformed('illegal field name');
	if (connectionSpecific.has(name)) throw malformed(`the connection-specific field ${name}`);
	if (knownNames.size < KNOWN_NAMES) knownNames.add(name);
}

function malformed(what: string): StreamError {
	return new StreamError(ErrorCode.PROTOCOL_ERROR, `malformed message: ${what}`);
}

/**
 * Field sections on their way: HTTP/1.1 app → tunnel → upstream and back. Pure: no sockets, no state.
 * Hop-by-hop fields end here (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2), Slime's own never go further,
 * what strangers say about themselves is replaced (forwarded).
 */
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import { Forwarding, type Hop } from './forwarded.ts';

/** Fields that mean one connection only, or that the two ends of the tunnel write themselves. */
export const NOT_FORWARDED = new Set([
	'connection',
	'keep-alive',
	'proxy-connection',
	'transfer-encoding',
	'upgrade',
	'http2-settings',
	'proxy-authenticate',
	'proxy-authorization',
	'proxy-authentication-info',
]);

/** What a request says of where it came from. */
const FORWARDING = new Set(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
const NO_FORWARDING = new Forwarding();

export const NOT_FORWARDED_REQUEST = new Set([...NOT_FORWARDED, ...FORWARDING, 'host', 'te', 'expect', 'x-request-id']);

/** RFC 9110 section 5.6.2, in lower case. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 section 7.2, without the comma: two fields that someone joined would look like one host. */
const HOST = /^(?:(?:\[[0-9a-f:.]+\]|[a-z0-9\-._~!$&'()*+;=%]+)(?::[0-9]{0,5})?)?$/i;
/** As many bytes as numbers can count, with which HTTP/2 has to do too (RFC 9110 section 8.6). */
const LENGTH = /^[0-9]{1,15}$/;
/** What a request line can hold: no space to end it early, no control character that someone takes for one. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
/** An upgrade's, which belong to one HTTP/1.1 connection or to a message that there is none of (RFC 8441 section 5). */
const NOT_IN_UPGRADES = new Set(['content-length', 'sec-websocket-key', 'sec-websocket-accept']);

export const NOT_IN_HTTP1 = /[^\t\x20-\x7e\x80-\xff]/;

export const OWN = 'slime-';
const VIA_NAME = 'slime';
/** The one expectation that there is (RFC 9110 section 10.1.1). */
export const CONTINUE = '100-continue';
const EVENT_STREAM = /^text\/event-stream(?:$|[;\s])/i;

/** Facts about where a request came from, which its own fields cannot be trusted to say. */
export interface Origin {
	/** IP address of the application, or of the proxy before the hub. */
	readonly address: string;
	/** It is a proxy whose word about where the request came from is believed. */
	readonly trusted: boolean;
	readonly secure: boolean;
	/** `1.0`, `1.1` or `2.0`. */
	readonly httpVersion: string;
	readonly requestId: string;
	/** Leave Authorization out: it was the app password. */
	readonly dropAuthorization: boolean;
}

/** What a request line and its fields say before they are forwarded. */
export interface RequestHead {
	readonly method: string;
	/** The target as it arrived. */
	readonly url: string;
	/** name, value, name, value … as they arrived. */
	readonly rawHeaders: readonly string[];
	/** HTTP/2's :authority, which a Host must not contradict. */
	readonly authority?: string | undefined;
	/** What an Upgrade or an extended CONNECT asks for: then the section is one of extended CONNECT (RFC 8441 section 4). */
	readonly upgrade?: string | undefined;
	/** It waits for 100 (Continue) before it sends its body. */
	readonly asksFirst?: boolean;
}

/**
 * The tunnel's field section for a request that came by any version of HTTP.
 * @throws SlimeError bad_request for a target or a Host that is ambiguous
 */
export function tunnelRequest(head: RequestHead, origin: Origin): FieldList {
	const { rawHeaders: raw, upgrade } = head;
	let host: string | undefined;
	let trailers = false;
	let forwarding: Forwarding | null = null;
	let coded = false;
	let measured = false;
	let named: Set<string> | null = null;
	const fields: FieldList = [
		':method',
		upgrade === undefined ? head.method : 'CONNECT',
		':scheme',
		origin.secure ? 'https' : 'http',
		':authority',
		'',
		':path',
		'',
	];
	if (upgrade !== undefined) fields.push(':protocol', upgrade);
	for (let i = 0; i < raw.length; i += 2) {
		const name = (raw[i] as string).toLowerCase();
		const value = raw[i + 1] as string;
		if (NOT_FORWARDED_REQUEST.has(name)) {
			if (name === 'host') {
				if (host !== undefined) throw new SlimeError('bad_request', 'The request has more than one Host.');
				host = value;
			} else if (name === 'connection') {
				const more = addNamed(named, value);
				if (more === undefined) throw new SlimeError('bad_request', 'Connection is no list of names.');
				named = more;
			} else if (name === 'te') {
				trailers ||= /(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value);
			} else if (FORWARDING.has(name)) {
				forwarding ??= new Forwarding();
				forwarding.add(name, value);
			} else if (name === 'transfer-encoding') {
				if (coded) throw new SlimeError('bad_request', 'The request has more than one Transfer-Encoding.');
				coded = true;
				checkTransferEncoding(value, origin.httpVersion);
			}
			continue;
		}
		if (name === 'content-length') {
			if (measured || !LENGTH.test(value))
				throw new SlimeError('bad_request', 'Content-Length is one number of bytes.');
			measured = true;
		}
		if (name.startsWith(OWN) || (origin.dropAuthorization && name === 'authorization')) continue;
		if (upgrade !== undefined && NOT_IN_UPGRADES.has(name)) continue;
		fields.push(name, value);
	}
	if (origin.httpVersion === '2.0') {
		if (hasControlCharacters(raw)) throw new SlimeError('bad_request', 'A field holds control characters.');
		// RFC 9113 section 8.3.1.
		if ((head.authority ?? host) === '') throw new SlimeError('bad_request', 'The request names an empty host.');
	}
	if (coded && measured)
		throw new SlimeError('bad_request', 'The request has both Content-Length and Transfer-Encoding.');
	if (host === undefined && head.authority === undefined && origin.httpVersion !== '1.0')
		throw new SlimeError('bad_request', 'The request has no Host.');
	if (head.authority !== undefined && host !== undefined && host.toLowerCase() !== head.authority.toLowerCase())
		throw new SlimeError('bad_request', 'The request names two hosts.');
	const authority = head.authority ?? host ?? '';
	if (!HOST.test(authority)) throw new SlimeError('bad_request', 'The Host is no host.');
	fields[5] = authority;
	fields[7] = originForm(head.url, head.method, authority);
	if (named !== null) removeNamed(fields, named);
	if (trailers) fields.push('te', 'trailers');
	if (head.asksFirst === true) fields.push('expect', CONTINUE);
	const hop: Hop = { address: origin.address, host: authority, proto: origin.secure ? 'https' : 'http' };
	(forwarding ?? NO_FORWARDING).appendTo(fields, hop, origin.trusted);
	fields.push('via', `${origin.httpVersion} ${VIA_NAME}`, 'x-request-id', origin.requestId);
	if (authority !== '') return fields;
	if (upgrade !== undefined) throw new SlimeError('bad_request', 'An upgrade needs a Host.');
	fields.splice(4, 2);
	return fields;
}

/** The path and query of a request target (RFC 9112 section 3.2), its bytes unchanged. */
function originForm(url: string, method: string, authority: string): string {
	if (!TARGET.test(url)) throw new SlimeError('bad_request', 'The request target holds control characters.');
	if (url.charCodeAt(0) === 0x2f) {
		if (url.includes('#')) throw new SlimeError('bad_request', 'The request target has a fragment.');
		return url;
	}
	if (url === '*' && method === 'OPTIONS') return url;
	const absolute = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(url);
	if (absolute?.[1] === undefined) throw new SlimeError('bad_request', 'The request target is not a path.');
	if (absolute[1].toLowerCase() !== authority.toLowerCase()) {
		throw new SlimeError('bad_request', 'The request target names another host than Host.');
	}
	const rest = absolute[2] ?? '';
	// RFC 9112 section 3.2.4.
	if (rest === '' && method === 'OPTIONS') return '*';
	return rest.startsWith('/') ? rest : `/${rest}`;
}

/** RFC 9112 section 6.1. @throws SlimeError bad_request */
function checkTransferEncoding(value: string, httpVersion: string): void {
	if (value.toLowerCase() !== 'chunked')
		throw new SlimeError('bad_request', 'The only Transfer-Encoding that is served is chunked.');
	if (httpVersion === '1.0') throw new SlimeError('bad_request', 'HTTP/1.0 has no Transfer-Encoding.');
}

/** Names that Connection cannot take away: they are not its hop's, or are dealt with elsewhere. */
const NOT_NAMED = new Set(['close', 'keep-alive', 'te', 'content-length']);

/**
 * Fields that Connection names are meant for this hop (RFC 9110 section 7.6.1).
 * @returns what it was given, null before the first; undefined for what is no list of names
 */
function addNamed(named: Set<string> | null, value: string): Set<string> | null | undefined {
	const text = value.toLowerCase();
	if (text === 'keep-alive' || text === 'close') return named;
	const all = named ?? new Set<string>();
	for (const token of text.split(',')) {
		const name = token.trim();
		if (name === '' || NOT_NAMED.has(name)) continue;
		if (!TOKEN.test(name)) return undefined;
		all.add(name);
	}
	return all;
}

function removeNamed(fields: FieldList, named: ReadonlySet<string>): void {
	let kept = 0;
	for (let i = 0; i < fields.length; i += 2) {
		const name = fields[i] as string;
		if (named.has(name)) continue;
		fields[kept] = name;
		fields[kept + 1] = fields[i + 1] as string;
		kept += 2;
	}
	fields.length = kept;
}

/** Whether it is a CONNECT to some other host (RFC 9110 section 9.3.6), and no extended one. */
export function isPlainConnect(section: FieldList): boolean {
	if (section[1] !== 'CONNECT') return false;
	for (let i = 2; i < section.length && (section[i] as string).charCodeAt(0) === 0x3a; i += 2) {
		if (section[i] === ':protocol') return false;
	}
	return true;
}

/** What an upstream's client needs to know of a request that came out of the tunnel. */
export interface UpstreamRequest {
	readonly method: string;
	/** The target without the upstream's prefix. */
	readonly path: string;
	/** Regular fields: no Host, no Expect, no Authorization if the upstream has one of its own. */
	readonly fields: FieldList;
	/** Whether the request announces trailers. */
	readonly trailers: boolean;
	readonly requestId: string;
	/** The protocol that an extended CONNECT asks for; `method` then says nothing. */
	readonly upgrade: string | undefined;
	/** The app waits for 100 (Continue) before it sends its body. */
	readonly asksFirst: boolean;
}

/** @param ownAuthorization the upstream is sent credentials of the agent's, so those of the app do not pass */
export function upstreamRequest(section: FieldList, ownAuthorization: boolean): UpstreamRequest {
	let method = '';
	let path = '';
	let requestId = '';
	let upgrade: string | undefined;
	let trailers = false;
	let asksFirst = false;
	const fields: FieldList = [];
	for (let i = 0; i < section.length; i += 2) {
		const name = section[i] as string;
		const value = section[i + 1] as string;
		if (name.charCodeAt(0) === 0x3a) {
			if (name === ':method') method = value;
			else if (name === ':path') path = value;
			else if (name === ':protocol') upgrade = value;
			continue;
		}
		if (name === 'host' || name.startsWith(OWN) || (ownAuthorization && name === 'authorization')) continue;
		if (upgrade !== undefined && NOT_IN_UPGRADES.has(name)) continue;
		if (name === 'expect') {
			asksFirst = value === CONTINUE;
			continue;
		}
		if (name === 'x-request-id') requestId = value;
		else if (name === 'trailer') trailers = true;
		fields.push(name, value);
	}
	return { method, path, fields, trailers, requestId, upgrade, asksFirst };
}

/** RFC 9113 section 8.2.3: crumbs of a cookie are one field again in HTTP/1.1. @returns what it was given if there are none */
export function withOneCookie(fields: FieldList): FieldList {
	let crumbs = 0;
	for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'cookie') crumbs++;
	if (crumbs < 2) return fields;
	const joined: FieldList = [];
	let at = -1;
	for (let i = 0; i < fields.length; i += 2) {
		const name = fields[i] as string;
		if (name !== 'cookie' || at < 0) joined.push(name, fields[i + 1] as string);
		else joined[at] += `; ${fields[i + 1]}`;
		if (name === 'cookie' && at < 0) at = joined.length - 1;
	}
	return joined;
}

/** The tunnel's field section for an upstream's response. `raw` is name, value … as it arrived, in any case. */
export function tunnelResponse(status: number, raw: readonly string[]): FieldList {
	const fields: FieldList = [':status', String(status)];
	const interim = status < 200;
	let named: Set<string> | null = null;
	for (let i = 0; i < raw.length; i += 2) {
		const name = (raw[i] as string).toLowerCase();
		const value = raw[i + 1] as string;
		if (NOT_FORWARDED.has(name)) {
			if (name === 'connection') named = addNamed(named, value) ?? named;
			continue;
		}
		// RFC 9110 section 8.6: what comes before the response has no length.
		if (name.startsWith(OWN) || (interim && name === 'content-length')) continue;
		fields.push(name, value);
	}
	if (named !== null) removeNamed(fields, named);
	return fields;
}

/** The tunnel's field section for an upstream that has switched protocols: 101 is 200 there (RFC 8441 section 5). */
export function tunnelSwitched(raw: readonly string[]): FieldList {
	const section = tunnelResponse(200, raw);
	removeNamed(section, NOT_IN_UPGRADES);
	return section;
}

/** The response's fields for an HTTP/1.1 app: name, value …; status and Slime's own are left out. */
export function appResponse(section: FieldList, agentId: string): string[] {
	const raw: string[] = [];
	let events = false;
	let buffering: string | null = null;
	for (let i = 2; i < section.length; i += 2) {
		const name = section[i] as string;
		if (name.startsWith(OWN)) continue;
		const value = section[i + 1] as string;
		if (name === 'content-type') events = EVENT_STREAM.test(value);
		if (name === 'x-accel-buffering') buffering = value;
		// RFC 9110 section 8.6.
		else if (name !== 'content-length' || section[1] !== '204') raw.push(name, value);
	}
	// Event streams must not wait in a proxy's buffer.
	if (events) raw.push('x-accel-buffering', 'no');
	else if (buffering !== null) raw.push('x-accel-buffering', buffering);
	raw.push('slime-agent-id', agentId);
	return raw;
}

/** Whether a section holds control characters: HTTP/2 lets more of them pass than HTTP/1.1 (RFC 9113 section 8.2.1, RFC 9110 section 5.5). */
export function hasControlCharacters(section: readonly string[]): boolean {
	return section.some((text) => NOT_IN_HTTP1.test(text));
}

/** Bytes as RFC 9113 section 6.5.2 counts them. */
export function listSize(fields: FieldList): number {
	let size = 0;
	for (let i = 0; i < fields.length; i += 2) {
		size += (fields[i] as string).length + (fields[i + 1] as string).length + 32;
	}
	return size;
}

/** What an agent itself has to say, as a response: which error, and whether the upstream may have seen the request. */
export function agentError(error: SlimeError, started: boolean): FieldList {
	return [
		':status',
		String(error.status),
		'slime-error',
		error.code,
		'slime-started',
		started ? '1' : '0',
		'slime-message',
		error.message,
	];
}

export interface AgentVerdict {
	readonly code: string;
	readonly started: boolean;
	readonly message: string | undefined;
}

/** The agent's own error in a response's section; null for an upstream's response. */
export function agentVerdict(section: FieldList): AgentVerdict | null {
	let code: string | undefined;
	let started = true;
	let message: string | undefined;
	for (let i = 2; i < section.length; i += 2) {
		const name = section[i] as string;
		if (!name.startsWith(OWN)) continue;
		if (name === 'slime-error') code = section[i + 1];
		else if (name === 'slime-started') started = section[i + 1] !== '0';
		else if (name === 'slime-message') message = section[i + 1];
	}
	return code === undefined ? null : { code, started, message };
}

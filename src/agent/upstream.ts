/** Which upstream the user named, and how a request's target is put behind its prefix. Opens nothing. */
import { UsageError } from '../shared/errors.ts';
import { type AddressForm, parseHttpAddress } from '../tunnel/address.ts';

interface UpstreamBase {
	/** Path without a trailing slash, put before every target; '' if there is none. */
	readonly prefix: string;
	/** What goes into the Host field, or into :authority. */
	readonly authority: string;
	/** Credentials of Basic authorization. */
	readonly basic?: string | undefined;
	/** The address without userinfo, for logs. */
	readonly label: string;
}

export interface TcpUpstream extends UpstreamBase {
	readonly protocol: 'http' | 'https' | 'h2c';
	/** IPv6 without brackets. */
	readonly host: string;
	readonly port: number;
}

/** HTTP/1.1 on a Unix domain socket. */
export interface UnixUpstream extends UpstreamBase {
	readonly protocol: 'unix';
	readonly socketPath: string;
}

export type Upstream = TcpUpstream | UnixUpstream;

const FORM: AddressForm = {
	noun: 'upstream',
	schemes: ['http', 'https', 'h2c'],
	usage: 'host:port, http(s)://[user[:password]@]host[:port][/path], h2c://host:port or unix:/path',
};

/** Bytes of `sun_path` without the final NUL; a longer path would fail at the first request only. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * `host:port` (HTTP), a URL with http, https or h2c, or `unix:/path/to.sock`.
 * @throws UsageError
 */
export function parseUpstream(text: string): Upstream {
	if (/^unix:/i.test(text)) return unixUpstream(text.slice('unix:'.length));
	const { scheme, host, port, authority, path, basic, label } = parseHttpAddress(text, FORM);
	const protocol = scheme === 'https' || scheme === 'h2c' ? scheme : 'http';
	return { protocol, host, port, prefix: path, authority, basic, label };
}

function unixUpstream(socketPath: string): UnixUpstream {
	const refuse = (what: string) =>
		new UsageError(`upstream ${JSON.stringify(`unix:${socketPath}`)} ${what}; write unix:/path/to.sock`);
	if (!socketPath.startsWith('/')) throw refuse('has no absolute path');
	if (socketPath.includes('\0')) throw refuse('holds a NUL');
	if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH) throw refuse(`is longer than ${MAX_SOCKET_PATH} bytes`);
	return { protocol: 'unix', socketPath, prefix: '', authority: 'localhost', label: `unix:${socketPath}` };
}

/** A segment that begins with a dot, behind anything that some server takes for a slash. */
const DOT_SEGMENT = /(?:[/\\]|%2f|%5c)(?:\.|%2e)/i;

/**
 * Puts the prefix before an origin-form target (RFC 9112 section 3.2.1), whose bytes stay as they are.
 * @returns null if the target would leave a prefix that is not empty
 */
export function joinPath(prefix: string, target: string): string | null {
	if (prefix === '') return target;
	if (!target.startsWith('/')) return null;
	if (DOT_SEGMENT.test(target) && leavesRoot(target)) return null;
	return prefix + target;
}

/**
 * Whether any reading of the path climbs above where it starts. Servers differ: some decode %2f and %5c, some take `\` for `/`, some
 * merge slashes, some cut `;parameters`. So a step up is counted if anyone would take it, a step down only if everyone would.
 */
function leavesRoot(target: string): boolean {
	const query = target.indexOf('?');
	const path = query < 0 ? target : target.slice(0, query);
	let depth = 0;
	for (const segment of path.split('/')) {
		const parts = segment
			.split(/\\|%2f|%5c/i)
			.map((part) => part.replace(/(?:;|%3b).*$/is, '').replaceAll(/%2e/gi, '.'));
		const up = parts.filter((part) => part === '..').length;
		if (up > 0) depth -= up;
		else if (parts.some((part) => part !== '' && part !== '.')) depth += 1;
		if (depth < 0) return true;
	}
	return false;
}

/** Addresses of HTTP servers as users write them. The only reader of userinfo: what it says, labels and errors, never shows any. */
import { UsageError } from '../shared/errors.ts';

export interface HttpAddress {
	readonly scheme: string;
	/** A name or an IP address, IPv6 without brackets: what a socket connects to. */
	readonly host: string;
	readonly port: number;
	/** What goes into the Host field: brackets where needed, the port unless it is the scheme's own. */
	readonly authority: string;
	/** A prefix without a trailing slash, '' if there is none. */
	readonly path: string;
	/** The userinfo as credentials of Basic authorization (RFC 7617). */
	readonly basic?: string | undefined;
	/** The address without userinfo, for logs. */
	readonly label: string;
}

/** What a kind of address allows, for parsing and for telling the user. */
export interface AddressForm {
	/** Names the thing in errors: `hub address`. */
	readonly noun: string;
	readonly schemes: readonly string[];
	/** What to write instead, for errors. */
	readonly usage: string;
}

export interface HubAddress extends HttpAddress {
	readonly secure: boolean;
}

const HUB: AddressForm = {
	noun: 'hub address',
	schemes: ['http', 'https'],
	usage: 'host:port or http(s)://[user[:password]@]host[:port][/path]',
};

/**
 * `host:port` (plain HTTP) or `http(s)://[user[:password]@]host[:port][/path]`.
 * @throws UsageError
 */
export function parseHubAddress(text: string): HubAddress {
	const address = parseHttpAddress(text, HUB);
	return { ...address, secure: address.scheme === 'https' };
}

/**
 * `host:port`, which is the first of the form's schemes, or `scheme://[user[:password]@]host[:port][/path]`.
 * @throws UsageError
 */
export function parseHttpAddress(text: string, form: AddressForm): HttpAddress {
	const refuse = (what: string) => new UsageError(`${form.noun} ${withoutSecrets(text)} ${what}; write ${form.usage}`);
	// The URL parser drops tabs and line breaks and takes `\` for `/`, so these would slip through it.
	if (/[\s\p{Cc}\\]/u.test(text)) throw refuse('holds a space, a control character or a backslash');
	const [, name, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? [];
	if (name === undefined || rest === undefined) {
		if (!/^(\[[^\]]*\]|[^:/?#@[\]]+):\d+$/.test(text)) throw refuse('is neither host:port nor a URL');
		return fromUrl(form.schemes[0] ?? 'http', text, refuse);
	}
	const scheme = name.toLowerCase();
	if (!form.schemes.includes(scheme)) throw refuse(`has the scheme ${scheme}, which is not served here`);
	if (rest === '' || rest.startsWith('/')) throw refuse('has no host');
	if (/[?#]/.test(rest)) throw refuse('has a query or a fragment (a ? or # in a password is written %3F or %23)');
	return fromUrl(scheme, rest, refuse);
}

function fromUrl(scheme: string, rest: string, refuse: (what: string) => UsageError): HttpAddress {
	// Only schemes that the URL standard knows get their host checked and normalized: the others borrow http.
	const known = scheme === 'https' ? 'https' : 'http';
	const written = `${known}://${rest}`;
	if (!URL.canParse(written)) throw refuse('has a host or a port that is not valid');
	const url = new URL(written);
	if (url.port === '0') throw refuse('has the port 0');
	const path = url.pathname.replace(/\/+$/, '');
	const user = percentDecoded(url.username);
	if (user.includes(0x3a)) throw refuse('has a user name with a colon');
	const hasUserinfo = url.username !== '' || url.password !== '';
	return {
		scheme,
		host: url.hostname.replace(/^\[|\]$/g, ''),
		port: url.port === '' ? (known === 'https' ? 443 : 80) : Number(url.port),
		authority: url.host,
		path,
		basic: hasUserinfo
			? Buffer.concat([user, Buffer.from(':'), percentDecoded(url.password)]).toString('base64')
			: undefined,
		label: `${scheme}://${url.host}${path}`,
	};
}

/** The bytes that are meant: URL has already turned everything that is not ASCII into %XX; a lone % is itself. */
function percentDecoded(text: string): Buffer {
	const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
	return Buffer.from(bytes, 'latin1');
}

/** What may be shown of a text that could not be read: nothing before its last @, where userinfo may be, and no query. */
function withoutSecrets(text: string): string {
	const shown = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/isu, '$1…@').replace(/\?.*$/s, '?…');
	return JSON.stringify(shown.length > 200 ? `${shown.slice(0, 200)}…` : shown);
}

/** Which proxy the environment names for a connection to the outside, with the rules of curl. Opens nothing. */
import { BlockList, isIP } from 'node:net';
import { type AddressForm, type HttpAddress, parseHttpAddress } from './address.ts';

const FORM: AddressForm = {
	noun: 'proxy of the environment',
	schemes: ['http', 'https'],
	usage: 'http(s)://[user[:password]@]host[:port]; SOCKS is not spoken',
};

/**
 * https_proxy and HTTPS_PROXY for TLS, http_proxy (in capitals it may be a CGI client's header) for plain connections, then all_proxy
 * and ALL_PROXY; none for what no_proxy or NO_PROXY lists. No exception for loopback.
 * @throws UsageError if the proxy's address cannot be read
 */
export function egressProxy(
	to: { readonly secure: boolean; readonly host: string; readonly port: number },
	env: NodeJS.ProcessEnv,
): HttpAddress | undefined {
	const ofScheme = to.secure ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy;
	const text = (ofScheme || env.all_proxy || env.ALL_PROXY)?.trim();
	if (!text || isExcluded(to.host, to.port, env.no_proxy || env.NO_PROXY || '')) return undefined;
	return parseHttpAddress(text.includes('://') ? text : `http://${text}`, FORM);
}

/** A list of `*`, names (which stand for their subdomains too), addresses and blocks of addresses, names and addresses with or without port. */
function isExcluded(host: string, port: number, list: string): boolean {
	const name = host.toLowerCase().replace(/\.$/, '');
	return list.split(/[\s,]+/).some((entry) => entry !== '' && excludes(entry.toLowerCase(), name, port));
}

function excludes(entry: string, host: string, port: number): boolean {
	if (entry === '*') return true;
	const [, bracketed, plain, entryPort] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
	if (entryPort !== undefined && Number(entryPort) !== port) return false;
	// IPv6 is usually written without brackets here, and then without a port.
	const what = bracketed ?? plain ?? entry;
	if (isIP(host) !== 0) return holdsAddress(what, host);
	const domain = what.replace(/^\*?\./, '').replace(/\.$/, '');
	return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

function holdsAddress(entry: string, address: string): boolean {
	const [network = '', bits] = entry.split('/');
	const family = isIP(network);
	if (family === 0 || family !== isIP(address)) return false;
	const longest = family === 4 ? 32 : 128;
	const prefix = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
	if (prefix < 0 || prefix > longest) return false;
	const type = family === 4 ? 'ipv4' : 'ipv6';
	const block = new BlockList();
	block.addSubnet(network, prefix, type);
	return block.check(address, type);
}

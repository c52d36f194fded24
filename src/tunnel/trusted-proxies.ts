/** Proxies whose word about where a request came from is believed: which they are, and whom they name. Pure. */
import { BlockList, isIP } from 'node:net';
import { UsageError } from '../shared/errors.ts';

const WORDS: ReadonlyMap<string, readonly string[]> = new Map([
	['loopback', ['127.0.0.0/8', '::1/128']],
	// RFC 1918, RFC 4193.
	['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
]);

/** Proxies behind each other that are followed; a chain is the word of strangers at its left end. */
const MOST_HOPS = 32;

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** An address of X-Forwarded-For with the port that some proxies add. */
const WITH_PORT = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/;

/** An IP address in its plain form: an IPv4 one that a socket for IPv6 brought is IPv4 again, and it has no zone. */
export function plainAddress(address: string): string {
	const bare = address.split('%', 1)[0] as string;
	return MAPPED.exec(bare)?.[1] ?? bare;
}

export class TrustedProxies {
	readonly #list = new BlockList();

	/**
	 * @param networks IP addresses, CIDR blocks, `loopback` and `private`
	 * @throws UsageError for what is none of these
	 */
	constructor(networks: readonly string[]) {
		for (const network of networks) {
			for (const block of WORDS.get(network) ?? [network]) {
				const { address, family, prefix } = parseBlock(block);
				this.#list.addSubnet(address, prefix, family);
			}
		}
	}

	/** @param address a plain one */
	includes(address: string): boolean {
		const version = isIP(address);
		return version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4');
	}

	/**
	 * The address of whoever asked a proxy: the rightmost of X-Forwarded-For that is no trusted proxy itself. What no proxy can have
	 * written ends the search: then it is the last one that is known.
	 * @param fields name, value, name, value … in any case
	 * @param peer plain address of the proxy that the request came from, which is trusted
	 */
	client(fields: readonly string[], peer: string): string {
		let known = peer;
		let hops = 0;
		for (let i = fields.length - 2; i >= 0; i -= 2) {
			if ((fields[i] as string).toLowerCase() !== 'x-forwarded-for') continue;
			let rest = fields[i + 1] as string;
			while (rest !== '') {
				const comma = rest.lastIndexOf(',');
				const hop = rest.slice(comma + 1).trim();
				rest = comma < 0 ? '' : rest.slice(0, comma);
				if (hop === '') continue;
				const [, six, four] = WITH_PORT.exec(hop) ?? [];
				const address = plainAddress(six ?? four ?? hop);
				hops++;
				if (isIP(address) === 0 || hops > MOST_HOPS) return known;
				known = address;
				if (!this.includes(address)) return known;
			}
		}
		return known;
	}
}

/** @throws UsageError for what TrustedProxies does not take */
export function checkNetwork(text: string): void {
	if (!WORDS.has(text)) parseBlock(text);
}

function parseBlock(text: string): { address: string; family: 'ipv4' | 'ipv6'; prefix: number } {
	const slash = text.indexOf('/');
	const address = slash < 0 ? text : text.slice(0, slash);
	const version = isIP(address);
	const bits = version === 6 ? 128 : 32;
	const length = slash < 0 ? String(bits) : text.slice(slash + 1);
	const prefix = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
	if (version === 0 || !(prefix <= bits) || address.includes('%')) {
		const shown = JSON.stringify(text.slice(0, 100));
		throw new UsageError(
			`${shown} is no network: write an IP address, a block such as 10.0.0.0/8, loopback or private`,
		);
	}
	const mapped = MAPPED.exec(address)?.[1];
	if (mapped !== undefined && prefix >= 96) return { address: mapped, family: 'ipv4', prefix: prefix - 96 };
	return { address, family: version === 6 ? 'ipv6' : 'ipv4', prefix };
}

/**
 * The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt describes it: how a proxy that passes bytes on says whose
 * they are. Pure: reads a header out of the bytes that are there, whole or not at all.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from '../tunnel/trusted-proxies.ts';

export interface ProxyHeader {
	/** Plain IP address of the client; null when the proxy speaks for itself, or does not know. */
	readonly source: string | null;
	/** Bytes of the header: what follows is the client's. */
	readonly length: number;
}

/** Section 2.1: with CRLF. */
const LONGEST_V1 = 107;
const V1 = Buffer.from('PROXY ');
const V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD = 16;
/** Addresses and TLVs of version 2: what fits into one segment of the smallest size, and more than any proxy sends. */
const LONGEST_V2_REST = 536;

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Addresses of both ends, their ports. */
const TCP4_BYTES = 12;
const TCP6_BYTES = 36;

/** @returns `more` when these bytes may be the beginning of a header, `malformed` when they cannot */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'more' | 'malformed' {
	if (begins(bytes, V2)) return bytes.length < V2_HEAD ? 'more' : readV2(bytes);
	if (begins(bytes, V1)) return readV1(bytes);
	return 'malformed';
}

/** As far as there are bytes. */
function begins(bytes: Buffer, signature: Buffer): boolean {
	const length = Math.min(bytes.length, signature.length);
	return bytes.compare(signature, 0, length, 0, length) === 0;
}

function readV1(bytes: Buffer): ProxyHeader | 'more' | 'malformed' {
	const end = bytes.subarray(0, LONGEST_V1).indexOf('\r\n');
	if (end < 0) return bytes.length < LONGEST_V1 ? 'more' : 'malformed';
	const length = end + 2;
	const words = bytes.toString('latin1', 0, end).split(' ');
	if (words[1] === 'UNKNOWN') return { source: null, length };
	const [, family, source = '', destination = '', ...ports] = words;
	const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null;
	if (isAddress === null || !isAddress(source) || !isAddress(destination)) return 'malformed';
	if (ports.length !== 2 || !ports.every(isPort)) return 'malformed';
	return { source: plainAddress(source), length };
}

function isPort(text: string): boolean {
	return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readV2(bytes: Buffer): ProxyHeader | 'more' | 'malformed' {
	const command = bytes[12];
	const family = bytes[13] ?? 0;
	const rest = bytes.readUInt16BE(14);
	const length = V2_HEAD + rest;
	if ((command !== LOCAL && command !== PROXY) || rest > LONGEST_V2_REST) return 'malformed';
	if (bytes.length < length) return 'more';
	// Unspecified, or a Unix domain socket before the proxy: there is no address.
	const addressFamily = family >> 4;
	if (command === LOCAL || addressFamily === 0 || addressFamily === 3) return { source: null, length };
	if (family === TCP4 && rest >= TCP4_BYTES) return { source: bytes.subarray(16, 20).join('.'), length };
	if (family === TCP6 && rest >= TCP6_BYTES) return { source: plainAddress(ipv6(bytes.subarray(16, 32))), length };
	return 'malformed';
}

/** As RFC 5952 writes it. */
function ipv6(bytes: Buffer): string {
	const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
	if (mapped) return `::ffff:${bytes.subarray(12).join('.')}`;
	const groups: string[] = [];
	for (let at = 0; at < 16; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
	return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

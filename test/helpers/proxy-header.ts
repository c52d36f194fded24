/** PROXY headers of version 2, written by the letter of proxy-protocol.txt, section 2.2. */

const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);

export interface ProxyV2 {
	/** IPv4, or all eight groups of IPv6. */
	readonly source?: string;
	/** The proxy speaks for itself. */
	readonly local?: boolean;
	readonly tlvs?: Buffer;
	/** Address family and transport, where no source says it. */
	readonly family?: number;
	readonly addresses?: Buffer;
}

export function proxyV2({ source, local = false, tlvs = Buffer.alloc(0), family, addresses }: ProxyV2): Buffer {
	const four = source !== undefined && !source.includes(':');
	const head = Buffer.from([local ? 0x20 : 0x21, family ?? (four ? 0x11 : 0x21), 0, 0]);
	const rest = Buffer.concat([addresses ?? ends(source ?? '0.0.0.0', four || source === undefined), tlvs]);
	head.writeUInt16BE(rest.length, 2);
	return Buffer.concat([SIGNATURE, head, rest]);
}

function ends(source: string, four: boolean): Buffer {
	const bytes = four
		? source.split('.').map(Number)
		: source.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
	const address = Buffer.from(bytes);
	return Buffer.concat([address, Buffer.alloc(address.length, 9), Buffer.from([0x04, 0xd2, 0x01, 0xbb])]);
}

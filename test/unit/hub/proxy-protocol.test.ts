/** PROXY headers of both versions: whole, in pieces, and malformed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProxyHeader } from '../../../src/hub/proxy-protocol.ts';
import { proxyV2 } from '../../helpers/proxy-header.ts';

const read = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'));

const V1 = [
	['PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n', '192.0.2.1'],
	['PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n', '2001:db8::1'],
	['PROXY TCP6 ::ffff:192.0.2.1 ::1 0 80\r\n', '192.0.2.1'],
	['PROXY UNKNOWN\r\n', null],
	['PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n', null],
] as const;

const V2 = [
	[proxyV2({ source: '192.0.2.1' }), '192.0.2.1'],
	[proxyV2({ source: '2001:db8:0:0:0:0:0:1' }), '2001:db8::1'],
	[proxyV2({ source: '0:0:0:0:0:ffff:c000:201' }), '192.0.2.1'],
	[proxyV2({ source: '192.0.2.1', tlvs: Buffer.from([4, 0, 3, 1, 2, 3]) }), '192.0.2.1'],
	[proxyV2({ source: '192.0.2.1', local: true }), null],
	[proxyV2({ family: 0x00, addresses: Buffer.alloc(0) }), null],
	[proxyV2({ family: 0x31, addresses: Buffer.alloc(216) }), null],
	[proxyV2({ source: '192.0.2.1', tlvs: Buffer.alloc(524) }), '192.0.2.1'],
] as const;

test('a header says whose the connection is, and where it ends', () => {
	for (const [text, source] of V1) {
		assert.deepEqual(read(text), { source, length: text.length }, text);
		assert.deepEqual(read(`${text}GET / HTTP/1.1\r\n`), { source, length: text.length }, text);
	}
	for (const [bytes, source] of V2) {
		assert.deepEqual(readProxyHeader(Buffer.concat([bytes, Buffer.from('GET')])), { source, length: bytes.length });
	}
});

test('of a header that is not whole nothing is said, wherever it breaks off', () => {
	for (const [header] of [...V1, ...V2]) {
		const bytes = Buffer.from(header as string, 'latin1');
		for (let length = 1; length < bytes.length; length++) {
			assert.equal(readProxyHeader(bytes.subarray(0, length)), 'more', `${length} of ${bytes.toString('latin1')}`);
		}
	}
});

test('what can be no header is malformed as soon as that is sure', () => {
	for (const text of [
		'G',
		'PROXX',
		'PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n',
		'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n',
		'PROXY  TCP4 192.0.2.1 198.51.100.1 1 443\r\n',
		'PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n',
		'PROXY TCP4 ::1 ::1 1 443\r\n',
		'PROXY TCP6 192.0.2.1 192.0.2.1 1 443\r\n',
		'PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n',
		'PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n',
		'PROXY TCP4 192.0.2.1 198.51.100.1 1 x\r\n',
		'PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n',
		'PROXY\r\n',
		`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
	]) {
		assert.equal(read(text), 'malformed', text);
	}
	const bad = (change: (bytes: Buffer) => void) => {
		const bytes = proxyV2({ source: '192.0.2.1' });
		change(bytes);
		return readProxyHeader(bytes);
	};
	const faults: ReadonlyArray<(bytes: Buffer) => void> = [
		(bytes) => bytes.writeUInt8(0x11, 12), // version 1
		(bytes) => bytes.writeUInt8(0x22, 12), // an unknown command
		(bytes) => bytes.writeUInt8(0x12, 13), // datagrams
		(bytes) => bytes.writeUInt8(0x41, 13), // an unknown family
		(bytes) => bytes.writeUInt8(0x21, 13), // too short for IPv6
		(bytes) => bytes.writeUInt16BE(11, 14), // too short for IPv4
		(bytes) => bytes.writeUInt16BE(537, 14), // too long for anybody
		(bytes) => bytes.writeUInt8(0x0b, 11), // another signature
	];
	for (const [index, change] of faults.entries()) assert.equal(bad(change), 'malformed', `fault ${index}`);
});

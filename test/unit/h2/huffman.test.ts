/** The Huffman code of RFC 7541 Appendix B alone: every octet, padding, EOS, room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { huffmanDecode, huffmanEncode, huffmanRoom } from '../../../src/h2/huffman.ts';

function encode(text: string): Buffer {
	const out = Buffer.alloc(text.length * 4 + 2);
	const end = huffmanEncode(text, out, 0, out.length);
	assert.ok(end >= 0);
	return out.subarray(0, end);
}

function decode(octets: Uint8Array): string | null {
	const out = Buffer.alloc(huffmanRoom(octets.length));
	const length = huffmanDecode(octets, 0, octets.length, out);
	return length < 0 ? null : out.toString('latin1', 0, length);
}

function bits(text: string): Buffer {
	return Buffer.from((text.replaceAll(' ', '').match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
}

test('codes are those of Appendix B', () => {
	// The first and the last code of several lengths, filled up with ones.
	for (const [octet, code] of [
		[0x30, '00000 111'],
		[0x74, '01001 111'],
		[0x20, '010100 11'],
		[0x3a, '1011100 1'],
		[0x26, '11111000'],
		[0x21, '11111110 00 111111'],
		[0x3f, '11111111 00 111111'],
		[0x7c, '11111111 100 11111'],
		[0x00, '11111111 11000 111'],
		[0x5c, '11111111 11111110 000 11111'],
		[0x80, '11111111 11111110 0110 1111'],
		[0xff, '11111111 11111111 11111011 10 111111'],
		[0x0a, '11111111 11111111 11111111 111100 11'],
		[0x16, '11111111 11111111 11111111 111110 11'],
		[0xf9, '11111111 11111111 11111111 1110 1111'],
	] as const) {
		assert.deepEqual(encode(String.fromCharCode(octet)), bits(code), `octet ${octet}`);
	}
});

test('every octet survives alone, and next to every other', () => {
	for (let first = 0; first < 256; first++) {
		const alone = String.fromCharCode(first);
		assert.equal(decode(encode(alone)), alone);
		let all = '';
		for (let second = 0; second < 256; second++) all += String.fromCharCode(first, second);
		assert.equal(decode(encode(all)), all);
	}
});

test('nothing is the coding of an empty string', () => {
	assert.equal(encode('').length, 0);
	assert.equal(decode(Buffer.alloc(0)), '');
});

test('padding is a prefix of EOS shorter than an octet', () => {
	assert.equal(decode(bits('00011 111')), 'a');
	assert.equal(decode(bits('00011 110')), null);
	assert.equal(decode(bits('00011 000')), null);
	assert.equal(decode(bits('11111000 11111111')), null, 'an octet of padding');
	assert.equal(decode(bits('11111111')), null, 'only padding');
	assert.equal(decode(bits('00011 111 11111111')), null, 'eleven bits of padding');
});

test('EOS may not occur', () => {
	assert.equal(decode(bits('11111111 11111111 11111111 11111111')), null);
	assert.equal(decode(bits('00011 111 11111111 11111111 11111111 111 00011')), null, 'between other symbols');
});

test('a cut code is no padding', () => {
	assert.equal(decode(bits('11111110')), null);
	assert.equal(decode(bits('11111111 11111111 11111111 11110000')), null);
});

test('encoding stops at the limit', () => {
	for (const text of ['0'.repeat(50), 'w'.repeat(50), '\n'.repeat(50), '\\'.repeat(51)]) {
		const needed = encode(text).length;
		const out = Buffer.alloc(needed + 2);
		assert.equal(huffmanEncode(text, out, 0, needed), needed);
		for (let limit = 0; limit < needed; limit++) assert.equal(huffmanEncode(text, out, 0, limit), -1);
	}
});

test('characters above 0xFF have no code', () => {
	assert.equal(huffmanEncode('a\u0100', Buffer.alloc(64), 0, 64), -1);
	assert.equal(huffmanEncode('\u{1f600}', Buffer.alloc(64), 0, 64), -1);
});

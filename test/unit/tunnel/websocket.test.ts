/** Keys and choices of WebSocket's opening handshake, with the examples of RFC 6455. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptOf, isKey, newKey, unaskedChoice } from '../../../src/tunnel/websocket.ts';

test('the answer to a key is that of the RFC', () => {
	assert.equal(acceptOf('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
	assert.equal(acceptOf('x3JJHMbDL1EzLkh9GBhXDw=='), 'HSmrc0sMlYUkAGmm5OPpG2HaGWk=');
});

test('a new key is the base64 of 16 bytes, and another one each time', () => {
	const keys = new Set(Array.from({ length: 100 }, newKey));
	assert.equal(keys.size, 100);
	for (const key of keys) {
		assert.equal(Buffer.from(key, 'base64').length, 16);
		assert.equal(isKey(key), true);
	}
});

test('anything but the base64 of 16 bytes is no key', () => {
	const wrong = [
		'',
		'dGhlIHNhbXBsZSBub25jZQ',
		'dGhlIHNhbXBsZSBub25jZQ= ',
		'dGhlIHNhbXBsZSBub25jZSE=',
		'dGhl IHNhbXBsZSBub25j==',
	];
	for (const key of [...wrong, 'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=='])
		assert.equal(isKey(key), false, key);
});

const OFFERED = [
	'sec-websocket-protocol',
	'chat, superchat',
	'sec-websocket-protocol',
	'mqtt',
	'sec-websocket-extensions',
	'permessage-deflate; client_max_window_bits, x-own; a="b, permessage-snappy"',
];

test('an answer may choose one of the protocols and any of the extensions that were offered', () => {
	const allowed = [
		[],
		['Sec-WebSocket-Protocol', 'superchat'],
		['Sec-WebSocket-Protocol', 'mqtt'],
		['Sec-WebSocket-Extensions', 'permessage-deflate; server_no_context_takeover; server_max_window_bits=10'],
		['Sec-WebSocket-Extensions', 'X-Own', 'Sec-WebSocket-Extensions', 'permessage-deflate; q="a, b"'],
	];
	for (const answered of allowed) assert.equal(unaskedChoice(OFFERED, answered), null, String(answered));
});

test('an answer that chooses anything else is found out', () => {
	const protocol = 'Sec-WebSocket-Protocol';
	const extensions = 'Sec-WebSocket-Extensions';
	assert.equal(unaskedChoice(OFFERED, [protocol, 'Chat']), protocol);
	assert.equal(unaskedChoice(OFFERED, [protocol, 'chat, mqtt']), protocol);
	assert.equal(unaskedChoice(OFFERED, [protocol, 'chat', protocol, 'chat']), protocol);
	assert.equal(unaskedChoice([], [protocol, 'chat']), protocol);
	assert.equal(unaskedChoice(OFFERED, [extensions, 'permessage-snappy']), extensions);
	assert.equal(unaskedChoice(OFFERED, [extensions, 'permessage-deflate, other; x=1']), extensions);
	assert.equal(unaskedChoice([], [extensions, 'permessage-deflate']), extensions);
});

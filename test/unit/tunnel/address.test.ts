import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../../src/shared/errors.ts';
import { parseHubAddress } from '../../../src/tunnel/address.ts';

test('host:port is plain HTTP without a prefix', () => {
	assert.deepEqual(parseHubAddress('hub.example:8080'), {
		scheme: 'http',
		secure: false,
		host: 'hub.example',
		port: 8080,
		authority: 'hub.example:8080',
		path: '',
		basic: undefined,
		label: 'http://hub.example:8080',
	});
	assert.equal(parseHubAddress('localhost:80').port, 80);
});

test('a URL has the port of its scheme unless it names one', () => {
	assert.equal(parseHubAddress('http://hub.example').port, 80);
	const https = parseHubAddress('HTTPS://Hub.Example');
	assert.deepEqual([https.port, https.secure, https.authority], [443, true, 'hub.example']);
	const named = parseHubAddress('https://hub.example:8443');
	assert.deepEqual([named.port, named.authority], [8443, 'hub.example:8443']);
});

test('IPv6 is written in brackets and connected to without them', () => {
	for (const text of ['[::1]:8080', 'http://[::1]:8080']) {
		const { host, authority, port } = parseHubAddress(text);
		assert.deepEqual([host, authority, port], ['::1', '[::1]:8080', 8080]);
	}
	assert.throws(() => parseHubAddress('::1:8080'), UsageError);
});

test('the path is a prefix without its trailing slash', () => {
	assert.equal(parseHubAddress('https://hub.example/gpu/').path, '/gpu');
	assert.equal(parseHubAddress('https://hub.example/a/b').path, '/a/b');
	assert.equal(parseHubAddress('https://hub.example/').path, '');
	assert.equal(parseHubAddress('https://hub.example/gpu').label, 'https://hub.example/gpu');
});

test('userinfo becomes Basic credentials, percent-decoded to bytes, and is not in the label', () => {
	const decode = (text: string) => Buffer.from(parseHubAddress(text).basic ?? '', 'base64').toString('utf8');
	assert.equal(decode('https://user:pa%3Ass%40w%2Frd@hub.example'), 'user:pa:ss@w/rd');
	assert.equal(decode('https://jörg:käse@hub.example'), 'jörg:käse');
	assert.equal(decode('https://user@hub.example'), 'user:');
	assert.equal(decode('https://user:100%@hub.example'), 'user:100%');
	assert.deepEqual(
		Buffer.from(parseHubAddress('http://u:%ff@hub.example').basic ?? '', 'base64'),
		Buffer.from([0x75, 0x3a, 0xff]),
	);
	assert.equal(parseHubAddress('https://user:word@hub.example/gpu').label, 'https://hub.example/gpu');
	assert.equal(parseHubAddress('https://@hub.example').basic, undefined);
});

test('anything else is refused with what to write instead', () => {
	const refused = [
		'',
		'hub.example',
		'hub.example:',
		'hub.example:port',
		'hub.example:70000',
		'hub.example:0',
		':8080',
		'hub.example:8080/path',
		'ftp://hub.example',
		'h2c://hub.example:80',
		'unix:/run/hub.sock',
		'http:hub.example',
		'http://',
		'http:///hub.example',
		'http://hub.example:0',
		'http://hub.example:99999',
		'http://hub.example/?x=1',
		'http://hub.example/#x',
		'http://hub example',
		' hub.example:80',
		'hub.example:80\n',
		'http:\\\\hub.example',
		'http://[::1',
		'http://us%3Aer:word@hub.example',
	];
	for (const text of refused) {
		assert.throws(
			() => parseHubAddress(text),
			(error) => error instanceof UsageError && error.message.includes('host:port or http(s)://'),
			text,
		);
	}
});

test('no error shows userinfo', () => {
	for (const text of [
		'user:secret@hub.example:80',
		'ftp://user:secret@hub.example',
		'http://user:secret@hub.example:0',
		'http://user:secret@hub.example:99999/x',
		'http://user:sec/secret@hub.example',
		'http://user:secret?@hub.example',
		'http://user:secret@else@hub example',
		'http://us\ner:secret@hub.example',
		'http://hub.example/?password=secret',
	]) {
		assert.throws(
			() => parseHubAddress(text),
			(error) =>
				error instanceof UsageError && !/secret|user:(?!p|\[)/.test(error.message.replace('[user[:password]@]', '')),
			text,
		);
	}
});

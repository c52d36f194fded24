/** Malformed field sections, a case for each rule (RFC 9113 sections 8.1.1, 8.2, 8.3; RFC 8441 section 4). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkRequest, checkResponse, checkTrailers } from '../../../src/h2/field-rules.ts';
import { ErrorCode } from '../../../src/h2/protocol.ts';

const get = [':method', 'GET', ':scheme', 'https', ':authority', 'a', ':path', '/'];
const connect = [':method', 'CONNECT', ':authority', 'a:1'];
const extended = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':authority', 'a', ':path', '/'];
const malformed = { name: 'StreamError', code: ErrorCode.PROTOCOL_ERROR };

const refused: Array<[string, string[]]> = [
	['no fields', []],
	['no :method', get.slice(2)],
	['an empty :method', [':method', '', ...get.slice(2)]],
	['a :method that is no token', [':method', 'GE T', ...get.slice(2)]],
	['no :scheme', [':method', 'GET', ':path', '/']],
	['no :path', [':method', 'GET', ':scheme', 'https']],
	['an empty :path', [':method', 'GET', ':scheme', 'https', ':path', '']],
	['a :path that is no path', [':method', 'GET', ':scheme', 'https', ':path', 'x']],
	['* for anything but OPTIONS', [':method', 'GET', ':scheme', 'https', ':path', '*']],
	['a repeated pseudo-header field', [...get, ':path', '/']],
	['an unknown pseudo-header field', [...get, ':status', '200']],
	['a pseudo-header field after a regular one', [':method', 'GET', ':scheme', 'https', 'a', 'b', ':path', '/']],
	['CONNECT with :path', [...connect, ':path', '/']],
	['CONNECT with :scheme', [...connect, ':scheme', 'https']],
	['CONNECT without :authority', [':method', 'CONNECT']],
	[':protocol without CONNECT', [...get, ':protocol', 'websocket']],
	['extended CONNECT without :path', extended.slice(0, -2)],
	['a line feed in a pseudo-header field', [':method', 'GET', ':scheme', 'https', ':path', '/\nx']],
	['an upper-case name', [...get, 'Accept', '*/*']],
	['an empty name', [...get, '', 'x']],
	['a name with a space', [...get, 'a b', 'x']],
	['a name with a colon', [...get, 'a:b', 'x']],
	['a name with an octet above 0x7e', [...get, 'a\xff', 'x']],
	['a value with CR', [...get, 'a', 'x\ry']],
	['a value with LF', [...get, 'a', 'x\ny']],
	['a value with NUL', [...get, 'a', 'x\0y']],
	['a value that begins with a space', [...get, 'a', ' x']],
	['a value that ends with a tab', [...get, 'a', 'x\t']],
	['connection', [...get, 'connection', 'close']],
	['keep-alive', [...get, 'keep-alive', 'timeout=5']],
	['proxy-connection', [...get, 'proxy-connection', 'keep-alive']],
	['transfer-encoding', [...get, 'transfer-encoding', 'chunked']],
	['upgrade', [...get, 'upgrade', 'websocket']],
	['te other than trailers', [...get, 'te', 'gzip']],
	['two content-lengths', [...get, 'content-length', '1', 'content-length', '2']],
	['a content-length with a sign', [...get, 'content-length', '+1']],
	['an empty content-length', [...get, 'content-length', '']],
	['a content-length list', [...get, 'content-length', '1, 1']],
	['a content-length beyond any file', [...get, 'content-length', '9'.repeat(16)]],
];

describe('requests', () => {
	for (const [name, fields] of refused) {
		it(`refuses ${name}`, () => assert.throws(() => checkRequest(fields), malformed));
	}

	it('refuses a connection-specific field each time, not only the first', () => {
		for (let i = 0; i < 3; i++) assert.throws(() => checkRequest([...get, 'upgrade', 'x']), malformed);
	});

	const allowed: Array<[string, string[], string, number]> = [
		['an ordinary request', get, 'GET', -1],
		['te: trailers', [...get, 'te', 'Trailers'], 'GET', -1],
		['an empty value', [...get, 'a', ''], 'GET', -1],
		['octets above 0x7f in a value', [...get, 'a', 'caf\xe9'], 'GET', -1],
		['a content-length', [...get, 'content-length', '012'], 'GET', 12],
		['one content-length twice', [...get, 'content-length', '3', 'content-length', '3'], 'GET', 3],
		['OPTIONS *', [':method', 'OPTIONS', ':scheme', 'https', ':path', '*'], 'OPTIONS', -1],
		['CONNECT', connect, 'CONNECT', -1],
		['extended CONNECT', extended, 'CONNECT', -1],
		['no :authority', [':method', 'GET', ':scheme', 'https', ':path', '/'], 'GET', -1],
	];
	for (const [name, fields, method, contentLength] of allowed) {
		it(`allows ${name}`, () => assert.deepEqual(checkRequest(fields), { method, contentLength }));
	}
});

describe('responses', () => {
	const bad: Array<[string, string[]]> = [
		['no :status', ['a', 'b']],
		['a :status of two digits', [':status', '20']],
		['a :status below 100', [':status', '099']],
		['a :status that is no number', [':status', 'abc']],
		['a second :status', [':status', '200', ':status', '200']],
		['a request pseudo-header field', [':status', '200', ':path', '/']],
		['a connection-specific field', [':status', '200', 'transfer-encoding', 'chunked']],
		['a bad content-length', [':status', '200', 'content-length', '-1']],
	];
	for (const [name, fields] of bad) {
		it(`refuses ${name}`, () => assert.throws(() => checkResponse(fields), malformed));
	}

	it('reads status and length', () => {
		assert.deepEqual(checkResponse([':status', '206', 'content-length', '7']), { status: 206, contentLength: 7 });
	});
});

describe('trailers', () => {
	it('refuses pseudo-header fields', () => assert.throws(() => checkTrailers([':status', '200']), malformed));
	it('refuses connection-specific fields', () => assert.throws(() => checkTrailers(['upgrade', 'x']), malformed));
	it('allows ordinary fields', () => checkTrailers(['grpc-status', '0']));
});

/** The tunnel's field sections by themselves: what they refuse although a parser before them, or a client behind them, would too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlimeError } from '../../../src/shared/errors.ts';
import { tunnelRequest, withOneCookie } from '../../../src/tunnel/fields.ts';
import { forwardableTrailers, hasForbiddenTrailer } from '../../../src/tunnel/trailers.ts';

const ORIGIN = { address: '1.2.3.4', trusted: false, secure: false, requestId: 'id', dropAuthorization: false };

function section(httpVersion: string, rawHeaders: string[], url = '/', authority?: string): string[] {
	return tunnelRequest({ method: 'POST', url, rawHeaders, authority }, { ...ORIGIN, httpVersion });
}

function refuses(what: string, build: () => unknown): void {
	assert.throws(build, (error) => error instanceof SlimeError && error.code === 'bad_request', what);
}

test('one length, one coding and never both make a field section, whoever parsed them', () => {
	const wrong: string[][] = [
		['Content-Length', '3', 'content-length', '3'],
		['Content-Length', '3', 'Transfer-Encoding', 'chunked'],
		['Transfer-Encoding', 'chunked', 'Content-Length', '3'],
		['Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'],
		...['+3', '3, 3', '', '0x3', '1'.repeat(16), ' 3'].map((length) => ['Content-Length', length]),
		...['gzip', 'chunked, chunked', '', ' chunked', 'chunked;x'].map((coding) => ['Transfer-Encoding', coding]),
	];
	for (const fields of wrong) refuses(fields.join(' '), () => section('1.1', ['Host', 'a', ...fields]));
	refuses('1.0', () => section('1.0', ['Transfer-Encoding', 'chunked']));
	refuses('2.0', () => section('2.0', ['content-length', '3', 'content-length', '3'], '/', 'a'));
	assert.ok(section('1.1', ['Host', 'a', 'Content-Length', '3']).includes('content-length'));
	assert.ok(!section('1.1', ['Host', 'a', 'Transfer-Encoding', 'chunked']).includes('transfer-encoding'));
});

test('control characters are in no target, and in HTTP/2 in no field', () => {
	for (const url of ['/a b', '/a\tb', '/a\r\nb', '/\0', '/\x7f', '/ HTTP/1.1']) {
		refuses(JSON.stringify(url), () => section('2.0', [], url, 'a'));
		refuses(JSON.stringify(url), () => section('1.1', ['Host', 'a'], url));
	}
	for (const value of ['a\x01', '\x0b', '\x7f']) {
		refuses(JSON.stringify(value), () => section('2.0', ['x', value], '/', 'a'));
	}
	assert.equal(section('2.0', ['x', 'a\tb\xe9'], '/\xe9', 'a')[7], '/\xe9');
});

test('Via of each hop stays its own field, and the one of the hub comes last', () => {
	const fields = section('1.1', ['Host', 'a', 'Via', '1.0 x', 'Y', '1', 'via', '1.1 y']);
	const values = fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === 'via');
	assert.deepEqual(values, ['1.0 x', '1.1 y', '1.1 slime']);
});

test('crumbs of a cookie are one field where the first of them was, and only then', () => {
	assert.deepEqual(withOneCookie(['a', '1', 'cookie', 'x=1', 'b', 'cookie', 'cookie', 'y=2', 'cookie', '']), [
		'a',
		'1',
		'cookie',
		'x=1; y=2; ',
		'b',
		'cookie',
	]);
	const one = ['cookie', 'x=1', 'b', 'cookie'];
	assert.equal(withOneCookie(one), one);
});

test('trailers of framing, routing and credentials are told from those that are only left out', () => {
	for (const name of [
		'Content-Length',
		'Transfer-Encoding',
		'Host',
		'Authorization',
		'Cookie',
		'Slime-Error',
		'Connection',
		'X-Forwarded-For',
	])
		assert.equal(hasForbiddenTrailer(['x', '1', name, '1']), true, name);
	for (const name of ['X-T', 'Grpc-Status', 'Via', 'Content-Type', 'Expect'])
		assert.equal(hasForbiddenTrailer([name, '1']), false, name);
	assert.deepEqual(forwardableTrailers(['X-T', '1', 'Via', '2', 'Bad', 'a\x01', ':path', '/', 'Slime-X', '3']), [
		'x-t',
		'1',
	]);
});

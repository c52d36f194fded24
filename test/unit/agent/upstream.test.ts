import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinPath, parseUpstream } from '../../../src/agent/upstream.ts';
import { UsageError } from '../../../src/shared/errors.ts';

test('host:port is an HTTP upstream', () => {
	assert.deepEqual(parseUpstream('localhost:8000'), {
		protocol: 'http',
		host: 'localhost',
		port: 8000,
		prefix: '',
		authority: 'localhost:8000',
		basic: undefined,
		label: 'http://localhost:8000',
	});
});

test('a URL gives protocol, prefix and credentials', () => {
	assert.deepEqual(parseUpstream('https://user:word@llm.example/v1/'), {
		protocol: 'https',
		host: 'llm.example',
		port: 443,
		prefix: '/v1',
		authority: 'llm.example',
		basic: Buffer.from('user:word').toString('base64'),
		label: 'https://llm.example/v1',
	});
	const h2c = parseUpstream('h2c://[::1]:50051');
	assert.ok(h2c.protocol === 'h2c');
	assert.deepEqual([h2c.host, h2c.port, h2c.authority, h2c.label], ['::1', 50051, '[::1]:50051', 'h2c://[::1]:50051']);
});

test('everything behind unix: is the path of the socket', () => {
	assert.deepEqual(parseUpstream('unix:/run/a b?c#d@e.sock'), {
		protocol: 'unix',
		socketPath: '/run/a b?c#d@e.sock',
		prefix: '',
		authority: 'localhost',
		label: 'unix:/run/a b?c#d@e.sock',
	});
});

test('other upstreams are refused', () => {
	for (const text of [
		'',
		'localhost',
		'unix:',
		'unix:relative.sock',
		'unix:/a\0b',
		`unix:/${'x'.repeat(108)}`,
		'ws://localhost:8000',
		'http://localhost:8000/?x',
		'http://localhost:8000/#x',
		'8000',
	]) {
		assert.throws(() => parseUpstream(text), UsageError, text);
	}
});

test('the bytes of a target stay as they are behind the prefix', () => {
	for (const target of [
		'/',
		'/a/b?q=../..',
		'/a%2Fb/%7e',
		'//a',
		'/.well-known/x',
		'/a/./b',
		'/a/../b',
		'/a/b/../..',
		'/...',
		'/a?/../..',
		'/%2e%2e%2e',
	]) {
		assert.equal(joinPath('/v1', target), `/v1${target}`);
	}
});

test('a target that any server might take out of the prefix is refused', () => {
	for (const target of [
		'/..',
		'/../x',
		'/a/../../x',
		'/%2e%2e/x',
		'/%2E./x',
		'/.%2e',
		'/\\..\\x',
		'\\..\\x',
		'/..\\x',
		'/a\\..\\..\\x',
		'/%2f../x',
		'/..%2Fx',
		'/a/..%5c..%5Cx',
		'//../x',
		'/./../x',
		'/a//../../x',
		'/..;x=1/admin',
		'/a%2fb/../../x',
		'/a/../..?x',
		'*',
		'http://other.example/',
		'',
	]) {
		assert.equal(joinPath('/v1', target), null, target);
	}
});

test('without a prefix every target passes as it is', () => {
	for (const target of ['/', '/../x', '*']) assert.equal(joinPath('', target), target);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../../src/shared/errors.ts';
import { egressProxy } from '../../../src/tunnel/egress-proxy.ts';

const TLS_HUB = { secure: true, host: 'hub.example.com', port: 443 };
const PLAIN_HUB = { secure: false, host: 'hub.example.com', port: 80 };

const label = (hub: typeof TLS_HUB, env: NodeJS.ProcessEnv) => egressProxy(hub, env)?.label;

test('the variable of the scheme comes first, in small letters before capitals', () => {
	assert.equal(label(TLS_HUB, {}), undefined);
	assert.equal(
		label(TLS_HUB, { HTTPS_PROXY: 'http://b:1', https_proxy: 'http://a:1', ALL_PROXY: 'http://c:1' }),
		'http://a:1',
	);
	assert.equal(label(TLS_HUB, { HTTPS_PROXY: 'http://b:1', https_proxy: '' }), 'http://b:1');
	assert.equal(label(TLS_HUB, { http_proxy: 'http://a:1' }), undefined);
	assert.equal(label(TLS_HUB, { ALL_PROXY: 'http://d:1', all_proxy: 'http://c:1' }), 'http://c:1');
	assert.equal(label(PLAIN_HUB, { http_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:1' }), 'http://a:1');
});

test('HTTP_PROXY in capitals is not believed', () => {
	assert.equal(label(PLAIN_HUB, { HTTP_PROXY: 'http://a:1' }), undefined);
});

test('a proxy may be written without a scheme, and with a user and password', () => {
	assert.equal(label(TLS_HUB, { https_proxy: 'proxy:3128' }), 'http://proxy:3128');
	const proxy = egressProxy(TLS_HUB, { https_proxy: 'https://user:word@proxy:3128/' });
	assert.equal(proxy?.basic, Buffer.from('user:word').toString('base64'));
	assert.equal(proxy?.label, 'https://proxy:3128');
});

test('a proxy that cannot be used is an error which holds no password', () => {
	for (const https_proxy of ['socks5://user:word@proxy:1080', 'http://user:word@proxy:99999']) {
		assert.throws(
			() => egressProxy(TLS_HUB, { https_proxy }),
			(error) => error instanceof UsageError && !error.message.includes('word@') && error.message.includes('proxy'),
		);
	}
});

test('loopback is no exception', () => {
	assert.equal(label({ secure: true, host: '127.0.0.1', port: 443 }, { https_proxy: 'http://a:1' }), 'http://a:1');
});

const excluded = (host: string, list: string, port = 443) =>
	egressProxy({ secure: true, host, port }, { https_proxy: 'http://a:1', no_proxy: list }) === undefined;

test('a name in no_proxy stands for itself and its subdomains', () => {
	for (const entry of ['example.com', '.example.com', '*.example.com', 'EXAMPLE.com', 'example.com.']) {
		assert.ok(excluded('hub.example.com', entry), entry);
		assert.ok(excluded('Hub.Example.Com.', entry), entry);
		assert.ok(excluded('example.com', entry), entry);
		assert.ok(!excluded('notexample.com', entry), entry);
		assert.ok(!excluded('example.com.evil', entry), entry);
	}
	assert.ok(excluded('hub', '*'));
	assert.ok(!excluded('hub', ''));
	assert.ok(!excluded('hub', ', ,.'));
	assert.ok(excluded('b', 'a, b c'));
	assert.ok(excluded('c', 'a, b c'));
});

test('an entry with a port is for that port', () => {
	assert.ok(excluded('hub', 'hub:443'));
	assert.ok(!excluded('hub', 'hub:8443'));
	assert.ok(excluded('10.0.0.1', '10.0.0.1:443'));
	assert.ok(!excluded('10.0.0.1', '10.0.0.1:1'));
	assert.ok(excluded('::1', '[::1]:443'));
	assert.ok(!excluded('::1', '[::1]:1'));
});

test('addresses and blocks of addresses are compared as numbers', () => {
	assert.ok(excluded('10.1.2.3', '10.0.0.0/8'));
	assert.ok(!excluded('11.1.2.3', '10.0.0.0/8'));
	assert.ok(excluded('10.1.2.3', '10.1.2.3'));
	assert.ok(!excluded('110.1.2.3', '10.1.2.3'));
	assert.ok(excluded('fd00::1', 'fd00::/8'));
	assert.ok(excluded('fd00::1', 'fd00:0:0::1'));
	assert.ok(excluded('fd00::1', '[fd00::1]'));
	assert.ok(!excluded('fe80::1', 'fd00::/8'));
	assert.ok(!excluded('10.1.2.3', 'fd00::/8'));
	for (const odd of ['10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/', '10.0.0/8', '/8'])
		assert.ok(!excluded('10.0.0.1', odd), odd);
});

test('NO_PROXY in capitals is read where the small one is not set', () => {
	assert.equal(egressProxy(TLS_HUB, { https_proxy: 'http://a:1', NO_PROXY: 'example.com' }), undefined);
});

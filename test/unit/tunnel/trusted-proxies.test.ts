/** Which proxies are believed, and whom they name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../../src/shared/errors.ts';
import { checkNetwork, plainAddress, TrustedProxies } from '../../../src/tunnel/trusted-proxies.ts';

const chain = (...values: string[]) => values.flatMap((value) => ['X-Forwarded-For', value]);

test('addresses and blocks of both families, and the two words, are networks', () => {
	const trusted = new TrustedProxies([
		'203.0.113.7',
		'198.51.100.0/24',
		'2001:db8::/32',
		'::ffff:192.0.2.0/120',
		'private',
	]);
	for (const address of [
		'203.0.113.7',
		'198.51.100.255',
		'2001:db8:ffff::1',
		'192.0.2.9',
		'10.255.0.1',
		'172.31.0.1',
		'192.168.9.9',
		'fd00::1',
	]) {
		assert.equal(trusted.includes(address), true, address);
	}
	for (const address of [
		'203.0.113.8',
		'198.51.101.0',
		'2001:db9::1',
		'192.0.3.1',
		'172.32.0.1',
		'127.0.0.1',
		'unknown',
	]) {
		assert.equal(trusted.includes(address), false, address);
	}
	const loopback = new TrustedProxies(['loopback']);
	assert.equal(loopback.includes('127.9.9.9') && loopback.includes('::1'), true);
	assert.equal(new TrustedProxies(['0.0.0.0/0']).includes('8.8.8.8'), true);
});

test('what is no network is refused with an example of one', () => {
	for (const text of [
		'',
		'localhost',
		'10.0.0.0/33',
		'10.0.0.0/',
		'::1/129',
		'10.0.0',
		'1.1.1.1/-1',
		'fe80::1%eth0',
		'*',
	]) {
		assert.throws(() => checkNetwork(text), UsageError, text);
	}
	assert.throws(() => checkNetwork('x'), /"x" is no network: write an IP address, a block such as 10\.0\.0\.0\/8/);
});

test('IPv4 out of IPv6 is IPv4, and zones are left out', () => {
	assert.equal(plainAddress('::ffff:127.0.0.1'), '127.0.0.1');
	assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1');
	assert.equal(plainAddress('2001:db8::1'), '2001:db8::1');
});

test('the client is the rightmost address that is no trusted proxy', () => {
	const trusted = new TrustedProxies(['10.0.0.0/8']);
	const client = (...values: string[]) => trusted.client(chain(...values), '10.0.0.1');
	assert.equal(client(), '10.0.0.1');
	assert.equal(client('8.8.8.8'), '8.8.8.8');
	assert.equal(client('6.6.6.6, 8.8.8.8, 10.0.0.2'), '8.8.8.8');
	assert.equal(client('6.6.6.6,8.8.8.8 ,,', ' 10.0.0.3'), '8.8.8.8');
	assert.equal(client('10.0.0.9, 10.0.0.2'), '10.0.0.9');
	assert.equal(client('8.8.8.8:1234'), '8.8.8.8');
	assert.equal(client('[2001:db8::5]:443, 10.0.0.2'), '2001:db8::5');
	assert.equal(client('2001:db8::5'), '2001:db8::5');
	assert.equal(client('::ffff:9.9.9.9'), '9.9.9.9');
});

test('what is no address ends the search, and nothing left of it is believed', () => {
	const trusted = new TrustedProxies(['10.0.0.0/8']);
	assert.equal(trusted.client(chain('6.6.6.6, unknown, 10.0.0.2'), '10.0.0.1'), '10.0.0.2');
	assert.equal(trusted.client(chain('6.6.6.6, _hidden'), '10.0.0.1'), '10.0.0.1');
	const long = trusted.client(chain(`6.6.6.6, ${'10.9.9.9, '.repeat(8000)}10.0.0.2`), '10.0.0.1');
	assert.equal(long, '10.9.9.9');
});

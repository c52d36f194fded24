/** X-Forwarded-* and Forwarded on their way to an upstream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forwarding } from '../../../src/tunnel/forwarded.ts';

const hop = { address: '192.0.2.1', host: 'hub.example:80', proto: 'http' } as const;

function told(came: Readonly<Record<string, string | readonly string[]>>, trusted: boolean): Record<string, string> {
	const forwarding = new Forwarding();
	for (const [name, values] of Object.entries(came)) for (const value of [values].flat()) forwarding.add(name, value);
	const fields: string[] = [];
	forwarding.appendTo(fields, hop, trusted);
	const result: Record<string, string> = {};
	for (let i = 0; i < fields.length; i += 2) result[fields[i] as string] = fields[i + 1] as string;
	return result;
}

const OWN = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-host': 'hub.example:80', 'x-forwarded-proto': 'http' };

test('a stranger is told of as it is seen, whatever it says', () => {
	const lies = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'gopher' };
	assert.deepEqual(told(lies, false), OWN);
	assert.deepEqual(told({}, false), OWN);
	assert.equal(told({ forwarded: 'for=6.6.6.6' }, false).forwarded, 'for=192.0.2.1;host="hub.example:80";proto=http');
});

test('a trusted proxy appears behind what it says, and host and protocol of the first hop stay', () => {
	const said = {
		'x-forwarded-for': ['8.8.8.8', '10.0.0.2'],
		'x-forwarded-host': 'app.example, inner',
		'x-forwarded-proto': ['https', 'http'],
		forwarded: ['for=8.8.8.8;host="a,b;c\\"d"', 'for="[2001:db8::1]:80" , by=_x'],
	};
	assert.deepEqual(told(said, true), {
		'x-forwarded-for': '8.8.8.8, 10.0.0.2, 192.0.2.1',
		'x-forwarded-host': 'app.example',
		'x-forwarded-proto': 'https',
		forwarded:
			'for=8.8.8.8;host="a,b;c\\"d", for="[2001:db8::1]:80" , by=_x, for=192.0.2.1;host="hub.example:80";proto=http',
	});
	assert.deepEqual(told({}, true), OWN);
});

test('what is malformed is replaced, even from a trusted proxy', () => {
	assert.equal(told({ forwarded: 'for="6.6.6.6' }, true).forwarded, 'for=192.0.2.1;host="hub.example:80";proto=http');
	assert.equal(told({ 'x-forwarded-host': 'a b' }, true)['x-forwarded-host'], 'hub.example:80');
	assert.equal(told({ 'x-forwarded-proto': '<x>' }, true)['x-forwarded-proto'], 'http');
});

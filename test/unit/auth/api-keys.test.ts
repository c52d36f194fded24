/** What one key may ask for, and how much of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiKey } from '../../../src/auth/api-keys.ts';
import type { SlimeError } from '../../../src/shared/errors.ts';

const code = (what: string) => (error: SlimeError) => error.code === what;

test('a key without limits may ask for everything', () => {
	const key = new ApiKey('a', {});
	assert.equal(key.scopeFor('x'), 'x');
	assert.equal(key.scopeFor(undefined), undefined);
	assert.equal(key.urgencyFor(0), 0);
	for (let i = 0; i < 100; i++) key.enter(0);
});

test('a key with scopes may ask for these, and gets any of them if it asks for none', () => {
	const key = new ApiKey('a', { scopes: ['x', 'y'] });
	assert.equal(key.scopeFor('y'), 'y');
	assert.deepEqual(key.scopeFor(undefined), ['x', 'y']);
	assert.throws(() => key.scopeFor('z'), code('scope_denied'));
	assert.throws(() => key.scopeFor('x\ny'), code('scope_denied'));
	assert.equal(new ApiKey('b', { scopes: ['x'] }).scopeFor(undefined), 'x');
});

test('a key is no more urgent than its limit, and may be less', () => {
	const key = new ApiKey('a', { priority: 4 });
	const urgencies = [0, 3, 4, 7].map((urgency) => key.urgencyFor(urgency));
	assert.deepEqual(urgencies, [4, 4, 4, 7]);
});

test('a key has so many requests in progress, and one that ends makes room', () => {
	const key = new ApiKey('a', { concurrent: 2 });
	key.enter(0);
	key.enter(0);
	assert.throws(() => key.enter(0), code('key_busy'));
	key.leave();
	key.enter(0);
	assert.throws(() => key.enter(0), code('key_busy'));
});

test('the seconds after which a request is let in are the fewest', () => {
	const key = new ApiKey('a', { rate: { requests: 2, period: 5000 } });
	const told = (seconds: number) => (error: SlimeError) =>
		error.code === 'rate_limited' && error.retryAfter === seconds;
	key.enter(0);
	key.enter(0);
	assert.throws(() => key.enter(0), told(3));
	assert.throws(() => key.enter(2000), told(1));
	key.enter(3000);
});

test('a request that is refused for those in progress takes nothing of the rate', () => {
	const key = new ApiKey('a', { concurrent: 1, rate: { requests: 2, period: 5000 } });
	key.enter(0);
	assert.throws(() => key.enter(0), code('key_busy'));
	key.leave();
	key.enter(0);
});

test('limits that change leave what is in progress, and what was taken, as it is', () => {
	const key = new ApiKey('a', { concurrent: 2, rate: { requests: 2, period: 1000 } });
	key.enter(0);
	key.enter(0);
	key.limits = { concurrent: 3, rate: { requests: 1, period: 1000 }, scopes: ['x'], priority: 1 };
	assert.throws(() => key.enter(0), code('rate_limited'));
	assert.throws(() => key.scopeFor('y'), code('scope_denied'));
	assert.equal(key.urgencyFor(0), 1);
	key.enter(1000);
	assert.throws(() => key.enter(5000), code('key_busy'));
	key.limits = {};
	for (let i = 0; i < 10; i++) key.enter(5000);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../../src/shared/backoff.ts';

function backoffAt(random: number) {
	const clock = { now: 0, random };
	const backoff = new Backoff({
		min: 250,
		max: 30_000,
		stableAfter: 30_000,
		random: () => clock.random,
		now: () => clock.now,
	});
	return { clock, backoff };
}

test('the ceiling doubles up to its maximum and stays there', () => {
	const { backoff } = backoffAt(1);
	const delays = Array.from({ length: 10 }, () => backoff.next());
	assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('a delay is anything from nothing to the ceiling', () => {
	const { clock, backoff } = backoffAt(0);
	assert.equal(backoff.next(), 0);
	clock.random = 0.5;
	assert.equal(backoff.next(), 250);
});

test('a connection that lasted starts the delays over', () => {
	const { clock, backoff } = backoffAt(1);
	backoff.next();
	backoff.next();
	backoff.connected();
	clock.now = 30_000;
	backoff.disconnected();
	assert.equal(backoff.next(), 250);
});

test('a connection that ends early counts as one more failed try', () => {
	const { clock, backoff } = backoffAt(1);
	backoff.next();
	backoff.connected();
	clock.now = 29_999;
	backoff.disconnected();
	assert.equal(backoff.next(), 500);
	clock.now = 100_000;
	backoff.disconnected();
	assert.equal(backoff.next(), 1000);
});

test('a try that must not be quick waits about as long as the ceiling goes, and so do those after it', () => {
	const { clock, backoff } = backoffAt(0);
	assert.equal(backoff.atCap(), 15_000);
	clock.random = 1;
	assert.equal(backoff.atCap(), 30_000);
	assert.equal(backoff.next(), 30_000);
});

test('without a clock and a generator of its own it takes the real ones', () => {
	const backoff = new Backoff();
	const delay = backoff.next();
	assert.ok(delay >= 0 && delay < 250);
});

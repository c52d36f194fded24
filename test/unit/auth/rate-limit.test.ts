/** How many may come in how much time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimit } from '../../../src/auth/rate-limit.ts';
import { seeded } from '../../helpers/seeded.ts';

test('so many may come at once, and then one whenever its share of the period has passed', () => {
	const limit = new RateLimit({ requests: 3, period: 6000 });
	const taken = [0, 0, 0].map((now) => limit.take(now));
	assert.deepEqual(taken, [0, 0, 0]);
	assert.equal(limit.take(0), 2000);
	assert.equal(limit.take(500), 1500);
	assert.equal(limit.take(2000), 0);
	assert.equal(limit.take(2000), 2000);
});

test('a bucket that nobody takes from is full again after a period, and never fuller', () => {
	const limit = new RateLimit({ requests: 2, period: 1000 });
	for (const now of [0, 0]) limit.take(now);
	assert.ok(limit.take(0) > 0);
	const taken = [5000, 5000].map((now) => limit.take(now));
	assert.deepEqual(taken, [0, 0]);
	assert.equal(limit.take(5000), 500);
});

test('whoever waits as long as it was told is let in, and nobody before', () => {
	const random = seeded(1);
	const limit = new RateLimit({ requests: 7, period: 1234.5 });
	let now = 0.1;
	let refused = 0;
	for (let i = 0; i < 10_000; i++) {
		now += random(300);
		const early = limit.take(now);
		if (early === 0) continue;
		refused++;
		if (early > 0.01) assert.ok(limit.take(now + early - 0.01) > 0, `${early}`);
		now += early;
		assert.equal(limit.take(now), 0, `after ${early}`);
	}
	assert.ok(refused > 1000, `${refused} refused`);
	assert.ok((now / 1234.5) * 7 + 7 >= 10_000, 'no more than the rate');
});

test('a bucket is full again when it would have been though the rate changes', () => {
	const limit = new RateLimit({ requests: 2, period: 1000 });
	for (const now of [0, 0]) limit.take(now);
	limit.rate = { requests: 1, period: 1000 };
	assert.equal(limit.take(0), 1000);
});

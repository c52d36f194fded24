/** What a hub counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Statistics } from '../../../src/hub/statistics.ts';
import { ERRORS, type ErrorCode } from '../../../src/shared/errors.ts';
import { Histogram } from '../../../src/shared/histogram.ts';

test('a measurement is counted at the first bound that it does not exceed, or above them all', () => {
	const histogram = new Histogram([1, 2, 4]);
	for (const value of [0, 1, 1.5, 2, 4, 5, 100]) histogram.observe(value);
	assert.deepEqual(histogram.counts, [2, 2, 1, 2]);
	assert.equal(histogram.sum, 113.5);
});

test('every error in the table is an outcome of its own', () => {
	const statistics = new Statistics();
	const codes = Object.keys(ERRORS) as ErrorCode[];
	for (const code of codes) statistics.requestEnded(ERRORS[code].status, code, 1);
	statistics.requestEnded(undefined, 'app_gone', 1);
	assert.deepEqual(
		[...statistics.requests()].map(({ status, outcome, count }) => `${outcome} ${status} ${count}`).sort(),
		[...codes.map((code) => `${code} ${Math.floor(ERRORS[code].status / 100)}xx 1`), 'app_gone none 1'].sort(),
	);
	assert.equal(statistics.duration.counts[0], codes.length + 1);
});

test('only small pieces tell of tokens', () => {
	const statistics = new Statistics();
	statistics.piece(4096, 2);
	statistics.piece(4097, 2);
	assert.equal(statistics.gap.sum, 0.002);
});

test('an agent is known again among the last 10,000', () => {
	const statistics = new Statistics();
	statistics.tunnelOpened('forgotten', false);
	statistics.tunnelOpened('kept', false);
	for (let i = 0; i < 9999; i++) statistics.tunnelOpened(`${i}`, false);
	statistics.tunnelOpened('kept', false);
	assert.equal(statistics.opened.returned, 1);
	statistics.tunnelOpened('forgotten', false);
	assert.deepEqual(statistics.opened, { first: 10_002, returned: 1, replaced: 0 });
});

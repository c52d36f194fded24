/** Durations as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from '../../../src/shared/duration.ts';
import { UsageError } from '../../../src/shared/errors.ts';

test('durations are numbers with units, added up', () => {
	const read: [string, number][] = [
		['250ms', 250],
		['30s', 30_000],
		['1.5s', 1_500],
		['5m', 300_000],
		['1h30m', 5_400_000],
		['1h2m3s', 3_723_000],
		['30d', 2_592_000_000],
		['0s', 0],
	];
	for (const [text, milliseconds] of read) assert.equal(parseDuration(text), milliseconds, text);
});

test('a plain number is seconds', () => {
	assert.equal(parseDuration('30'), 30_000);
	assert.equal(parseDuration('2.5'), 2_500);
	assert.equal(parseDuration('0'), 0);
});

test('what is no duration is refused with an example', () => {
	const wrong = [
		'',
		' ',
		's',
		'-1s',
		'+1s',
		'1 s',
		'1x',
		'1sm',
		'30S',
		'1s1s',
		'1e3',
		'.5s',
		'0.0001ms',
		'1h30',
		'ms5',
	];
	for (const text of [...wrong, '9'.repeat(20), '１s']) {
		assert.throws(
			() => parseDuration(text),
			{ name: UsageError.name, message: /is not a duration: write 250ms, 30s/ },
			text,
		);
	}
});

test('an unreasonable text is not repeated whole', () => {
	assert.throws(
		() => parseDuration('x'.repeat(10_000)),
		(error: Error) => error.message.length < 250,
	);
});

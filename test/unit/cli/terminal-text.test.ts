/** Texts for a terminal: what was written elsewhere does nothing to it, and lines fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureLine } from '../../../src/cli/failure.ts';
import { fit, printable, printableJson } from '../../../src/cli/table.ts';

/** Controls of 7 and 8 bits, directions, separators, an invisible character beyond 16 bits. */
const HOSTILE = ['\u001b[2J', '\u009b2J', '\u0007', '\r', '\u202e', '\u2028', '\u{e0001}', '\u007f', '\0'];

test('what came from elsewhere is written with question marks in place of what a terminal would act on', () => {
	for (const text of HOSTILE) assert.match(printable(`a${text}b`), /^a\?(?:\[?2J)?b$/, JSON.stringify(text));
	assert.equal(printable('gpu 7 显卡 é'), 'gpu 7 显卡 é');
	assert.equal(failureLine(new Error('the hub refused: \u001b]0;title\u0007')), 'the hub refused: ?]0;title?');
});

test('JSON for a terminal means the same, and holds nothing that it acts on', () => {
	const value = { texts: HOSTILE, plain: '显卡', n: 1 };
	for (const space of [0, 2]) {
		const text = printableJson(value, space);
		assert.deepEqual(JSON.parse(text), value);
		assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{C}\p{Zl}\p{Zp}]/u);
		assert.ok(text.includes('显卡'));
	}
});

test('a line is cut to the columns that there are, and says so', () => {
	assert.equal(fit('abc', 3), 'abc');
	assert.equal(fit('abcd', 3), 'ab…');
	assert.equal(fit('显卡显卡', 5), '显卡…');
	assert.equal(fit('显卡显卡', 6), '显卡…');
	assert.equal(fit('e\u0301e\u0301', 2), 'e\u0301e\u0301');
});

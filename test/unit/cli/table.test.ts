/** Tables: columns for eyes and for programs, and texts that would break them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortTime } from '../../../src/cli/status.ts';
import { writeTable } from '../../../src/cli/table.ts';

function table(isTTY: boolean, head: readonly string[], ...rows: readonly string[][]): string {
	let written = '';
	writeTable({ isTTY, write: (text) => (written += text) }, head, rows);
	return written;
}

test('on a terminal columns are aligned, numbers to the right, without spaces at the ends of lines', () => {
	assert.equal(
		table(true, ['NAME', 'USED', 'UP', 'LAST'], ['a', '1', '10m', 'x'], ['long name', '200', '9s', '']),
		['NAME       USED   UP  LAST', 'a             1  10m  x', 'long name   200   9s', ''].join('\n'),
	);
	assert.equal(table(true, ['A', 'B']), 'A  B\n');
});

test('East Asian characters take two columns, combining marks none', () => {
	assert.equal(
		table(true, ['NAME', 'X'], ['显卡一', 'a'], ['e\u0301', 'b'], ['plain', 'c']),
		['NAME    X', '显卡一  a', 'e\u0301       b', 'plain   c', ''].join('\n'),
	);
});

test('in a pipe there is a tab between columns, and nothing is padded', () => {
	assert.equal(table(false, ['A', 'B'], ['long name', '1'], ['x', '']), 'A\tB\nlong name\t1\nx\t\n');
});

test('what an agent says of itself neither moves the cursor nor splits a row', () => {
	for (const isTTY of [true, false]) {
		const written = table(isTTY, ['A', 'B'], ['a\u001b[2Jb\tc\nd\u202ee\u2028f', 'x']);
		assert.equal(written.split('\n').length, 3);
		assert.match(written, /\na\?\[2Jb\?c\?d\?e\?f[ \t]+x\n$/);
	}
});

test('a time has its two largest units', () => {
	const times: [number, string][] = [
		[0, '0s'],
		[999, '0s'],
		[45_999, '45s'],
		[60_000, '1m'],
		[125_000, '2m5s'],
		[3_600_000, '1h'],
		[3_605_000, '1h'],
		[10_920_000, '3h2m'],
		[4 * 86_400_000 + 3 * 3_600_000 + 59_000, '4d3h'],
		[86_400_000 + 60_000, '1d'],
	];
	for (const [ms, text] of times) assert.equal(shortTime(ms), text, String(ms));
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The titles in a test file; what is put into one is any text. */
function titles(source: string): RegExp[] {
	return [...source.matchAll(/\btest\(\s*(['`])((?:\\.|(?!\1).)*)\1/gs)].map(([, , title = '']) => {
		const parts = title.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
		return new RegExp(`^${parts.join('.+')}$`);
	});
}

function testFiles(): Map<string, string> {
	const names = readdirSync(`${ROOT}test`, { recursive: true, encoding: 'utf8' }).filter((name) =>
		name.endsWith('.test.ts'),
	);
	return new Map(names.map((name) => [name.replace(/^.*\/|\.test\.ts$/g, ''), `${ROOT}test/${name}`]));
}

test('every row of the failures that are documented names a test that exists', () => {
	const files = testFiles();
	const rows = readFileSync(`${ROOT}docs/failures.md`, 'utf8')
		.split('\n')
		.filter((line) => line.startsWith('| ') && !line.startsWith('| fault |'));
	assert.ok(rows.length > 20, `${rows.length} rows`);
	for (const row of rows) {
		const cells = row.split(' | ');
		assert.equal(cells.length, 5, row);
		const [, file = '', title = ''] = /^`([\w-]+)`: (.+) \|$/.exec(cells[4] ?? '') ?? [];
		const path = files.get(file);
		assert.ok(path !== undefined, `there is no test file ${file}: ${row}`);
		assert.ok(
			titles(readFileSync(path, 'utf8')).some((pattern) => pattern.test(title)),
			`${file} has no test "${title}"`,
		);
	}
});

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

/** By name, and by folder and name where a name is not enough. */
function testFiles(): Map<string, string> {
	const names = readdirSync(`${ROOT}test`, { recursive: true, encoding: 'utf8' }).filter((name) =>
		name.endsWith('.test.ts'),
	);
	return new Map(
		names.flatMap((name) => {
			const parts = name.replace(/\.test\.ts$/, '').split('/');
			return [1, 2].map((last) => [parts.slice(-last).join('/'), `${ROOT}test/${name}`] as const);
		}),
	);
}

/** The last cells of tables whose last column is called `test`. */
function testCells(page: string): string[] {
	const cells: string[] = [];
	let named = false;
	for (const line of readFileSync(`${ROOT}docs/${page}`, 'utf8').split('\n')) {
		const row = line.startsWith('| ') ? line.slice(2, -2).split(' | ') : [];
		if (row.length === 0) named = line.startsWith('|---') && named;
		else if (row.at(-1) === 'test') named = true;
		else if (named) cells.push(row.at(-1) ?? '');
	}
	return cells;
}

for (const [page, least] of [
	['failures.md', 20],
	['security.md', 15],
] as const) {
	test(`every test that ${page} names exists`, () => {
		const files = testFiles();
		const cells = testCells(page);
		assert.ok(cells.length > least, `${cells.length} rows`);
		for (const cell of cells) {
			const [, file = '', title = ''] = /^`([\w/-]+)`: (.+)$/.exec(cell) ?? [];
			const path = files.get(file);
			assert.ok(path !== undefined, `there is no test file ${file}: ${cell}`);
			assert.ok(
				titles(readFileSync(path, 'utf8')).some((pattern) => pattern.test(title)),
				`${file} has no test "${title}"`,
			);
		}
	});
}

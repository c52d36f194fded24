/** The page about metrics, the dashboard and the alert rules against the metrics that there are. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ACCESS_LOG_FIELDS } from '../../../src/config/access-log.ts';
import { ALL_FAMILIES, tableRow } from '../../helpers/metric-families.ts';

const read = (file: string) => readFile(new URL(`../../../docs/${file}`, import.meta.url), 'utf8');

/** Names of series, as a query has them, and the labels of each. */
const SERIES = new Map<string, ReadonlySet<string>>([['up', new Set()]]);
for (const family of ALL_FAMILIES) {
	if (family.type !== 'histogram') SERIES.set(family.name, new Set(family.labels));
	else
		for (const end of ['bucket', 'sum', 'count'])
			SERIES.set(`${family.name}_${end}`, new Set(['le', ...family.labels]));
}
/** What Prometheus adds to every series. */
const OF_TARGETS = new Set(['job', 'instance']);

/** Asserts that whatever a query selects, or groups by, is there. */
function assertKnown(query: string): void {
	let names = 0;
	const grouped = [...query.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
	for (const [, name = '', selector = ''] of query.matchAll(/\b((?:slime|process|nodejs)_\w+|up\b)(?:\{([^}]*)\})?/g)) {
		names++;
		const labels = SERIES.get(name);
		assert.ok(labels !== undefined, `${name} does not exist: ${query}`);
		const selected = [...selector.matchAll(/(\w+)(?:=|!=|=~|!~)"/g)].map(([, label = '']) => label);
		for (const label of [...grouped, ...selected]) {
			assert.ok(labels.has(label) || OF_TARGETS.has(label), `${name} has no label ${label}: ${query}`);
		}
	}
	assert.ok(names > 0, `asks for nothing: ${query}`);
}

test('the page has a row for every metric, with its type, labels, unit and meaning, and no other', async () => {
	const page = await read('observability.md');
	const rows = page.split('\n').filter((line) => /^\| `(?:slime|process|nodejs)_/.test(line));
	assert.deepEqual(rows, ALL_FAMILIES.map(tableRow));
});

test('the page has a row for every field of the access log, in their order', async () => {
	const [, section = ''] = (await read('observability.md')).split('\n## Access log\n');
	const rows = (section.split('\n## ', 1)[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
	const fields = rows.flatMap((row) =>
		[...(row.split(' | ', 1)[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
	);
	assert.deepEqual(fields, ACCESS_LOG_FIELDS);
});

test('every metric that the dashboard asks for exists, with the labels that it groups by and shows', async () => {
	const { panels } = JSON.parse(await read('observability/dashboard.json'));
	const targets: { expr: string; legendFormat: string }[] = panels.flatMap(
		(panel: { targets?: { expr: string; legendFormat: string }[] }) => panel.targets ?? [],
	);
	assert.ok(targets.length > 20);
	for (const { expr, legendFormat } of targets) {
		assertKnown(expr);
		const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/, */);
		const name = /(?:slime|process|nodejs)_\w+/.exec(expr)?.[0] ?? '';
		const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
		for (const label of shown) {
			const has = grouped?.includes(label) ?? (SERIES.get(name)?.has(label) || OF_TARGETS.has(label));
			assert.ok(has, `${legendFormat}: ${expr} leaves no ${label}`);
		}
	}
});

test('every metric that the alert rules ask for exists, with the labels that they select and group by', async () => {
	const { groups } = parse(await read('observability/alerts.yaml'));
	const rules: { expr: string }[] = groups.flatMap((group: { rules: { expr: string }[] }) => group.rules);
	assert.ok(rules.length > 5);
	for (const { expr } of rules) assertKnown(expr);
});

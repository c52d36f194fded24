/** The YAML file alone: places of values, and texts that are wrong or hostile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, Mistakes } from '../../../src/config/mistakes.ts';
import { readYaml } from '../../../src/config/yaml-file.ts';
import { folder } from '../../helpers/configuring.ts';

function mistakesIn(yaml: string): readonly string[] {
	const mistakes = new Mistakes();
	readYaml(yaml, 'f', mistakes);
	try {
		mistakes.raise();
		return [];
	} catch (error) {
		assert.ok(error instanceof ConfigError);
		return error.mistakes;
	}
}

test('each value keeps its place, and a list the place of each item', () => {
	const mistakes = new Mistakes();
	const { entries } = readYaml(
		'agent:\n  hub: [a, "b"]\n  upstream:\n    - c\n    - d\n  numWorker:   7\n',
		'f',
		mistakes,
	);
	mistakes.raise();
	const hub = entries.get('agent.hub');
	assert.deepEqual(hub?.value, ['a', 'b']);
	assert.deepEqual(
		hub?.items?.map(({ where }) => where),
		['f:2:9', 'f:2:12'],
	);
	assert.deepEqual(
		entries.get('agent.upstream')?.items?.map(({ where }) => where),
		['f:4:7', 'f:5:7'],
	);
	assert.equal(entries.get('agent.numWorker')?.value, '7');
	assert.equal(entries.get('agent.numWorker')?.origin.where, 'f:6:16');
});

test('an unknown key is shown at the key, with what was meant or with what there is', () => {
	assert.deepEqual(mistakesIn('hub:\n  port: 1\n  adminprt: 2\n'), [
		'f:3:3: unknown key hub.adminprt; did you mean adminPort?',
	]);
	assert.deepEqual(mistakesIn('hubs:\n  port: 1\n'), ['f:1:1: unknown key hubs; did you mean hub?']);
	assert.deepEqual(mistakesIn('hub: {heartbeat: {every: 1s}}'), [
		'f:1:19: unknown key hub.heartbeat.every; there are interval, timeout',
	]);
	assert.match(mistakesIn('hub: {__proto__: 1, constructor: 2}').join(), /__proto__.*constructor/s);
});

test('sections and values are not taken for each other', () => {
	assert.deepEqual(mistakesIn('hub: 5'), ['f:1:6: hub: is a section: write keys with values under it']);
	assert.deepEqual(mistakesIn('- hub'), ['f:1:1: the configuration: is a section: write keys with values under it']);
	assert.deepEqual(mistakesIn('hub:\n  port: {a: 1}'), ['f:2:9: hub.port: takes a value, not a section']);
	assert.deepEqual(mistakesIn('agent:\n  hub:\n    - [a]'), ['f:3:7: agent.hub: an item of the list is not a text']);
});

test('a key without a value is a mistake, a section without keys is none', () => {
	const missing = 'has no value: give it one or take the line out';
	assert.deepEqual(mistakesIn('hub:\n  appPassword:\n  secret: ~\n  host: null\n'), [
		`f:2:3: hub.appPassword: ${missing}`,
		`f:3:3: hub.secret: ${missing}`,
		`f:4:3: hub.host: ${missing}`,
	]);
	for (const yaml of ['', '\n', '# only words', 'hub:\n', 'hub: ~\nagent: {}\n', '---\nhub:\n...\n']) {
		assert.deepEqual(mistakesIn(yaml), [], yaml);
	}
});

test('a key that is given twice is a mistake at the second', () => {
	assert.deepEqual(mistakesIn('hub:\n  port: 1\n  host: a\n  port: 2\n'), [
		'f:4:3: hub.port is given twice, first on line 2',
	]);
	assert.deepEqual(mistakesIn('hub: {}\nhub: {}\n'), ['f:2:1: hub is given twice, first on line 1']);
});

test('text that is not YAML is shown where it stops being it, once', () => {
	const broken: [string, RegExp][] = [
		['hub:\n  secret: "abc\n', /^f:\d:\d+: Missing closing "quote$/],
		['hub:\n\tport: 1\n', /^f:2:1: Tabs are not allowed as indentation$/],
		['hub: [1, 2\n', /^f:2:1: Flow sequence/],
		['hub: {}\n---\nhub: {}\n', /^f:2:1: a second document begins here; write one$/],
		['hub: {secret: ${SECRET}, port: 1}\nlog: {}\n', /^f:1:16: put \$\{ \} in quotes within \[ \] and \{ \}$/],
		['hub: !env SECRET\n', /^f:1:6: tags are not served here/],
		['hub:\n  port: 1\n  secret:abc\n', /^f:3:3: /],
		['? [a]\n: b\n', /^f:1:3: /],
	];
	for (const [yaml, line] of broken) {
		const lines = mistakesIn(yaml);
		assert.match(lines[0] ?? '', line, yaml);
		assert.equal(lines.length, 1, yaml);
	}
});

test('a text that runs on into the next line is taken for a missing space', () => {
	assert.match(mistakesIn('hub:\n  host: a\n    port:1\n').join(), /^f:2:9: hub\.host: goes on in the next line/);
});

test('anchors and aliases can be used', () => {
	const mistakes = new Mistakes();
	const { entries } = readYaml('hub:\n  heartbeat: &h {interval: 1s}\nagent:\n  heartbeat: *h\n', 'f', mistakes);
	mistakes.raise();
	assert.equal(entries.get('agent.heartbeat.interval')?.value, '1s');
});

test('aliases cannot be used to make much out of little', () => {
	const list = (of: string) => `[${Array.from({ length: 9 }, () => of).join(', ')}]`;
	const bomb = `agent:\n  hub: &a ${list('x')}\n  upstream: &b ${list('*a')}\n  token: &c ${list('*b')}\n`;
	assert.equal(mistakesIn(bomb).length, 2);
	const many = `agent:\n  agentID: &a x\n  hub: [${Array.from({ length: 101 }, () => '*a').join(', ')}]\n`;
	assert.match(mistakesIn(many).join(), /more than 100 aliases/);
	assert.equal(mistakesIn('hub: &h\n  queue: *h\n').length, 1);
});

test('a text nested deeper than any configuration is refused, not followed', () => {
	for (const [opening, times] of [
		['[', 20_000],
		['{a: ', 5_000],
		['- ', 20_000],
		['? ', 20_000],
	] as const) {
		const lines = mistakesIn(opening.repeat(times));
		assert.equal(lines.length, 1);
		assert.match(lines[0] ?? '', /more than 64 levels deep/);
	}
});

test('a file of more than a MiB, and one that is no text, are refused', async (t) => {
	const { hub, mistakes } = await folder(t);
	assert.deepEqual(await mistakes(hub({ yaml: `#${'x'.repeat(1024 * 1024)}` })), [
		'--config: cannot read slime.yaml: it is larger than 1024 KiB',
	]);
	assert.match((await mistakes(hub({ yaml: Buffer.from('hub:\xff', 'latin1') }))).join(), /it is not UTF-8 text/);
});

test('a byte order mark and Windows line ends do not matter', () => {
	assert.deepEqual(mistakesIn('hub:\r\n  port: 1\r\n  prot: 1\r\n'), [
		'f:3:3: unknown key hub.prot; did you mean port?',
	]);
});

/** The list of applications' keys in a file: what is read, and what is said of mistakes in it. */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder } from '../../helpers/configuring.ts';

const flags = { 'hub.secret': 'a secret of more than 16' };

test('each key has a name, its text or a file with it, and limits', async (t) => {
	const { hub } = await folder(t);
	const yaml = `
hub:
  keys:
    - name: team-a
      keyFile: team-a.key
      scopes: [chat, eu]
      priority: 3
      concurrent: 4
      rate: 600/1h
    - name: team-b
      key: \${TEAM_B}
      scopes: chat
`;
	const env = { TEAM_B: 'the-key-of-team-b' };
	const { settings, warnings } = await hub({ flags, yaml, env, files: { 'team-a.key': 'the-key-of-team-a\n' } });
	assert.deepEqual(settings.keys, [
		{
			name: 'team-a',
			key: 'the-key-of-team-a',
			scopes: ['chat', 'eu'],
			priority: 3,
			concurrent: 4,
			rate: { requests: 600, period: 3_600_000 },
		},
		{ name: 'team-b', key: 'the-key-of-team-b', scopes: ['chat'], priority: 0, concurrent: 0 },
	]);
	assert.deepEqual(warnings, []);
});

test('a rate is a number and a time', async (t) => {
	const { hub, mistakes } = await folder(t);
	const read = async (rate: string) => {
		const { settings } = await hub({ flags, yaml: `hub: {keys: [{name: a, key: ${'k'.repeat(20)}, rate: ${rate}}]}` });
		return settings.keys?.[0]?.rate;
	};
	assert.deepEqual(await read('10/s'), { requests: 10, period: 1000 });
	assert.deepEqual(await read('1/500ms'), { requests: 1, period: 500 });
	assert.deepEqual(await read('5/10'), { requests: 5, period: 10_000 });
	assert.deepEqual(await read('90/1h30m'), { requests: 90, period: 5_400_000 });
	for (const wrong of ['10', '0/s', '10/0s', '-1/s', '1.5/s', '10/', '10/soon', '/s', '10 / s', '10/s/s']) {
		assert.deepEqual(await mistakes(read(wrong)), [
			`slime.yaml:1:57: hub.keys[0].rate: "${wrong}" is not a rate: write a number and a time, such as 10/s, 600/1h or 5/10s`,
		]);
	}
});

test('every mistake in the list is said where it is, and no key is in any of it', async (t) => {
	const { hub, mistakes } = await folder(t);
	const yaml = `hub:
  keys:
    - name: team a
      key: 1secret-one
      keyFile: one.key
    - key: 2secret-two
      scope: chat
    - name: three
      priority: 8
    - {}
    - name: five
      keyFile: missing.key
      scopes: [chat, "no scope"]
      rate: fast
`;
	const found = await mistakes(hub({ flags, yaml, files: { 'one.key': '3secret-file' } }));
	assert.deepEqual(found, [
		'slime.yaml:3:13: hub.keys[0].name: "team a" is not a name: write 1 to 64 of A-Z a-z 0-9 . _ -',
		'slime.yaml:4:12: hub.keys[0].key: slime.yaml:5:16 says it as well; keep one',
		'slime.yaml:6:7: hub.keys[1]: an API key needs a name: write name',
		'slime.yaml:7:7: unknown key hub.keys[1].scope; did you mean scopes?',
		'slime.yaml:8:7: hub.keys[2]: an API key needs the key itself: write keyFile, or key',
		'slime.yaml:9:17: hub.keys[2].priority: "8" is not a number in range: write a whole number from 0 to 7',
		'slime.yaml:10:7: hub.keys[3]: an API key needs a name: write name',
		'slime.yaml:10:7: hub.keys[3]: an API key needs the key itself: write keyFile, or key',
		'slime.yaml:12:16: hub.keys[4].keyFile: cannot read missing.key: there is no such file',
		'slime.yaml:13:22: hub.keys[4].scopes: "no scope" is not a scope: write 1 to 64 of A-Z a-z 0-9 . _ : -',
		'slime.yaml:14:13: hub.keys[4].rate: "fast" is not a rate: write a number and a time, such as 10/s, 600/1h or 5/10s',
	]);
	assert.ok(!/secret-/.test(found.join()), found.join());
});

test('two keys are not the same, in name or in text, and none is the app password', async (t) => {
	const { hub, mistakes } = await folder(t);
	const twice = async (first: string, second: string) =>
		mistakes(
			hub({
				flags: { ...flags, 'hub.appPassword': 'the-very-app-password' },
				yaml: `hub:\n  keys:\n    - {name: a, ${first}}\n    - {${second}}\n`,
				files: { 'a.key': 'a-rather-long-key' },
			}),
		);
	const rest = 'key: another-long-key';
	assert.deepEqual(await twice('key: a-rather-long-key', `name: a, ${rest}`), [
		'slime.yaml:4:14: hub.keys[1].name: a is there already',
	]);
	assert.deepEqual(await twice('keyFile: a.key', 'name: b, key: a-rather-long-key'), [
		'slime.yaml:4:22: hub.keys[1].key: is the same as that of a',
	]);
	assert.deepEqual(await twice('key: the-very-app-password', `name: b, ${rest}`), [
		'slime.yaml:3:22: hub.keys[0].key: is the same as the app password',
	]);
});

test('a key that can be guessed or read by others is warned of, as other secrets are', async (t) => {
	const { hub, path } = await folder(t);
	const yaml = 'hub: {keys: [{name: a, key: short}, {name: b, keyFile: b.key}]}';
	await hub({ flags, yaml, files: { 'b.key': 'a-rather-long-key' } });
	await chmod(join(path, 'b.key'), 0o644);
	await chmod(join(path, 'slime.yaml'), 0o600);
	await chmod(path, 0o755);
	const { warnings } = await hub({ flags, yaml });
	const told = warnings.map((line) => line.replaceAll(`${path}/`, ''));
	assert.deepEqual(told.sort(), [
		'slime.yaml:1:29: hub.keys[0].key has fewer than 16 characters: it can be guessed; make a longer one, for instance with openssl rand -hex 32',
		'slime.yaml:1:56: hub.keys[1].keyFile: every user of this machine can read b.key; chmod o= it',
	]);
});

test('what is in effect is shown key by key, without the keys themselves', async (t) => {
	const { hub, path } = await folder(t);
	const yaml = 'hub: {keys: [{name: a, key: the-key-of-a, rate: 60/1m}, {name: b, keyFile: b.key, scopes: [x]}]}';
	const { effective } = await hub({ flags, yaml, files: { 'b.key': 'the-key-of-b' } });
	const lines = effective().map((line) => line.replaceAll(`${path}/`, ''));
	const from = lines.findIndex((line) => line.trim() === 'keys:');
	assert.deepEqual(lines.slice(from, from + 7), [
		'  keys:',
		'    - name: a # slime.yaml:1:21',
		'      key: "********" # slime.yaml:1:29',
		'      rate: 60/60s # slime.yaml:1:49',
		'    - name: b # slime.yaml:1:64',
		'      keyFile: b.key # slime.yaml:1:76',
		'      scopes: [x] # slime.yaml:1:91',
	]);
	assert.ok(!/the-key-of/.test(lines.join()), lines.join());
});

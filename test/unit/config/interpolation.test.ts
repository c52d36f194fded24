/** Variables in a file's values, and that nothing of what they hold is told. */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { expand } from '../../../src/config/interpolation.ts';
import { folder } from '../../helpers/configuring.ts';

const SECRET = 'a secret of more than 16';

function text(written: string, env: Readonly<Record<string, string>>): string | undefined {
	const expanded = expand(written, env);
	return expanded.fault === undefined ? expanded.text : undefined;
}

test('a variable stands for what it holds, and a default for one that is unset or empty', () => {
	const env = { A: 'one', EMPTY: '', MONEY: '$A ${A}', _x1: 'x' };
	assert.equal(text('${A}/b/${A}${_x1}', env), 'one/b/onex');
	assert.equal(text('${B:-two}', env), 'two');
	assert.equal(text('${B:-}', env), '');
	assert.equal(text('${A:-two}', env), 'one');
	assert.equal(text('${EMPTY:-two}', env), 'two');
	assert.equal(text('${EMPTY}', env), '');
	assert.equal(text('${MONEY}', env), '$A ${A}', 'what a variable holds is not looked through again');
	assert.equal(text('$A $ $$ }{ $', env), '$A $ $$ }{ $');
	assert.equal(text('$${A} ${A}', env), '${A} one');
	for (const broken of ['${', '${}', '${A', '${1A}', '${A:=x}', '${A-x}', '${ A }', '${NONE}']) {
		assert.equal(text(broken, env), undefined, broken);
	}
});

test('variables stand in values and in items of lists, also for several at once', async (t) => {
	const { hub, agent, path } = await folder(t);
	const files = { secret: `${SECRET}\n` };
	const env = { CREDENTIALS_DIRECTORY: path, PORT: '81', WAIT: '2m', NET: 'loopback' };
	const yaml =
		'hub:\n  secretFile: ${CREDENTIALS_DIRECTORY}/secret\n  port: ${PORT}\n  queue: {timeout: "${WAIT}"}\n  trustedProxies: ["${NET}", 10.0.0.0/8]\n';
	const { settings } = await hub({ yaml, env, files });
	assert.equal(settings.secret, SECRET);
	assert.equal(settings.port, 81);
	assert.equal(settings.queue.timeout, 120_000);
	assert.deepEqual(settings.trustedProxies, ['loopback', '10.0.0.0/8']);
	const hubs = await agent({ yaml: 'agent:\n  token: t\n  upstream: u:1\n  hub: ${HUBS}', env: { HUBS: 'a:1, b:2' } });
	assert.deepEqual(hubs.settings.hubs, ['a:1', 'b:2']);
});

test('a variable that is not set, and a brace that ends nowhere, are mistakes at their places', async (t) => {
	const { hub, mistakes } = await folder(t);
	const yaml = `hub:\n  secret: \${PASS\n  port: \${PORT}\n  trustedProxies:\n    - loopback\n    - \${NET}\nlog:\n  level: \${LEVEL}\n`;
	assert.deepEqual(await mistakes(hub({ yaml })), [
		'slime.yaml:2:11: hub.secret: ${ begins a variable: write ${NAME} or ${NAME:-default}, or $${ for these two characters',
		'slime.yaml:3:9: hub.port: the variable PORT is not set: set it, or write ${PORT:-default}',
		'slime.yaml:6:7: hub.trustedProxies: the variable NET is not set: set it, or write ${NET:-default}',
		'slime.yaml:8:10: log.level: the variable LEVEL is not set: set it, or write ${LEVEL:-default}',
	]);
});

test("another section's variables need not be set, nor those of values that a flag replaces", async (t) => {
	const { hub } = await folder(t);
	const yaml = 'hub:\n  port: ${PORT}\n  secretFile: ${DIR}/s\nagent:\n  token: ${TOKEN}\n';
	const flags = { 'hub.secret': SECRET, 'hub.port': '1' };
	assert.equal((await hub({ yaml, flags })).settings.port, 1);
});

test('nothing that a variable holds is told, whatever is wrong with it', async (t) => {
	const { hub, agent, mistakes } = await folder(t);
	const held = ['hunter2/..//hunter3', 'hunt"er4\\', `hunter5${'x'.repeat(300)}`, 'user:hunter6@host'];
	const hubKeys = ['port', 'host', 'secretFile', 'tlsCert', 'clientAuth', 'bindIdentity', 'drainTimeout', 'upgrades'];
	for (const value of held) {
		const env = { HELD: value };
		const hubYaml = `hub:\n  secret: ${SECRET}\n${hubKeys.map((key) => `  ${key}: \${HELD}\n`).join('')}`;
		const further = '  trustedProxies: ["${HELD}"]\n  queue: {maxBytes: "${HELD}"}\n  cors: {origins: ["${HELD}"]}\n';
		const agentKeys = ['hub', 'upstream', 'pin', 'agentID', 'serverName', 'ca', 'numWorker', 'transport'];
		const agentYaml = `agent:\n  token: t\n${agentKeys.map((key) => `  ${key}: \${HELD}\n`).join('')}`;
		const told = [
			...(await mistakes(hub({ yaml: hubYaml + further, env }))),
			...(await mistakes(agent({ yaml: agentYaml, env }))),
		];
		assert.ok(told.length >= 16, told.join('\n'));
		for (const line of told) assert.doesNotMatch(line, /hunt/, line);
	}
	const [line] = await mistakes(
		hub({ yaml: `hub: {secret: ${SECRET}, port: "a\${HELD}"}`, env: { HELD: 'secret word' } }),
	);
	assert.match(line ?? '', /hub\.port: "a\$\{HELD\}" is not a port: write/);
});

test('a file that is not there is called what it is called in the configuration', async (t) => {
	const { hub, mistakes } = await folder(t);
	const yaml = 'hub:\n  secretFile: ${CREDENTIALS_DIRECTORY}/secret\n';
	assert.deepEqual(await mistakes(hub({ yaml, env: { CREDENTIALS_DIRECTORY: '/nowhere' } })), [
		'slime.yaml:2:15: hub.secretFile: cannot read ${CREDENTIALS_DIRECTORY}/secret: there is no such file',
	]);
});

test('files with secrets that every user can read, or change, are warned about', async (t) => {
	if (process.platform === 'win32') return;
	const { hub, agent, path } = await folder(t);
	const files = { secret: SECRET, token: 'v3.local.x' };
	const yaml = 'hub:\n  secretFile: secret\nagent: {tokenFile: token, hub: h:1, upstream: u:1}\n';
	const warned = async (...[written]: Parameters<typeof hub>) =>
		(await hub(written)).warnings.map((line) => line.replaceAll(`${path}/`, ''));
	await hub({ yaml, files });
	const modes = async (mode: number) => {
		for (const name of ['secret', 'token', 'slime.yaml']) await chmod(join(path, name), mode);
	};
	await modes(0o644);
	assert.deepEqual(await warned({ yaml }), [], 'a folder that others cannot enter protects them');
	await chmod(path, 0o755);
	assert.deepEqual(await warned({ yaml }), [
		'slime.yaml:2:15: hub.secretFile: every user of this machine can read secret; chmod o= it',
	]);
	await modes(0o646);
	assert.deepEqual(await warned({ yaml }), [
		'slime.yaml:2:15: hub.secretFile: every user of this machine can change secret; chmod o= it',
		'slime.yaml: every user of this machine can change it; chmod o= it',
	]);
	await modes(0o640);
	assert.deepEqual(await warned({ yaml }), []);
	assert.equal((await agent({ yaml })).warnings.length, 0);
	await chmod(join(path, 'slime.yaml'), 0o604);
	assert.match(
		(await warned({ yaml: `hub: {secret: ${SECRET}}` }))[0] ?? '',
		/^slime\.yaml:1:15: hub\.secret: every user .* can read it/,
	);
	assert.deepEqual(await warned({ yaml: 'hub: {secret: "${S}"}', env: { S: SECRET } }), []);
	const proxied = 'agent: {token: "${T}", upstream: u:1, hub: ["http://user:pass@h:1"]}';
	const [line] = (await agent({ yaml: proxied, env: { T: 't' } })).warnings;
	assert.match(line ?? '', /agent\.hub: every user/);
	assert.doesNotMatch(line ?? '', /pass@/);
});

/** `hub check` and `agent check` as processes. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../helpers/cli.ts';

async function folder(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-check-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
	return path;
}

const CONFIG = `hub:
  secretFile: secret
  port: 0
agent:
  tokenFile: token
  hub: 127.0.0.1:8080
  upstream: [127.0.0.1:9000, unix:/run/model.sock]
`;
const FILES = { secret: 'a secret that is long enough\n', token: 'v3.local.x\n' };

test('a configuration that is right is ok, for the hub and for the agent', async (t) => {
	const cwd = await folder(t, { ...FILES, 'slime.yaml': CONFIG });
	for (const group of ['hub', 'agent']) {
		const result = await runCli([group, 'check', '--config', 'slime.yaml'], { cwd });
		assert.deepEqual(result, { code: 0, stdout: 'ok\n', stderr: '' });
	}
});

test('each mistake is one line with its file, line and column', async (t) => {
	const yaml = 'hub:\n  secretFile: missing\n  prot: 1\n  queue:\n    mode: often\nlog: {level: loud}\n';
	const cwd = await folder(t, { 'slime.yaml': yaml });
	const { code, stdout, stderr } = await runCli(['hub', 'check', '--config=slime.yaml'], { cwd });
	assert.equal(code, 2);
	assert.equal(stdout, '');
	assert.deepEqual(stderr.trimEnd().split('\n'), [
		`slime.yaml:2:15: hub.secretFile: cannot read ${join(cwd, 'missing')}: there is no such file`,
		'slime.yaml:3:3: unknown key hub.prot; did you mean port?',
		'slime.yaml:5:11: hub.queue.mode: "often" is not a choice: write header or always',
		'slime.yaml:6:14: log.level: "loud" is not a choice: write trace or debug or info or warn or error or silent',
	]);
});

test('running with a wrong configuration says the same and does not run', async (t) => {
	const cwd = await folder(t, {
		'slime.yaml': 'agent:\n  numWorker: 0\n  token: t\n  hub: h:1\n  upstream: nowhere\n',
	});
	const checked = await runCli(['agent', 'check', '--config', 'slime.yaml'], { cwd });
	const run = await runCli(['agent', 'run', '--config', 'slime.yaml'], { cwd });
	assert.deepEqual(run, checked);
	assert.match(run.stderr, /^slime\.yaml:2:14: .*\nslime\.yaml:5:13: .*\n$/);
});

test('flags, variables and the files at home and in SLIME_CONFIG all count', async (t) => {
	const cwd = await folder(t, { ...FILES, '.slime.yaml': CONFIG, 'other.yaml': 'agent:\n  hub: [1]\n' });
	assert.equal((await runCli(['agent', 'check'], { home: cwd })).stdout, 'ok\n');
	const other = { home: cwd, cwd, env: { SLIME_CONFIG: 'other.yaml' } };
	assert.match((await runCli(['agent', 'check'], other)).stderr, /^other\.yaml:2:9: agent\.hub/m);
	const env = { SLIME_HUB_PORT: 'x', SLIME_LOG_LEVEL: 'debug' };
	assert.match((await runCli(['hub', 'check'], { home: cwd, env })).stderr, /^SLIME_HUB_PORT: "x" is not a port/);
	assert.equal((await runCli(['hub', 'check', '--port', '80'], { home: cwd, env })).stdout, 'ok\n');
});

test('--print shows what is in effect instead, and mistakes where there are some', async (t) => {
	const cwd = await folder(t, { ...FILES, 'slime.yaml': CONFIG });
	const args = ['agent', 'check', '--config', 'slime.yaml', '--print'];
	const { code, stdout, stderr } = await runCli([...args, '--numWorker', '3'], { cwd });
	assert.deepEqual([code, stderr], [0, '']);
	assert.match(stdout, /^agent:\n {2}tokenFile: .*\/token # slime\.yaml:5:14\n/);
	assert.match(stdout, /\n {2}numWorker: 3 # --numWorker\n/);
	assert.doesNotMatch(stdout, /v3\.local/);
	const wrong = await runCli([...args, '--numWorker', '0'], { cwd });
	assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
	assert.match(wrong.stderr, /^--numWorker: /);
});

test('what is unwise but right is ok, with a warning', async () => {
	const result = await runCli(['hub', 'check', '--secret', 'short'], { env: { SLIME_HUB_PROT: '1' } });
	assert.equal(result.code, 0);
	assert.equal(result.stdout, 'ok\n');
	assert.match(
		result.stderr,
		/^warning: SLIME_HUB_PROT .*did you mean SLIME_HUB_PORT\?\nwarning: --secret: .*fewer than 16/,
	);
});

/** `hub init` as a process: the files it writes, and the commands it prints, which are run as they are printed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createTokens } from '../../src/auth/tokens.ts';
import { runCli } from '../helpers/cli.ts';
import { closedPort } from '../helpers/ports.ts';
import { shell } from '../helpers/shell.ts';
import { ask } from '../helpers/stack.ts';

const FILES = ['app-password', 'hub.yaml', 'secret', 'token'];

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-init-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

test('the commands that it prints start a hub and an agent that serve a request', async (t) => {
	const { dir, shell: sh } = await shell(t);
	const printed = await sh.run('slime hub init --dir "my hub\'s"');
	const at = join(dir, "my hub's");
	// In place of 8080 and 8000, which another test may have at the same time.
	const [hubPort, servicePort] = [await closedPort(), await closedPort()];
	const service = createServer((req, res) => res.end(`served ${req.url}`)).listen(servicePort, '127.0.0.1');
	await once(service, 'listening');
	t.after(() => service.close());
	const config = await readFile(join(at, 'hub.yaml'), 'utf8');
	await writeFile(join(at, 'hub.yaml'), config.replace('  #port: 8080', `  port: ${hubPort}`));
	const commands = [...printed.matchAll(/^ {2}((?:slime|curl) .*)$/gm)].map(([, command = '']) =>
		command.replaceAll(':8080', `:${hubPort}`).replaceAll(':8000', `:${servicePort}`),
	);
	assert.deepEqual(
		commands.map((command) => command.split(' -')[0]),
		['slime hub run', 'slime agent run', 'curl'],
	);
	const [runHub = '', runAgent = '', curl = ''] = commands;
	const hub = await sh.start(runHub, /"the hub listens"/);
	const agent = await sh.start(runAgent, /"connected"/);
	assert.match(await sh.run(`${curl} -s -H 'Slime-Block: 1'`), /200 OK.*served \/v1\/models$/s);
	assert.equal((await ask(hubPort, '/v1/models')).status, 401);

	const secrets = await Promise.all(
		['secret', 'app-password', 'token'].map((name) => readFile(join(at, name), 'utf8')),
	);
	for (const secret of secrets) {
		for (const text of [printed, hub.output(), agent.output()]) assert.ok(!text.includes(secret.trim()));
	}
});

test('every file is for its owner alone, and no two are alike', async (t) => {
	const dir = await folder(t);
	const contents = new Set<string>();
	for (const name of ['a', 'b']) {
		const { code, stderr } = await runCli(['hub', 'init', '--dir', join(dir, name, 'below')]);
		assert.equal(code, 0, stderr);
		const at = join(dir, name, 'below');
		assert.deepEqual((await readdir(at)).sort(), FILES);
		for (const file of FILES) assert.equal((await stat(join(at, file))).mode & 0o777, 0o600, file);
		for (const file of ['secret', 'app-password', 'token']) contents.add(await readFile(join(at, file), 'utf8'));
		const [secret, token] = await Promise.all(['secret', 'token'].map((file) => readFile(join(at, file), 'utf8')));
		assert.ok((secret?.trim().length ?? 0) >= 43);
		const claims = await (await createTokens({ secret: secret?.trim() ?? '' })).verify(token?.trim() ?? '');
		assert.match(claims.name, /^[a-z]+-[a-z]+-\d{4}$/);
		const check = await runCli(['hub', 'check', '--config', join(at, 'hub.yaml')]);
		assert.deepEqual(check, { code: 0, stdout: 'ok\n', stderr: '' });
	}
	assert.equal(contents.size, 6);
});

test('what is there already is neither replaced nor added to', async (t) => {
	for (const name of FILES) {
		const dir = await folder(t);
		await writeFile(join(dir, name), 'mine');
		const { code, stdout, stderr } = await runCli(['hub', 'init'], { cwd: dir });
		assert.equal(code, 2);
		assert.equal(stdout, '');
		assert.match(stderr, new RegExp(`^slime: ${name}: there already, so nothing was written: [^\\n]+\\n$`));
		assert.deepEqual(await readdir(dir), [name]);
		assert.equal(await readFile(join(dir, name), 'utf8'), 'mine');
	}
	const dir = await folder(t);
	await symlink(join(dir, 'elsewhere'), join(dir, 'secret'));
	assert.equal((await runCli(['hub', 'init'], { cwd: dir })).code, 2);
	assert.deepEqual(await readdir(dir), ['secret']);
});

test('a folder that cannot be made is one line on stderr, and code 1', async (t) => {
	const dir = await folder(t);
	await writeFile(join(dir, 'file'), '');
	const { code, stderr } = await runCli(['hub', 'init', '--dir', join(dir, 'file')]);
	assert.equal(code, 1);
	assert.match(stderr, /^slime: [^\n]+\n$/);
});

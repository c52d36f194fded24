import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { agentIdFor, loadAgentId, stateDirectory } from '../../../src/agent/identity.ts';
import { UsageError } from '../../../src/shared/errors.ts';

let dir: string;
before(async () => {
	dir = await mkdtemp(join(tmpdir(), 'slime-identity-'));
});
after(() => rm(dir, { recursive: true }));

test('the state folder is the one named, then that of the service, of the user, of the home folder', () => {
	const env = { STATE_DIRECTORY: '/var/lib/slime:/var/lib/other', XDG_STATE_HOME: '/xdg', HOME: '/home/me' };
	assert.equal(stateDirectory('/given', env), '/given');
	assert.equal(stateDirectory(undefined, env), '/var/lib/slime');
	assert.equal(stateDirectory(undefined, { ...env, STATE_DIRECTORY: '' }), join('/xdg', 'slime'));
	const home = join('/home/me', '.local', 'state', 'slime');
	assert.equal(stateDirectory(undefined, { HOME: '/home/me' }), home);
	assert.equal(stateDirectory(undefined, { HOME: '/home/me', XDG_STATE_HOME: 'relative' }), home);
	assert.equal(stateDirectory(undefined, {}), join(homedir(), '.local', 'state', 'slime'));
});

test('an id is made once, kept for the next start, and readable by its owner only', async () => {
	const stateDir = join(dir, 'new', 'folder');
	const first = await loadAgentId({ stateDir });
	assert.match(first.id, /^[a-z0-9]{12,}$/);
	assert.equal(first.persistent, true);
	assert.deepEqual(await loadAgentId({ stateDir }), first);
	assert.deepEqual(await readdir(stateDir), ['agent-id']);
	assert.equal(await readFile(join(stateDir, 'agent-id'), 'utf8'), `${first.id}\n`);
	if (process.platform !== 'win32') {
		assert.equal((await stat(join(stateDir, 'agent-id'))).mode & 0o777, 0o600);
		assert.equal((await stat(stateDir)).mode & 0o777, 0o700);
	}
});

test('agents that start at the same time agree on one id', async () => {
	const stateDir = join(dir, 'race');
	const stored = await Promise.all(Array.from({ length: 20 }, () => loadAgentId({ stateDir })));
	assert.equal(new Set(stored.map(({ id }) => id)).size, 1);
	assert.ok(stored.every(({ persistent }) => persistent));
	assert.deepEqual(await readdir(stateDir), ['agent-id']);
});

test('an id that is given is taken as it is and nothing is written', async () => {
	const stateDir = join(dir, 'unused');
	assert.deepEqual(await loadAgentId({ agentID: 'GPU_7.lab-2', stateDir }), { id: 'GPU_7.lab-2', persistent: true });
	await assert.rejects(stat(stateDir), { code: 'ENOENT' });
	for (const agentID of ['', 'a b', 'ä', 'x'.repeat(65), 'a/b', 'a\n']) {
		await assert.rejects(loadAgentId({ agentID, stateDir }), UsageError, agentID);
	}
});

test('where nothing can be written the agent still gets an id, and is told why it will not last', async () => {
	const file = join(dir, 'a-file');
	await writeFile(file, '');
	const stored = await loadAgentId({ stateDir: join(file, 'below') });
	assert.match(stored.id, /^[a-z0-9]{12,}$/);
	assert.ok(!stored.persistent && /ENOTDIR/.test(stored.reason));
});

test('a kept id that is none is an error which says what to do', async () => {
	for (const [name, content] of Object.entries({ empty: '', words: 'two words\n', long: 'x'.repeat(65) })) {
		const stateDir = join(dir, name);
		await mkdir(stateDir);
		await writeFile(join(stateDir, 'agent-id'), content);
		await assert.rejects(
			loadAgentId({ stateDir }),
			(error) =>
				error instanceof UsageError && error.message.includes(`${join(stateDir, 'agent-id')}: holds no agent id`),
		);
	}
});

test('later agents of one command get a number, and the id stays within 64 characters', () => {
	assert.equal(agentIdFor('gpu', 0), 'gpu');
	assert.equal(agentIdFor('gpu', 1), 'gpu-2');
	assert.equal(agentIdFor('gpu', 9), 'gpu-10');
	assert.equal(agentIdFor('x'.repeat(64), 1), `${'x'.repeat(62)}-2`);
});

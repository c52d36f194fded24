/** `hub register` as a process. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTokens } from '../../src/auth/tokens.ts';
import { runCli } from '../helpers/cli.ts';

const SECRET = '0123';

async function claimsOf(stdout: string, secret = SECRET) {
	assert.match(stdout, /^v3\.local\.[\w-]+\.[\w-]+\n$/);
	return (await createTokens({ secret })).verify(stdout.trimEnd());
}

test('registering prints a token and nothing else, of a readable random name, without an end', async () => {
	const { code, stdout, stderr } = await runCli(['hub', 'register', '--secret', SECRET]);
	assert.equal(code, 0);
	assert.equal(stderr, '');
	const claims = await claimsOf(stdout);
	assert.match(claims.name, /^[a-z]+-[a-z]+-\d{4}$/);
	assert.equal(claims.expiresAt, undefined);
	assert.deepEqual(claims.scopes, []);
	assert.deepEqual(claims.scopePaths, []);
});

test('name, age, scopes and paths go into the token', async () => {
	const flags = [
		'--name',
		'gpu 7',
		'--age=1h2m3s',
		'--scopes',
		'a, b',
		'--scopes=c',
		'--scope-paths',
		'/v1/chat,/v1/images/*',
	];
	const { stdout } = await runCli(['hub', 'register', `--secret=${SECRET}`, ...flags]);
	const { name, issuedAt, expiresAt, scopes, scopePaths } = await claimsOf(stdout);
	assert.equal(name, 'gpu 7');
	assert.equal(Number(expiresAt) - Number(issuedAt), 3_723_000);
	assert.deepEqual(scopes, ['a', 'b', 'c']);
	assert.deepEqual(scopePaths, ['/v1/chat', '/v1/images/*']);
});

test('the secret may come from a variable, a file, or a file that the configuration names', async (t) => {
	const folder = await mkdtemp(join(tmpdir(), 'slime-register-'));
	t.after(() => rm(folder, { recursive: true, force: true }));
	await writeFile(join(folder, 'secret'), 'of the file\n');
	await writeFile(join(folder, '.slime.yaml'), 'hub:\n  secretFile: secret\n  tlsCert: not-on-this-machine\n');
	const register = ['hub', 'register'];
	await claimsOf((await runCli(register, { env: { SLIME_HUB_SECRET: SECRET } })).stdout);
	const byFile = await runCli([...register, '--secret-file', 'secret'], { cwd: folder });
	await claimsOf(byFile.stdout, 'of the file');
	await claimsOf((await runCli(register, { home: folder })).stdout, 'of the file');
});

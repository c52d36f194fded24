/** What a hub says of a descriptor that it was passed and cannot listen on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CliResult, runCli } from '../helpers/cli.ts';
import { SECRET } from '../helpers/stack.ts';

function passed(...fds: readonly number[]): Promise<CliResult> {
	return runCli(['hub', 'run', '--adminPort', 'off'], {
		env: { SLIME_HUB_SECRET: SECRET },
		shell: `LISTEN_FDS=${fds.length} LISTEN_PID=$$ exec "$0" "$@"`,
		passed: fds,
	});
}

async function folder(context: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-passed-'));
	context.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

test('a descriptor that is no socket is a mistake of whoever passed it', async (t) => {
	const file = await open(join(await folder(t), 'file'), 'w');
	const { code, stderr } = await passed(file.fd);
	await file.close();
	assert.deepEqual({ code, stderr }, { code: 2, stderr: 'slime: file descriptor 3 is no socket to listen on\n' });
});

test('a Unix socket is one too, since applications and agents have addresses', async (t) => {
	const path = join(await folder(t), 'socket');
	const server = createServer().listen(path);
	await once(server, 'listening');
	const { code, stderr } = await passed(Reflect.get(Reflect.get(server, '_handle'), 'fd'));
	server.close();
	assert.equal(code, 2);
	assert.equal(stderr, 'slime: a Unix socket was passed: only sockets with an address and a port are served\n');
});

test('two sockets for the same are a mistake that says what to write', async (t) => {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const fd = Reflect.get(Reflect.get(server, '_handle'), 'fd');
	t.after(() => server.close());
	const { code, stderr } = await passed(fd, fd);
	assert.equal(code, 2);
	assert.match(stderr, /^slime: two sockets were passed for apps: write one ListenStream= a unit/);
});

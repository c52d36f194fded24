/** `hub run` and `agent run` as processes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, startCli } from '../helpers/cli.ts';
import { RestartableUpstream } from '../helpers/restartable-upstream.ts';
import { ask, stack, token, WAITS } from '../helpers/stack.ts';

const HUB = ['hub', 'run', '--secret', 'a secret that is long enough', '--host', '127.0.0.1', '--adminPort', 'off'];

test('a hub on any free port logs which one, answers there, and ends with 0', async () => {
	const { child, exit, output } = startCli([...HUB, '--port', '0']);
	const [, url = ''] = await output(/"url":"([^"]+)"/);
	const answer = await fetch(`${url}/v1/models`);
	assert.equal(answer.status, 503);
	assert.equal(answer.headers.get('slime-error'), 'no_agent');
	child.kill('SIGTERM');
	const { code, stdout, stderr } = await exit;
	assert.equal(code, 0, stdout);
	assert.equal(stderr, '');
	for (const line of stdout.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line).msg, 'string');
});

test('a port in use is one line that says so, and exit code 1', async (t) => {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => server.close());
	const address = server.address();
	const port = typeof address === 'object' ? address?.port : undefined;
	const { code, stderr } = await runCli([...HUB, '--port', String(port)]);
	assert.equal(code, 1);
	const advice = 'the port is in use; stop what uses it or choose another one';
	assert.equal(stderr, `slime: cannot listen on 127.0.0.1:${port}: ${advice}\n`);
});

test('an agent joins with the token that was registered, and serves', async (t) => {
	const home = await mkdtemp(join(tmpdir(), 'slime-run-'));
	t.after(() => rm(home, { recursive: true, force: true }));
	const hub = startCli([...HUB, '--port', '0']);
	t.after(() => hub.child.kill('SIGKILL'));
	const [, url = ''] = await hub.output(/"url":"([^"]+)"/);
	const { stdout } = await runCli(['hub', 'register', '--secret', 'a secret that is long enough', '--name', 'one']);
	await writeFile(join(home, 'token'), stdout);
	// Nobody is at the upstream's port, so that the answer can only be the agent's.
	const flags = ['--token-file', join(home, 'token'), '--hub', url, '--upstream', '127.0.0.1:1', '--agent-id', 'a-1'];
	const agent = startCli(['agent', 'run', ...flags, '--no-report-hardware'], { home });
	t.after(() => agent.child.kill('SIGKILL'));
	const answer = await fetch(`${url}/x`, { headers: { 'slime-block': '1' } });
	assert.equal(answer.status, 502);
	assert.equal(answer.headers.get('slime-error'), 'upstream_unreachable');
	agent.child.kill('SIGINT');
	assert.equal((await agent.exit).code, 0);
	hub.child.kill('SIGINT');
	assert.equal((await hub.exit).code, 0);
});

test('an agent with --waitForUpstream joins when its upstream takes connections', async (t) => {
	const service = await RestartableUpstream.open(t);
	await service.stop();
	const { hub, port } = await stack(t);
	const home = await mkdtemp(join(tmpdir(), 'slime-run-'));
	t.after(() => rm(home, { recursive: true, force: true }));
	await writeFile(join(home, 'token'), await token());
	const where = ['--tokenFile', join(home, 'token'), '--hub', hub.url, '--upstream', service.address];
	const agent = startCli(['agent', 'run', ...where, '--no-report-hardware', '--waitForUpstream'], { home });
	t.after(() => agent.child.kill('SIGKILL'));
	await agent.output(/the upstream is down: connection refused/);
	assert.equal(hub.agents, 0);
	await service.start();
	await agent.output(/"msg":"connected"/);
	assert.equal((await ask(port, '/', { headers: WAITS })).body, 'up');
	agent.child.kill('SIGTERM');
	assert.equal((await agent.exit).code, 0);
});

/** `hub revoke` as a process, beside a hub and an agent that are processes too. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CliProcess, runCli, startForTest as start } from '../helpers/cli.ts';
import { talkingUpstream } from '../helpers/event-stream.ts';
import { closedPort } from '../helpers/ports.ts';
import { listenOn } from '../helpers/stack.ts';

const SECRET = { SLIME_HUB_SECRET: 'a secret for tests only' };

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-revoke-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

interface Running {
	readonly hub: CliProcess;
	readonly url: string;
	readonly port: string;
	/** Of the admin listener. */
	readonly admin: string;
}

async function runHub(t: TestContext, stateDir: string, ...more: readonly string[]): Promise<Running> {
	const places = ['--host', '127.0.0.1', '--stateDir', stateDir];
	const ports = more.includes('--port') ? [] : ['--port', '0'];
	const hub = start(t, ['hub', 'run', ...places, ...ports, '--adminPort', '0', ...more], { env: SECRET });
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { url, port, adminPort } = JSON.parse(line);
	return { hub, url, port: `${port}`, admin: `${adminPort}` };
}

async function register(name: string): Promise<string> {
	return (await runCli(['hub', 'register', '--name', name], { env: SECRET })).stdout.trim();
}

function runAgent(t: TestContext, url: string, upstream: string, token: string): CliProcess {
	const args = ['agent', 'run', '--hub', url, '--upstream', upstream, '--agentID', 'gpu-1'];
	return start(t, args, { env: { SLIME_AGENT_TOKEN: token, SLIME_AGENT_REPORT_HARDWARE: 'false' } });
}

test('revoking a name cuts off its agent, which is told why, also after a restart of the hub', async (t) => {
	const { address } = await talkingUpstream(t);
	const stateDir = await folder(t);
	const first = await runHub(t, stateDir);
	const token = await register('gpu-1');
	const agent = runAgent(t, first.url, address, token);
	await first.hub.output(/"agent connected"/);

	const revoked = await runCli(['hub', 'revoke', '--name', 'gpu-1', '--adminPort', first.admin]);
	assert.deepEqual(revoked, { code: 0, stdout: 'revoked the tokens named gpu-1; 1 tunnel closed\n', stderr: '' });
	await first.hub.output(/"agent disconnected"/);
	await agent.output(/"level":"error".*"the token of this agent was revoked/);
	await agent.output(/"level":"error".*answered 401: The token was revoked; make another with slime hub register/);

	first.hub.child.kill('SIGKILL');
	await first.hub.exit;
	const second = await runHub(t, stateDir);
	runAgent(t, second.url, address, token);
	await second.hub.output(/"agent refused"/);
	assert.doesNotMatch(second.hub.stdout, /"agent connected"/);
	runAgent(t, second.url, address, await register('gpu-1'));
	await second.hub.output(/"agent connected"/);
	const list = await runCli(['hub', 'revoke', '--list', '--adminPort', second.admin]);
	assert.match(list.stdout, /^REVOKED AT\tTOKEN ID\tNAME\n20\d\d-\S+Z\t-\tgpu-1\n$/);
});

test('the id in the hub’s log is what revokes one token', async (t) => {
	const { address } = await talkingUpstream(t);
	const { hub, url, admin } = await runHub(t, await folder(t));
	runAgent(t, url, address, await register('gpu-1'));
	const [line] = await hub.output(/^\{.*"agent connected".*\}$/m);
	const { tokenId } = JSON.parse(line);
	const revoked = await runCli(['hub', 'revoke', '--token-id', tokenId, '--admin-port', admin]);
	assert.deepEqual(revoked, { code: 0, stdout: `revoked the token ${tokenId}; 1 tunnel closed\n`, stderr: '' });
});

test('without a hub nothing is confirmed, but with a state folder it is written for the next one', async (t) => {
	const { address } = await talkingUpstream(t);
	const stateDir = join(await folder(t), 'state');
	const token = await register('gpu-1');
	const adminPort = `${await closedPort()}`;
	const without = await runCli(['hub', 'revoke', '--name', 'gpu-1', '--adminPort', adminPort]);
	assert.equal(without.code, 1);
	assert.equal(without.stdout, '');
	assert.match(without.stderr, /^slime: no hub answers at 127\.0\.0\.1:\d+: .*--stateDir\n$/);

	const written = await runCli(['hub', 'revoke', '--name', 'gpu-1', '--adminPort', adminPort, '--stateDir', stateDir]);
	assert.equal(written.code, 0, written.stderr);
	assert.equal(written.stdout, `revoked the tokens named gpu-1 in ${stateDir}; no hub was running\n`);
	const { hub, url } = await runHub(t, stateDir);
	runAgent(t, url, address, token);
	await hub.output(/"agent refused".*|.*The token was revoked/);
	assert.doesNotMatch(hub.stdout, /"agent connected"/);
});

test('a hub without an admin listener learns of it from the state folder, and closes the tunnel', async (t) => {
	const { address } = await talkingUpstream(t);
	const stateDir = await folder(t);
	const args = ['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off', '--stateDir', stateDir];
	const hub = start(t, args, { env: SECRET });
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	runAgent(t, JSON.parse(line).url, address, await register('gpu-1'));
	await hub.output(/"agent connected"/);
	const given = ['--name', 'gpu-1', '--adminPort', 'off', '--stateDir', stateDir];
	assert.equal((await runCli(['hub', 'revoke', ...given])).code, 0);
	await hub.output(/"agent disconnected"/);
});

test('a hub that wants an admin token is given it, and refuses another', async (t) => {
	const dir = await folder(t);
	const file = join(dir, 'admin-token');
	await writeFile(file, 'the-admin-token-of-this-test\n');
	const { hub, admin } = await runHub(t, dir, '--adminTokenFile', file);
	const revoke = ['hub', 'revoke', '--name', 'a', '--adminPort', admin, '--stateDir', join(dir, 'not written')];
	const refused = await runCli(revoke);
	assert.equal(refused.code, 1);
	assert.match(
		refused.stderr,
		/^slime: the hub at \S+ refused: The admin token is missing or wrong: see --adminTokenFile/,
	);
	assert.equal((await runCli([...revoke, '--adminToken', 'wrong'])).code, 1);
	assert.equal((await runCli([...revoke, '--adminTokenFile', file])).code, 0);
	assert.doesNotMatch(hub.stdout, /of-this-test/);
	assert.match(await readFile(join(dir, 'revocations.json'), 'utf8'), /"name":"a"/);
	await assert.rejects(readFile(join(dir, 'not written', 'revocations.json')), { code: 'ENOENT' });
});

test('something else that answers there, even with 200, is no confirmation', async (t) => {
	for (const body of ['ok', '{}', '{"tunnels":"many"}', '{"error":{}}']) {
		const port = await listenOn(
			t,
			createServer((_req, res) => res.end(body)),
		);
		const { code, stdout, stderr } = await runCli(['hub', 'revoke', '--name', 'a', '--adminPort', `${port}`]);
		assert.equal(code, 1);
		assert.equal(stdout, '');
		assert.match(stderr, /^slime: .*(no admin listener of a hub|did not confirm it).*\n$/);
	}
});

test('what is to be revoked is said once, and in its form', async () => {
	const id = '0123456789abcdef01234567';
	for (const given of [[], ['--name', 'a', '--tokenId', id], ['--name', 'a', '--list']]) {
		const { code, stderr } = await runCli(['hub', 'revoke', ...given]);
		assert.equal(code, 2);
		assert.match(stderr, /^slime: give one of --name, --tokenId and --list; see slime hub revoke --help\n$/);
	}
	const { code, stderr } = await runCli(['hub', 'revoke', '--tokenId', 'gpu-1']);
	assert.equal(code, 2);
	assert.match(stderr, /^--tokenId: a token's id is 24 of 0-9 a-f/);
});

test('a damaged file of revocations keeps the hub from starting, in one line', async (t) => {
	const stateDir = await folder(t);
	await writeFile(join(stateDir, 'revocations.json'), '{');
	const args = ['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off', '--stateDir', stateDir];
	const { code, stderr } = await runCli(args, { env: SECRET });
	assert.equal(code, 2);
	assert.match(stderr, /^slime: \S+revocations\.json: the revocations are damaged, it is not JSON: [^\n]+\n$/);
});

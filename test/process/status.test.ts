/** `status` as a process: a hub that runs, none, and something else in its place. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { runCli } from '../helpers/cli.ts';
import { closedPort } from '../helpers/ports.ts';
import { ask, eventually, listenOn, stack, token, upstream } from '../helpers/stack.ts';

test('the status is two tables, and JSON when that is asked for', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t, [], { hub: { adminPort: 0 } });
	const labels = { gpu: 'A100', site: 'attic' };
	await join(service.address, { agentID: 'gpu-7', numWorker: 3, token: await token({ name: 'berlin' }), labels });
	const status = ['status', '--adminPort', `${hub.adminPort}`];
	const { code, stdout, stderr } = await runCli(status);
	assert.equal(code, 0, stderr);
	const [head, first, empty, agentHead, agent, ...rest] = stdout.split('\n').map((line) => line.split('\t'));
	assert.deepEqual(head, ['HUB', 'STATE', 'UP', 'AGENTS', 'SLOTS', 'USED', 'WAITING', 'QUEUE']);
	assert.deepEqual(first?.slice(3), ['1', '3', '0', '0', '1024']);
	assert.deepEqual(empty, ['']);
	const columns = [
		'AGENT',
		'TOKEN',
		'TOKEN ID',
		'ADDRESS',
		'VERSION',
		'STATE',
		'WORKERS',
		'USED',
		'UP',
		'RTT',
		'LABELS',
		'UPSTREAM',
	];
	assert.deepEqual(agentHead, columns);
	assert.deepEqual(agent?.slice(0, 2), ['gpu-7', 'berlin']);
	assert.deepEqual(agent?.slice(5, 8), ['ready', '3', '0']);
	assert.match(agent?.[9] ?? '', /^(?:\d+(?:\.\d)?ms|-)$/);
	assert.equal(agent?.[10], 'gpu=A100,site=attic');
	assert.deepEqual(rest, [['']]);

	const json = JSON.parse((await runCli([...status, '--json'])).stdout);
	assert.deepEqual(json.slots, { total: 3, used: 0, concurrent: 0 });
	assert.equal(json.agents[0].id, 'gpu-7');
});

test('the status says what is wrong with an upstream', async (t) => {
	const { hub, port, join, log } = await stack(t, [], { hub: { adminPort: 0 } });
	await join(`127.0.0.1:${await closedPort()}`, { agentID: 'gpu-8' });
	await ask(port);
	await eventually('the hub knows', () => log.has("the agent's upstream is down"));
	const { stdout } = await runCli(['status', '--adminPort', `${hub.adminPort}`]);
	assert.match(stdout, /^gpu-8\t.*\tdown: connection refused$/m);
	const json = JSON.parse((await runCli(['status', '--adminPort', `${hub.adminPort}`, '--json'])).stdout);
	const { age, ...upstreamStatus } = json.agents[0].upstream;
	assert.equal(typeof age, 'number');
	assert.deepEqual(upstreamStatus, { state: 'down', reason: 'refused', message: 'connection refused' });
});

test('without a hub the status is one line on stderr, and code 1', async (t) => {
	const none = await runCli(['status', '--adminPort', `${await closedPort()}`]);
	assert.equal(none.code, 1);
	assert.equal(none.stdout, '');
	assert.match(
		none.stderr,
		/^slime: no hub answers at 127\.0\.0\.1:\d+: is one running\? See --adminHost and --adminPort\n$/,
	);
	const off = await runCli(['status', '--adminPort', 'off']);
	assert.deepEqual([off.code, off.stderr], [1, 'slime: the admin listener is off: set --adminPort\n']);
	for (const body of ['ok', '{"agents":[]}', '[]']) {
		const port = await listenOn(
			t,
			createServer((_req, res) => res.end(body)),
		);
		const other = await runCli(['status', '--adminPort', `${port}`]);
		assert.equal(other.code, 1);
		assert.match(other.stderr, /^slime: (what answers at|the hub did not answer with its status)[^\n]+\n$/);
	}
});

test('a hub that wants an admin token shows nothing without it', async (t) => {
	const { hub } = await stack(t, [], { hub: { adminPort: 0, adminToken: 'the-token-of-this-test' } });
	const status = ['status', '--adminPort', `${hub.adminPort}`];
	const { code, stdout, stderr } = await runCli(status);
	assert.deepEqual([code, stdout], [1, '']);
	assert.match(stderr, /refused: The admin token is missing or wrong/);
	const env = { SLIME_HUB_ADMIN_TOKEN: 'the-token-of-this-test' };
	assert.equal((await runCli(status, { env })).code, 0);
});

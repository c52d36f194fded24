/** `agent drain`, `resume` and `disconnect` as processes, beside a hub of this one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from '../helpers/cli.ts';
import { closedPort } from '../helpers/ports.ts';
import { ask, assertError, eventually, stack, token, upstream } from '../helpers/stack.ts';

test('an agent is drained, resumed and disconnected by its id', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('ok'));
	const { hub, port, join } = await stack(t, [], { hub: { adminPort: 0 } });
	await join(service.address, { agentID: 'gpu-7', token: await token({ name: 'berlin' }) });
	const given = ['--agentID', 'gpu-7', '--adminPort', `${hub.adminPort}`];
	const said = (what: string) => ({ code: 0, stdout: `${what} the agent gpu-7 of the token berlin\n`, stderr: '' });
	assert.deepEqual(await runCli(['agent', 'drain', ...given]), said('drained'));
	assertError(await ask(port), 503, 'no_agent');
	assert.deepEqual(await runCli(['agent', 'resume', ...given]), said('resumed'));
	assert.equal((await ask(port)).body, 'ok');
	assert.deepEqual(await runCli(['agent', 'disconnect', ...given]), said('disconnected'));
	await eventually('it came back', () => hub.agents === 1);
});

test('an agent that is not there is code 1, and none that is named is code 2', async (t) => {
	const { hub } = await stack(t, [], { hub: { adminPort: 0 } });
	const admin = ['--adminPort', `${hub.adminPort}`];
	const absent = await runCli(['agent', 'drain', '--agentID', 'gpu-7', ...admin]);
	assert.equal(absent.code, 1);
	assert.match(absent.stderr, /^slime: the hub at \S+ refused: No agent of this id is connected\.\n$/);
	const unnamed = await runCli(['agent', 'disconnect', ...admin]);
	assert.equal(unnamed.code, 2);
	assert.equal(unnamed.stderr, 'slime: give --agentID, as slime status shows it; see slime agent disconnect --help\n');
	const none = await runCli(['agent', 'resume', '--agentID', 'gpu-7', '--adminPort', `${await closedPort()}`]);
	assert.deepEqual([none.code, none.stdout], [1, '']);
	assert.match(none.stderr, /^slime: no hub answers at /);
});

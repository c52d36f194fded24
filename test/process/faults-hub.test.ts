/** A hub as a process that is killed, drained, started again, out of file descriptors, and unable to write its log. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { FULL } from '../helpers/cli.ts';
import { allowDescriptors, descriptorsOf } from '../helpers/descriptors.ts';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { joined, startHub } from '../helpers/hub-process.ts';
import { restartHub } from '../helpers/hub-restart.ts';
import { closedPort } from '../helpers/ports.ts';
import { ask, eventually, WAITS } from '../helpers/stack.ts';

const AGENTS = 100;

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
	test(`a hub with ${AGENTS} agents that ended by ${signal} and was started again has them all back, at moments of their own, and answers meanwhile`, async (context) => {
		const { answers, waits, connectedAt } = await restartHub(context, signal, AGENTS);
		assert.ok(answers > 0);
		assert.equal(connectedAt.length, AGENTS);
		assert.ok(new Set(waits).size >= waits.length / 10, `waits are alike: ${waits}`);
	});
}

test('a hub that is out of file descriptors keeps its streams and its agents, and serves again when some are free', async (context) => {
	const { address, streams } = await talkingUpstream(context);
	const port = await closedPort();
	const hub = startHub(context, port);
	await hub.output(/"the hub listens"/);
	const { agent } = await joined(context, port, [address]);
	const { read, service } = await eventAtOnce(context, { port, path: '/events', streams });
	assert.equal(await read(), 'data: first\n\n');

	const { pid } = hub.child;
	const most = allowDescriptors(pid, 10);
	const crowd: Socket[] = [];
	let closed = 0;
	for (let i = 0; i < 60; i++) {
		const socket = connect(port, '127.0.0.1');
		socket.on('error', () => undefined).on('close', () => closed++);
		socket.write('GET / HTTP/1.1\r\n');
		crowd.push(socket);
	}
	context.after(() => {
		for (const socket of crowd) socket.destroy();
	});
	await eventually('it has all it may have', () => descriptorsOf(pid) >= most - 1);
	service.write('data: second\n\n');
	assert.equal(await read(), 'data: second\n\n');
	assert.equal(agent.connected, 1);
	for (const socket of crowd) socket.destroy();
	service.end('data: last\n\n');
	assert.equal(await read(), 'data: last\n\n');
	await eventually('they are gone', () => closed === crowd.length);
	assert.equal((await ask(port, '/', { headers: WAITS })).status, 200);
	assert.equal(agent.connected, 1);
	assert.equal(hub.child.exitCode, null);
});

test('a hub whose log is not read any more goes on serving', async (context) => {
	const { address } = await talkingUpstream(context);
	const port = await closedPort();
	const hub = startHub(context, port);
	await hub.output(/"the hub listens"/);
	hub.child.stdout?.destroy();
	hub.child.stderr?.destroy();
	await joined(context, port, [address]);
	for (let i = 0; i < 5; i++) assert.equal((await ask(port, '/', { headers: WAITS })).status, 200);
	// Refusals are logged, too.
	assert.equal((await ask(port, '/', { headers: { 'slime-scope': 'nobody' } })).status, 503);
	assert.equal(hub.child.exitCode, null);
	hub.child.kill('SIGTERM');
	assert.equal((await hub.exit).code, 0);
});

test('a hub whose log is on a full disk goes on serving', async (context) => {
	const { address } = await talkingUpstream(context);
	const port = await closedPort();
	const hub = startHub(context, port, { shell: FULL });
	await joined(context, port, [address]);
	for (let i = 0; i < 5; i++) assert.equal((await ask(port, '/', { headers: WAITS })).status, 200);
	hub.child.kill('SIGTERM');
	assert.equal((await hub.exit).code, 0);
});

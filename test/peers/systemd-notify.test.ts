/** What systemd would be told, by the real systemd-notify on a real datagram socket. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCli, startNode } from '../helpers/cli.ts';
import { joined } from '../helpers/hub-process.ts';
import { findProgram } from '../helpers/peer-process.ts';
import { Arrivals, ask, eventually, SECRET, token, upstream, WAITS } from '../helpers/stack.ts';

const LIMIT = { timeout: 60_000 };
const RECEIVER = fileURLToPath(new URL('../helpers/notify-socket.py', import.meta.url));
const WATCHED = fileURLToPath(new URL('../helpers/watched-loop.ts', import.meta.url));

interface NotifySocket {
	readonly env: { readonly NOTIFY_SOCKET: string };
	/** Assignments of each message, but for the barriers with which systemd-notify waits. */
	readonly messages: readonly (readonly string[])[];
	sees(assignment: string): Promise<void>;
}

async function notifySocket(context: TestContext): Promise<NotifySocket> {
	findProgram('systemd-notify', 'systemd');
	const folder = await mkdtemp(join(tmpdir(), 'slime-notify-'));
	const path = join(folder, 'socket');
	const receiver = spawn(findProgram('python3', 'python3'), [RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
	context.after(async () => {
		receiver.kill('SIGKILL');
		await rm(folder, { recursive: true, force: true });
	});
	const messages: string[][] = [];
	let bound = false;
	createInterface({ input: receiver.stdout }).on('line', (line) => {
		if (line === 'bound') bound = true;
		else if (!line.includes('BARRIER=')) messages.push(JSON.parse(line));
	});
	await eventually('the socket is there', () => bound);
	return {
		env: { NOTIFY_SOCKET: path },
		messages,
		sees: (assignment) =>
			eventually(`${assignment} is told`, () => messages.some((message) => message.includes(assignment)), 30_000),
	};
}

/** What a message is about, if not about how things are. */
function change(message: readonly string[]): string | undefined {
	return message.find((assignment) => /^(?:READY|RELOADING|STOPPING)=1$/.test(assignment));
}

test(
	'a hub tells systemd of its start, its status, a reload, that it lives, and its end, in this order',
	LIMIT,
	async (t) => {
		const socket = await notifySocket(t);
		const env = { ...socket.env, SLIME_HUB_SECRET: SECRET, WATCHDOG_USEC: '2000000' };
		const hub = startCli(['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off'], { env });
		t.after(() => hub.child.kill('SIGKILL'));
		const [, port = ''] = await hub.output(/"port":(\d+)/);
		const arrivals = new Arrivals();
		const service = await upstream(t, arrivals.handler);
		await joined(t, Number(port), [service.address], { numWorker: 2 });
		const requests = Array.from({ length: 3 }, () => ask(Number(port), '/', { headers: WAITS }));
		await socket.sees('STATUS=1 agent, 2/2 slots, 1 queued');
		await socket.sees('WATCHDOG=1');
		const before = process.hrtime.bigint() / 1000n;
		hub.child.kill('SIGHUP');
		await eventually('the reload is over', () => socket.messages.filter((message) => change(message)).length === 3);
		const after = process.hrtime.bigint() / 1000n;
		hub.child.kill('SIGTERM');
		await socket.sees('STOPPING=1');
		for (const _ of requests) (await arrivals.next())[1].end('ok');
		for (const { status } of await Promise.all(requests)) assert.equal(status, 200);
		assert.equal((await hub.exit).code, 0);

		const changes = socket.messages.filter((message) => change(message));
		assert.deepEqual(changes.map(change), ['READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1']);
		assert.deepEqual(socket.messages[0], [
			`MAINPID=${hub.child.pid}`,
			'READY=1',
			'STATUS=0 agents, 0/0 slots, 0 queued',
		]);
		const at = BigInt(/MONOTONIC_USEC=(\d+)/.exec(String(changes[1]))?.[1] ?? 0);
		assert.ok(before <= at && at <= after, 'by the clock that systemd reads');
		assert.ok(changes[3]?.includes('EXTEND_TIMEOUT_USEC=40000000'), String(changes[3]));
	},
);

test(
	'an agent is ready before it has a tunnel, since hubs may come and go, and says how many it has',
	LIMIT,
	async (t) => {
		const socket = await notifySocket(t);
		const flags = [
			'--hub',
			'127.0.0.1:1',
			'--upstream',
			'127.0.0.1:1,127.0.0.1:2',
			'--numWorker',
			'3',
			'--agentID',
			'a',
		];
		const agent = startCli(['agent', 'run', ...flags, '--no-reportHardware'], {
			env: { ...socket.env, SLIME_AGENT_TOKEN: await token() },
		});
		t.after(() => agent.child.kill('SIGKILL'));
		await socket.sees('STATUS=0/2 tunnels, 0/6 workers busy');
		assert.equal(change(socket.messages[0] ?? []), 'READY=1');
		agent.child.kill('SIGTERM');
		assert.equal((await agent.exit).code, 0);
		assert.equal(change(socket.messages.at(-1) ?? []), 'STOPPING=1');
	},
);

test('a process whose event loop hangs gives no sign of life, until it goes on', LIMIT, async (t) => {
	const socket = await notifySocket(t);
	const { child } = startNode([WATCHED], { env: { ...socket.env, WATCHDOG_USEC: '600000' }, stdin: true });
	t.after(() => child.kill('SIGKILL'));
	const signs = () => socket.messages.filter((message) => message.includes('WATCHDOG=1')).length;
	await eventually('it lives', () => signs() >= 2);
	child.stdin?.write('2000\n');
	await socket.sees('STATUS=goes on');
	const then = signs();
	await eventually('it lives again', () => signs() > then);
	const [from, to] = ['hangs', 'goes on'].map((mark) => socket.messages.findIndex((m) => m.includes(`STATUS=${mark}`)));
	const meanwhile = socket.messages.slice(from, to).filter((message) => message.includes('WATCHDOG=1'));
	// One may have been under way.
	assert.ok(meanwhile.length <= 1, JSON.stringify(socket.messages));
});

test('a hub whose NOTIFY_SOCKET leads nowhere says so once, and runs', LIMIT, async (t) => {
	const env = { SLIME_HUB_SECRET: SECRET, NOTIFY_SOCKET: '/nowhere/socket', WATCHDOG_USEC: '500000' };
	const hub = startCli(['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off'], { env });
	t.after(() => hub.child.kill('SIGKILL'));
	await hub.output(/systemd could not be told/);
	hub.child.kill('SIGTERM');
	const { code, stdout } = await hub.exit;
	assert.equal(code, 0);
	assert.equal(stdout.match(/systemd could not be told/g)?.length, 1, stdout);
});

/** A hub and an agent as processes, as a user starts them: from register to a served request, signals, and what they print. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type CliProcess, runCli, startForTest as start } from '../helpers/cli.ts';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { ask, WAITS } from '../helpers/stack.ts';

const SECRET = 'the-secret-that-nobody-may-print';
const PASSWORD = 'the-password-that-nobody-may-print';
const UPSTREAM_PASSWORD = 'the-upstream-password-that-nobody-may-print';
const ASKING = { ...WAITS, 'slime-app-password': PASSWORD };

interface Pair {
	readonly hub: CliProcess;
	readonly agent: CliProcess;
	readonly port: number;
	readonly token: string;
}

/** Hub, register and agent, up to the point where the agent is connected. */
async function pair(context: TestContext, upstream: string, drainTimeout = '30s'): Promise<Pair> {
	const env = {
		SLIME_HUB_SECRET: SECRET,
		SLIME_HUB_APP_PASSWORD: PASSWORD,
		SLIME_HUB_DRAIN_TIMEOUT: drainTimeout,
	};
	const hub = start(context, ['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off'], { env });
	const registered = await runCli(['hub', 'register', '--name', 'gpu-1', '--age', '1h'], { env });
	assert.equal(registered.code, 0, registered.stderr);
	const token = registered.stdout.trim();
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { url, port } = JSON.parse(line);
	assert.equal(url, `http://127.0.0.1:${port}`);
	const upstreamUrl = `http://user:${UPSTREAM_PASSWORD}@${upstream}`;
	const agent = start(context, ['agent', 'run', '--hub', url, '--upstream', upstreamUrl, '--agentID', 'gpu-1'], {
		env: {
			SLIME_AGENT_TOKEN: token,
			SLIME_AGENT_REPORT_HARDWARE: 'false',
			SLIME_AGENT_DRAIN_TIMEOUT: drainTimeout,
		},
	});
	await hub.output(/"agent":"gpu-1"/);
	return { hub, agent, port, token };
}

function silentAbout(secrets: readonly string[], ...processes: readonly CliProcess[]): void {
	for (const { stdout, stderr } of processes) {
		for (const secret of secrets) assert.ok(!`${stdout}${stderr}`.includes(secret), 'a secret was printed');
	}
}

test('hub run, hub register and agent run serve a request, and print no secret', async (context) => {
	const { address } = await talkingUpstream(context);
	const { hub, agent, port, token } = await pair(context, address);

	const answer = await ask(port, '/v1/models', { headers: ASKING });
	assert.equal(answer.status, 200, answer.body);
	assert.equal(answer.headers['slime-agent-id'], 'gpu-1');
	const { headers } = JSON.parse(answer.body);
	assert.equal(headers['slime-app-password'], undefined);
	assert.equal(headers.authorization, `Basic ${Buffer.from(`user:${UPSTREAM_PASSWORD}`).toString('base64')}`);

	const refused = await ask(port, '/v1/models', { headers: { 'slime-app-password': 'a-wrong-password' } });
	assert.equal(refused.status, 401);

	agent.child.kill('SIGTERM');
	assert.equal((await agent.exit).code, 0);
	hub.child.kill('SIGTERM');
	assert.equal((await hub.exit).code, 0);
	silentAbout([SECRET, PASSWORD, UPSTREAM_PASSWORD, token, 'a-wrong-password'], hub, agent);
	for (const line of `${hub.stdout}${agent.stdout}`.trim().split('\n')) {
		const entry = JSON.parse(line);
		assert.deepEqual(
			['level', 'time', 'msg'].filter((key) => typeof entry[key] !== 'string'),
			[],
			line,
		);
	}
	assert.equal(hub.stderr + agent.stderr, '');
});

for (const who of ['hub', 'agent'] as const) {
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		test(`${signal} lets a stream end before the ${who} does, with code 0`, async (context) => {
			const { address, streams } = await talkingUpstream(context);
			const started = await pair(context, address);
			const { port } = started;
			const asking = { port, path: '/events', streams, headers: ASKING };
			const { app, service, read } = await eventAtOnce(context, asking);
			assert.equal(await read(), 'data: first\n\n');

			const draining = started[who];
			draining.child.kill(signal);
			await draining.output(/"draining"/);
			service.write('data: second\n\n');
			assert.equal(await read(), 'data: second\n\n');
			assert.equal(draining.child.exitCode, null);
			service.end('data: last\n\n');
			assert.equal(await read(), 'data: last\n\n');
			assert.equal(await read(), '');
			assert.ok(app.complete);
			assert.equal((await draining.exit).code, 0, draining.stderr);
		});
	}
}

for (const who of ['hub', 'agent'] as const) {
	test(`past its drain timeout the ${who} cuts the stream, says so, and ends with code 0`, async (context) => {
		const { address, streams } = await talkingUpstream(context);
		const started = await pair(context, address, '300ms');
		const asking = { port: started.port, path: '/events', streams, headers: ASKING };
		const { app, service, read } = await eventAtOnce(context, asking);
		assert.equal(await read(), 'data: first\n\n');
		const stopped = once(service, 'close');

		const draining = started[who];
		draining.child.kill('SIGTERM');
		await assert.rejects(read(), { code: 'ECONNRESET' });
		assert.equal(app.complete, false);
		await stopped;
		assert.equal((await draining.exit).code, 0, draining.stderr);
		assert.match(draining.stdout, /"level":"warn".*"the drain timeout has passed/);
	});
}

test('a hub whose port is taken says so in one line and ends with 1', async (context) => {
	const taken = createServer().listen(0, '127.0.0.1');
	context.after(() => void taken.close());
	await once(taken, 'listening');
	const { port } = taken.address() as AddressInfo;
	const { code, stderr } = await runCli(['hub', 'run', '--host', '127.0.0.1', '--port', `${port}`], {
		env: { SLIME_HUB_SECRET: SECRET, SLIME_HUB_ADMIN_PORT: 'off' },
	});
	assert.equal(code, 1);
	assert.match(stderr, new RegExp(`^slime: cannot listen on 127\\.0\\.0\\.1:${port}: .*in use.*\\n$`));
});

/** A hub as a process whose configuration changes under 100 open streams: by SIGHUP and by POST /api/reload. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReloadOutcome } from '../../src/admin/api.ts';
import { adminJson, askAdmin } from '../helpers/admin-api.ts';
import { type CliProcess, startCli } from '../helpers/cli.ts';
import { joined } from '../helpers/hub-process.ts';
import { closedPort } from '../helpers/ports.ts';
import { type Answer, Arrivals, ask, SECRET, stack, token, upstream } from '../helpers/stack.ts';

const STREAMS = 100;

interface Scene {
	readonly hub: CliProcess;
	readonly port: number;
	readonly adminPort: number;
	readonly file: string;
	/** The upstream's ends of the streams, and the applications'. */
	readonly ends: readonly ServerResponse[];
	readonly answers: ReadonlyArray<Promise<Answer>>;
}

async function scene(t: TestContext, yaml: string): Promise<Scene> {
	const dir = await mkdtemp(join(tmpdir(), 'slime-reload-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	const file = join(dir, 'slime.yaml');
	await writeFile(join(dir, 'secret'), SECRET);
	await writeFile(file, yaml);
	const hub = startCli(['hub', 'run', '--config', 'slime.yaml', '--stateDir', dir], { cwd: dir });
	t.after(async () => {
		hub.child.kill('SIGKILL');
		await hub.exit;
	});
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	await joined(t, port, [service.address], { numWorker: STREAMS + 10 });
	const answers: Promise<Answer>[] = [];
	const ends: ServerResponse[] = [];
	for (let index = 0; index < STREAMS; index++) {
		answers.push(ask(port, `/${index}`, { headers: { 'slime-block': '1' } }));
		const [, res] = await arrivals.next();
		res.writeHead(200, { 'content-type': 'text/event-stream' });
		res.write('data: 0\n\n');
		ends.push(res);
	}
	return { hub, port, adminPort, file, ends, answers };
}

const FIRST = `hub:
  secretFile: secret
  host: 127.0.0.1
  port: 0
  adminPort: 0
`;

test('100 open streams go on through a reload, and through one that is refused', async (t) => {
	const { hub, port, adminPort, file, ends, answers } = await scene(t, FIRST);
	const tick = (event: number) => {
		for (const res of ends) res.write(`data: ${event}\n\n`);
	};
	tick(1);
	const other = await closedPort();
	await writeFile(
		file,
		`${FIRST.replace('port: 0\n', `port: ${other}\n`)}  appPassword: a long app password
  keepAliveTimeout: 90s
  stateDir: elsewhere
  queue: {max: 1}
log: {level: debug}
`,
	);
	hub.child.kill('SIGHUP');
	const [, changed = ''] = await hub.output(/^\{.*"changed":(\[.*?\]).*"the configuration was reloaded"\}$/m);
	// A flag stands above the file: the folder has not changed.
	assert.deepEqual(JSON.parse(changed), [
		'hub.appPassword',
		'hub.keepAliveTimeout',
		'hub.port',
		'hub.queue.max',
		'log.level',
	]);
	tick(2);
	await assert.rejects(ask(port), { code: 'ECONNREFUSED' });
	assert.equal((await ask(other)).status, 401);
	assert.match(hub.stdout, /"level":"debug"/);

	await writeFile(file, `${FIRST}  appPassword: another app password\n  queue:\n    mode: often\n  prot: 1\n`);
	const refused = await askAdmin(adminPort, '/api/reload', { method: 'POST' });
	assert.equal(refused.status, 400);
	const { message } = (JSON.parse(refused.body) as { error: { message: string } }).error;
	assert.deepEqual(message.split('\n'), [
		'slime.yaml:8:11: hub.queue.mode: "often" is not a choice: write header or always',
		'slime.yaml:9:3: unknown key hub.prot; did you mean port?',
	]);
	hub.child.kill('SIGHUP');
	const told = await hub.output(
		/"mistakes":\[.*\].*nothing has changed.*"mistakes":\["slime\.yaml:8:11: [^\n]*nothing has changed/s,
	);
	assert.ok(!told[0].includes('another app password'));
	const authorized = await ask(other, '/.slime/x', { headers: { 'slime-app-password': 'a long app password' } });
	assert.equal(authorized.status, 404, 'the password of the last file that was right');

	tick(3);
	for (const res of ends) res.end('data: end\n\n');
	const whole = [0, 1, 2, 3, 'end'].map((event) => `data: ${event}\n\n`).join('');
	for (const { status, body, complete } of await Promise.all(answers)) {
		assert.deepEqual([status, body, complete], [200, whole, true]);
	}
	hub.child.kill('SIGTERM');
	assert.equal((await hub.exit).code, 0);
});

test('POST /api/reload says what has changed, what waits for a restart and what is unwise', async (t) => {
	const dir = await mkdtemp(join(tmpdir(), 'slime-reload-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	const file = join(dir, 'slime.yaml');
	await writeFile(join(dir, 'secret'), SECRET);
	const first = `${FIRST}  stateDir: one\n`;
	await writeFile(file, first);
	const hub = startCli(['hub', 'run', '--config', 'slime.yaml'], { cwd: dir });
	t.after(() => hub.child.kill('SIGKILL'));
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { adminPort } = JSON.parse(line) as { adminPort: number };
	const reload = (at = adminPort) => adminJson<ReloadOutcome>(at, '/api/reload', { method: 'POST' });
	assert.deepEqual(await reload(), { changed: [], restart: [], warnings: [] });
	await writeFile(file, `${FIRST}  stateDir: two\n  appPassword: short\n`);
	const outcome = await reload();
	assert.deepEqual([outcome.changed, outcome.restart], [['hub.appPassword'], ['hub.stateDir']]);
	assert.match(outcome.warnings.join(), /appPassword has fewer than 16 characters/);
	assert.deepEqual((await reload()).restart, ['hub.stateDir'], 'as long as it waits');
	const taken = await closedPort();
	await writeFile(file, `${first.replace('adminPort: 0', `adminPort: ${taken}`)}`);
	assert.deepEqual((await reload()).changed, ['hub.adminPort', 'hub.appPassword'], 'told on the connection that asked');
	await writeFile(
		file,
		`${first.replace('  port: 0', `  port: ${taken}`).replace('adminPort: 0', `adminPort: ${taken}`)}`,
	);
	const refused = await askAdmin(taken, '/api/reload', { method: 'POST' });
	assert.equal(refused.status, 400);
	assert.match(refused.body, /cannot listen on 127\.0\.0\.1:\d+: the port is in use/);
	await writeFile(file, first.replace('adminPort: 0', `adminPort: ${taken}`));
	assert.deepEqual(await reload(taken), { changed: [], restart: [], warnings: [] });
});

test('an agent takes over its file on SIGHUP, and says what is wrong with one that it does not', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port } = await stack(t);
	const dir = await mkdtemp(join(tmpdir(), 'slime-reload-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	const file = join(dir, 'slime.yaml');
	const yaml = `agent:
  token: ${await token({ scopes: ['a', 'b'] })}
  hub: ${hub.url}
  agentID: x
  reportHardware: false
agents:
  - {upstream: "${service.address}", scopes: [a]}
`;
	await writeFile(file, yaml);
	const agent = startCli(['agent', 'run', '--config', 'slime.yaml'], { cwd: dir });
	t.after(() => agent.child.kill('SIGKILL'));
	await agent.output(/"connected"/);
	const open = ask(port, '/', { headers: { 'slime-block': '1', 'slime-scope': 'a' } });
	const [, res] = await arrivals.next();
	res.write('begun ');

	await writeFile(file, `${yaml}  - {upstream: "${service.address}", scopes: [b], numWorker: many}\n`);
	agent.child.kill('SIGHUP');
	await agent.output(/"mistakes":\["slime\.yaml:8:\d+: agents\[1\]\.numWorker: [^\n]*nothing has changed"/);
	await writeFile(file, `${yaml}  - {upstream: "${service.address}", scopes: [b], labels: {a: b}}\n`);
	agent.child.kill('SIGHUP');
	await agent.output(/"agents\[1\]\.upstream"[^\n]*"the configuration was reloaded"/);
	const asked = ask(port, '/', { headers: { 'slime-block': '1', 'slime-scope': 'b' } });
	(await arrivals.next())[1].end('b');
	assert.equal((await asked).body, 'b');
	res.end('ended');
	const { body, complete } = await open;
	assert.deepEqual([body, complete], ['begun ended', true]);
	assert.equal(agent.stdout.match(/"msg":"connected"/g)?.length, 2, 'one tunnel more, and the other one as it was');
	agent.child.kill('SIGTERM');
	assert.equal((await agent.exit).code, 0);
});

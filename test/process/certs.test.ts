/** `slime certs` as a command: the files that it writes and those that it leaves alone, and SIGHUP to what uses them. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pinOf } from '../../src/tls/pins.ts';
import { runCli, startCli } from '../helpers/cli.ts';
import { askTls } from '../helpers/tls-clients.ts';

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-certs-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

async function contents(dir: string): Promise<Record<string, string>> {
	const names = (await readdir(dir)).sort();
	return Object.fromEntries(
		await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name), 'utf8')])),
	);
}

const read = async (...path: string[]) => new X509Certificate(await readFile(join(...path)));

test('certs writes a CA, a hub’s and an agent’s certificate, keys for their owner alone, and says how to use them', async (t) => {
	const cwd = await folder(t);
	const { code, stdout, stderr } = await runCli(['certs'], { cwd });
	assert.equal(code, 0, stderr);
	const dir = join(cwd, 'certs');
	assert.deepEqual(await readdir(dir).then((names) => names.sort()), [
		'agent.crt',
		'agent.key',
		'ca.crt',
		'ca.key',
		'hub.crt',
		'hub.key',
	]);
	for (const name of ['ca', 'hub', 'agent']) {
		assert.equal((await stat(join(dir, `${name}.key`))).mode & 0o777, 0o600);
		assert.ok(stdout.includes(`written certs/${name}.key`));
	}
	const hub = await read(dir, 'hub.crt');
	assert.ok(hub.checkHost('localhost') && hub.checkIP('127.0.0.1') && hub.checkIP('::1'));
	assert.ok(hub.checkIssued(await read(dir, 'ca.crt')));
	assert.equal((await read(dir, 'agent.crt')).subjectAltName, 'DNS:agent');
	assert.ok(stdout.includes(pinOf(hub)));
	assert.match(stdout, /slime hub run .*--tlsCert certs\/hub\.crt/);
	assert.match(stdout, /slime agent run .*--hub https:\/\/localhost:8443/);
});

test('certs changes no key that is there unless it is forced to, and never the CA', async (t) => {
	const dir = await folder(t);
	const certs = (...args: string[]) => runCli(['certs', '--out', dir, ...args]);
	assert.equal((await certs('--hosts', 'hub.test,10.1.2.3', '--client', 'gpu-1')).code, 0);
	const first = await contents(dir);
	const again = await certs('--client', 'gpu-1');
	assert.equal(again.code, 2);
	assert.match(again.stderr, /^slime: .*gpu-1\.key: there already, so nothing was changed: --force .*\n$/);
	assert.equal((await certs('--hosts', 'other.test', '--client', 'gpu-2')).code, 2);
	assert.deepEqual(await contents(dir), first);

	const more = await certs('--client', 'gpu-2');
	assert.equal(more.code, 0, more.stderr);
	assert.match(more.stdout, /kept .*ca\.crt/);
	assert.match(more.stdout, /--hub https:\/\/hub\.test:8443/);
	const { 'gpu-2.crt': _, 'gpu-2.key': __, ...others } = await contents(dir);
	assert.deepEqual(others, first);

	assert.equal((await certs('--client', 'gpu-1', '--force')).code, 0);
	const forced = await contents(dir);
	assert.equal(forced['ca.crt'], first['ca.crt']);
	assert.equal(forced['ca.key'], first['ca.key']);
	for (const name of ['hub.crt', 'hub.key', 'gpu-1.crt', 'gpu-1.key']) assert.notEqual(forced[name], first[name]);
	assert.ok((await read(dir, 'hub.crt')).checkIssued(await read(dir, 'ca.crt')));
	assert.equal((await stat(join(dir, 'hub.key'))).mode & 0o777, 0o600);
});

test('certs says what is wrong with what it was told, or with the CA that is there', async (t) => {
	const dir = await folder(t);
	const said = async (...args: string[]) => {
		const { code, stderr } = await runCli(['certs', '--out', dir, ...args]);
		assert.equal(code, 2);
		return stderr;
	};
	assert.match(await said('--hosts', 'a b'), /^--hosts: "a b" is neither a DNS name nor an IP address/);
	assert.match(await said('--hosts', 'a,,b'), /^--hosts: "" is neither/);
	assert.match(await said('--client', '../x'), /^--client: "\.\.\/x" is not a name/);
	assert.match(await said('--client', 'hub'), /^--client: "hub" is the name of another file here/);
	await writeFile(join(dir, 'ca.key'), 'no key');
	assert.match(await said(), /ca\.key is there without .*ca\.crt/);
	await writeFile(join(dir, 'ca.crt'), 'no certificate');
	assert.match(await said(), /ca\.crt: the certificate of the CA cannot be read/);
	assert.deepEqual(await readdir(dir), ['ca.crt', 'ca.key']);
});

test('SIGHUP lets a hub read its certificates again, and an agent its own, and ends neither', async (t) => {
	const dir = await folder(t);
	const certs = (...args: string[]) => runCli(['certs', '--out', dir, ...args]);
	assert.equal((await certs()).code, 0);
	const file = (name: string) => join(dir, name);
	const env = { SLIME_HUB_SECRET: 'a secret for tests only' };
	const tls = [
		'--tlsCert',
		file('hub.crt'),
		'--tlsKey',
		file('hub.key'),
		'--clientCa',
		file('ca.crt'),
		'--bindIdentity',
	];
	const ports = ['--port', '0', '--agentPort', '0', '--adminPort', 'off', '--host', '127.0.0.1'];
	const hub = startCli(['hub', 'run', ...ports, ...tls], { env });
	t.after(() => hub.child.kill('SIGKILL'));
	const token = (await runCli(['hub', 'register', '--name', 'agent'], { env })).stdout.trim();
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { port, agentHost, agentPort, agentUrl } = JSON.parse(line);
	assert.equal(agentUrl, `https://127.0.0.1:${agentPort}`);
	assert.equal(agentHost, '127.0.0.1');
	assert.notEqual(agentPort, port);
	const pin = pinOf(await read(dir, 'hub.crt'));
	const shown = ['--ca', file('ca.crt'), '--tlsCert', file('agent.crt'), '--tlsKey', file('agent.key'), '--pin', pin];
	const agent = startCli(['agent', 'run', '--hub', agentUrl, '--upstream', '127.0.0.1:9', ...shown], {
		env: { SLIME_AGENT_TOKEN: token, SLIME_AGENT_REPORT_HARDWARE: 'false', SLIME_AGENT_STATE_DIR: dir },
	});
	t.after(() => agent.child.kill('SIGKILL'));
	await agent.output(/"connected"/);
	// Nothing has changed yet: it is the signal that lets them read.
	for (const { child } of [hub, agent]) child.kill('SIGHUP');
	for (const { output } of [hub, agent]) await output(/"certificates reloaded"/);

	assert.equal((await certs('--force')).code, 0);
	for (const { child } of [hub, agent]) child.kill('SIGHUP');
	for (const { output } of [hub, agent]) await output(/"certificates reloaded".*"certificates reloaded"/s);
	const { fingerprint } = await askTls(port, { ca: await readFile(file('ca.crt')) });
	assert.equal(fingerprint, (await read(dir, 'hub.crt')).fingerprint256);
	await writeFile(file('hub.key'), 'no key');
	hub.child.kill('SIGHUP');
	await hub.output(/"mistakes":\["--tlsKey: [^"]*hub\.key: holds no private key in PEM"\]/);
	assert.equal((await askTls(port, { ca: await readFile(file('ca.crt')) })).fingerprint, fingerprint);
	for (const { child, exit } of [agent, hub]) {
		child.kill('SIGTERM');
		assert.equal((await exit).code, 0);
	}
	assert.ok(!/disconnected: /.test(agent.stdout.split('"draining"')[0] ?? ''));
});

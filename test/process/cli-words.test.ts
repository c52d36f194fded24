/** The program as a process: help, version, and one line for what it does not understand. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { runCli } from '../helpers/cli.ts';

/** One line on stderr, nothing on stdout, exit code 2. @returns the line */
async function refusal(...args: readonly string[]): Promise<string> {
	const { code, stdout, stderr } = await runCli(args);
	assert.equal(code, 2, stderr);
	assert.equal(stdout, '');
	assert.match(stderr, /^[^\n]+\n$/);
	return stderr.trimEnd();
}

test('the version is the name, the package’s version and Node’s, however it is asked for', async () => {
	const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
	for (const words of ['version', 'hub run --version']) {
		const result = await runCli(words.split(' '));
		assert.deepEqual(result, { code: 0, stdout: `slime ${version} (node ${process.version})\n`, stderr: '' });
	}
});

test('help is there for the program, a group and a command, and names commands as they are written', async () => {
	const program = await runCli(['--help']);
	assert.equal(program.code, 0);
	assert.equal(program.stderr, '');
	for (const name of [
		'hub run',
		'hub register',
		'hub revoke',
		'hub check',
		'agent run',
		'agent check',
		'demo',
		'version',
	]) {
		assert.match(program.stdout, new RegExp(`^  ${name} +[A-Z]`, 'm'));
	}
	const group = await runCli(['hub', '-h']);
	assert.match(group.stdout, /\$ slime hub <command>/);
	assert.doesNotMatch(group.stdout, /agent run/);
	const command = await runCli(['hub', 'run', '--port', '1', '--help']);
	assert.equal(command.code, 0);
	assert.match(command.stdout, /\$ slime hub run \[flags\]/);
	assert.match(command.stdout, /^ {2}--adminPort <PORT> .*\(default: 8081\)$/m);
	for (const { stdout } of [program, group, command]) assert.doesNotMatch(stdout, /hub:run| $/m);
});

test('every flag of the documentation is in the help of its command', async () => {
	const documented = {
		'hub run':
			'secret host port concurrent appPassword tlsCert tlsKey clientCa clientAuth bindIdentity agentHost agentPort trustedProxies proxyProtocol adminHost adminPort adminToken adminTokenFile stateDir config secretFile',
		'hub register': 'secret name age scopes scopePaths config secretFile',
		'hub revoke': 'name tokenId list adminHost adminPort adminToken adminTokenFile stateDir config',
		'hub init': 'dir',
		'agent run':
			'token hub upstream numWorker agentID reportHardware ca tlsCert tlsKey serverName pin upstreamTokenFile stateDir config tokenFile',
		'agent drain': 'agentID tokenId adminHost adminPort adminToken adminTokenFile config',
		'agent resume': 'agentID tokenId adminHost adminPort adminToken adminTokenFile config',
		'agent disconnect': 'agentID tokenId adminHost adminPort adminToken adminTokenFile config',
		certs: 'out hosts client force',
		status: 'adminHost adminPort adminToken adminTokenFile json watch interval config',
		top: 'adminHost adminPort adminToken adminTokenFile json interval config',
	};
	for (const [command, flags] of Object.entries(documented)) {
		const { stdout } = await runCli([...command.split(' '), '--help']);
		for (const flag of flags.split(' ')) assert.match(stdout, new RegExp(`^  --${flag} `, 'm'), `${command} ${flag}`);
	}
});

test('unknown commands and flags get one line on stderr', async () => {
	assert.equal(
		await refusal('hub', 'rnu'),
		'slime: unknown command "hub rnu"; did you mean hub run? See slime hub --help',
	);
	const unknown = await refusal('agent', 'run', '--num-workers', '1');
	assert.equal(unknown, 'slime: unknown flag --num-workers; did you mean --numWorker? See slime agent run --help');
	assert.match(await refusal(), /^slime: a command is missing/);
});

test('bad values are named by their flag, with what would be right', async () => {
	const secret = ['--secret', 'a secret that is long enough'];
	const port = await refusal('hub', 'run', ...secret, '--port', '80x');
	assert.equal(port, '--port: "80x" is not a port: write a whole number from 0 to 65535');
	assert.match(
		await refusal('hub', 'register', ...secret, '--age', '1y'),
		/^--age: "1y" is not a duration: write 250ms/,
	);
	assert.match(await refusal('hub', 'register', ...secret, '--scopes', 'a,,b'), /^--scopes: an item is empty/);
	assert.match(
		await refusal('hub', 'register', ...secret, '--scopePaths', 'v1'),
		/^slime: scope path "v1" is not a path/,
	);
	assert.match(await refusal('demo', '--interval', 'slow'), /^--interval: "slow" is out of range/);
});

test('a command that lacks its secret says the ways to give it', async () => {
	for (const command of ['run', 'register']) {
		assert.match(await refusal('hub', command), /give --secretFile, SLIME_HUB_SECRET_FILE or hub\.secretFile/);
	}
});

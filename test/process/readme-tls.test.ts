/** The README's way to TLS and client certificates, word for word: what a reader pastes is what runs here. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { closedPort, eventually } from '../helpers/stack.ts';
import { askTls } from '../helpers/tls-clients.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const LOADER = import.meta.resolve('tsx');
/** The hub's, and that of the service. Only if one is taken here another one stands in its place. */
const PORTS = [8443, 8000];

/** The shell blocks below a heading, up to the next one. */
async function blocks(file: string, heading: string): Promise<string[]> {
	const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
	const section = text.split(/^(?=#{1,3} )/m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
	return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

async function isFree(port: number): Promise<boolean> {
	const server = createTcpServer();
	const listening = once(server, 'listening').then(
		() => true,
		() => false,
	);
	server.listen(port, '127.0.0.1');
	const free = await listening;
	server.close();
	return free;
}

interface Shell {
	/** Runs a block to its end, which must be a good one; what it printed. */
	run(block: string): Promise<string>;
	/** Starts a block that goes on until the test ends, and waits until it has printed this. */
	start(block: string, ready: RegExp): Promise<{ output(): string }>;
}

/** A folder in which `slime` is a command. */
async function shell(t: TestContext): Promise<{ dir: string; shell: Shell }> {
	const dir = await mkdtemp(join(tmpdir(), 'slime-readme-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	await mkdir(join(dir, 'bin'));
	const command = join(dir, 'bin', 'slime');
	await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' --import '${LOADER}' '${MAIN}' "$@"\n`);
	await chmod(command, 0o755);
	const inherited = Object.entries(process.env).filter(([name]) => !/^(SLIME_|NODE_|XDG_|STATE_)/.test(name));
	const env = { ...Object.fromEntries(inherited), HOME: dir, PATH: `${join(dir, 'bin')}:${process.env.PATH}` };
	const begin = (block: string) => {
		// A process group of its own, for what the shell starts to end with it.
		const child = spawn('sh', ['-e', '-c', block], {
			cwd: dir,
			env,
			detached: true,
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		const written = { stdout: '', stderr: '' };
		for (const name of ['stdout', 'stderr'] as const) {
			child[name].setEncoding('utf8').on('data', (text: string) => {
				written[name] += text;
			});
		}
		return { child, written };
	};
	return {
		dir,
		shell: {
			async run(block) {
				const { child, written } = begin(block);
				const [code] = await once(child, 'close');
				assert.equal(code, 0, `${block}${written.stdout}${written.stderr}`);
				return written.stdout;
			},
			async start(block, ready) {
				const { child, written } = begin(block);
				t.after(() => end(child));
				await eventually(`${ready} from ${block}`, () => {
					assert.equal(child.exitCode, null, `${block}${written.stdout}${written.stderr}`);
					return ready.test(written.stdout);
				});
				return { output: () => written.stdout };
			},
		},
	};
}

async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.pid === undefined) return;
	const closed = once(child, 'close');
	process.kill(-child.pid, 'SIGTERM');
	await closed;
}

test('the ways to TLS in both languages have the same commands', async () => {
	const english = await blocks('README.md', '### TLS');
	assert.ok(english.length >= 5);
	assert.deepEqual(await blocks('README.zh.md', '### TLS'), english);
});

test('the way to TLS in the README leads to a served request, and to renewed certificates', async (t) => {
	let text = (await blocks('README.md', '### TLS')).join('\0');
	const ports: number[] = [];
	for (const written of PORTS) {
		assert.ok(text.includes(String(written)));
		const port = (await isFree(written)) ? written : await closedPort();
		text = text.replaceAll(String(written), String(port));
		ports.push(port);
	}
	const [hubPort = 0, servicePort = 0] = ports;
	const service = createServer((req, res) =>
		res.end(`served ${req.url} ${req.headers.authorization ?? 'without a key'}`),
	);
	service.listen(servicePort, '127.0.0.1');
	await once(service, 'listening');
	t.after(() => service.close());

	const { dir, shell: sh } = await shell(t);
	const logs: { output(): string }[] = [];
	const answers: string[] = [];
	let renewals = 0;
	const certificate = async () => new X509Certificate(await readFile(join(dir, 'certs/hub.crt'))).fingerprint256;
	const shown = async () => (await askTls(hubPort, { ca: await readFile(join(dir, 'certs/ca.crt')) })).fingerprint;
	for (const block of text.split('\0')) {
		if (block.startsWith('slime hub run')) logs.push(await sh.start(block, /"the hub listens"/));
		else if (block.startsWith('slime agent run')) logs.push(await sh.start(block, /"connected"/));
		else if (block.startsWith('curl')) answers.push(await sh.run(block));
		else if (block.includes('--force')) {
			const before = await certificate();
			assert.equal(await shown(), before);
			await sh.run(block);
			renewals++;
			assert.notEqual(await certificate(), before);
			await eventually('hub and agent have reloaded', () =>
				logs.every((log) => log.output().includes('"certificates reloaded"')),
			);
			assert.equal(await shown(), await certificate());
		} else await sh.run(block);
	}
	// The app password was taken off.
	assert.deepEqual(answers, ['served /v1/models without a key']);
	assert.equal(logs.length, 2);
	assert.equal(renewals, 1);
	assert.ok(!logs.some((log) => /"level":"(?:error|fatal)"/.test(log.output())));
});

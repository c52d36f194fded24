/** gRPC of another make, Python's grpcio over Google's C core, at both ends of hub and agent. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeCertificates } from '../helpers/certificates.ts';
import { locateProgram, RunningPeer } from '../helpers/peer-process.ts';
import { eventually, stack } from '../helpers/stack.ts';

const script = fileURLToPath(new URL('../helpers/grpc-peer.py', import.meta.url));

/** The first Python that has the package. */
function findPython(): string {
	const candidates = [locateProgram('grpc-python'), locateProgram('python3'), '/usr/bin/python3'];
	const found = candidates.find((python) => python && spawnSync(python, ['-c', 'import grpc']).status === 0);
	return found ?? assert.fail('grpcio for Python is missing: pip install grpcio, in a venv that is on PATH');
}

interface Server {
	readonly port: number;
	readonly peer: RunningPeer;
}

/** The service, until the test is over. */
async function serve(t: TestContext, python: string, files: readonly string[]): Promise<Server> {
	const peer = new RunningPeer(t, python, [script, 'serve', ...files], null);
	await peer.sees('port ');
	await eventually('the line is whole', () => peer.stdout.includes('\n'));
	return { port: Number(/port (\d+)/.exec(peer.stdout)?.[1]), peer };
}

const EXPECTED = [
	{ name: 'unary', body: 'hello', echo: 'a, b', late: '00ff' },
	{ name: 'sizes', whole: [true, true, true] },
	{ name: 'fail', code: 'NOT_FOUND', details: 'no such thing: 100 % ünknown' },
	{ name: 'collect', whole: true },
	{ name: 'count', messages: 2000, last: 'message 1999' },
	{ name: 'talk', said: ['you said one', 'you said two', 'you said three'] },
	{ name: 'cancel', first: 'begun', code: 'CANCELLED' },
	{ name: 'deadline', first: 'begun', code: 'DEADLINE_EXCEEDED' },
];

for (const route of ['h2c', 'tls'] as const) {
	test(`every kind of gRPC call passes between Python's client and server (${route})`, async (t) => {
		const python = findPython();
		const folder = await mkdtemp(join(tmpdir(), 'slime-grpc-'));
		t.after(() => rm(folder, { recursive: true }));
		const { cert, key, ca } = await writeCertificates(folder);
		const { port, peer } = await serve(t, python, route === 'tls' ? [cert, key] : []);
		const upstream = route === 'tls' ? `https://localhost:${port}` : `h2c://127.0.0.1:${port}`;
		const hub = route === 'tls' ? { tls: { cert, key } } : {};
		const served = await stack(t, [upstream], { hub, agent: { numWorker: 2, ca } });
		const args = [script, 'call', `localhost:${served.port}`, ...(route === 'tls' ? [ca] : [])];
		const { code, stdout, stderr } = await new RunningPeer(t, python, args).done;
		assert.equal(code, 0, stderr);
		const lines = stdout.trimEnd().split('\n');
		assert.deepEqual(
			lines.map((line) => JSON.parse(line)),
			EXPECTED,
		);
		await eventually('both calls that hung ended', () => peer.stdout.split('cancelled').length === 3);
		await eventually('no worker is held', () => served.hub.leased === 0);
	});
}

test("Python's client tells the hub's own errors from an upstream's", async (t) => {
	const { port } = await stack(t);
	const { stdout, stderr } = await new RunningPeer(t, findPython(), [script, 'refused', `127.0.0.1:${port}`]).done;
	assert.notEqual(stdout, '', stderr);
	assert.deepEqual(JSON.parse(stdout), {
		code: 'UNAVAILABLE',
		details: 'No agent is connected that may serve this request.',
		slime: 'no_agent',
	});
});

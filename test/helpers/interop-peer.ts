/**
 * The peers' own programs (test/peers/programs), each a server and a client over one HTTP/2 implementation, all with the same
 * words on their command lines:
 *
 *     server WINDOW [CERT KEY]              prints `port N` and serves the paths of interop-server.ts
 *     client URL WINDOW CA COMMAND ARG…     does what COMMAND says and prints one line of JSON; CA is `-` without TLS
 *
 * WINDOW is the size of its receive windows in bytes. What they are built from is fetched once into a cache folder.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { writeCertificates } from './certificates.ts';
import type { EngineServer } from './interop-server.ts';
import { findProgram, RunningPeer } from './peer-process.ts';

const programs = join(import.meta.dirname, '../peers/programs');
/** Many times what a gigabyte takes on a busy machine. */
const RUN_MS = 540_000;

export interface Peer {
	readonly name: string;
	readonly program: string;
	readonly args: readonly string[];
	readonly env?: NodeJS.ProcessEnv;
	/** Speaks TLS with ALPN only. */
	readonly tls?: boolean;
	/** What it cannot do, by the name of the vector, and why. */
	readonly cannot: { readonly [vector: string]: string };
}

export const windowBytes = { small: 65_535, large: 16 * 1024 * 1024 } as const;

/** PEM files of a throw-away authority that go with the test. */
export async function certificateFiles(context: TestContext): ReturnType<typeof writeCertificates> {
	const dir = await mkdtemp(join(tmpdir(), 'interop-'));
	context.after(() => rm(dir, { recursive: true }));
	return writeCertificates(dir);
}

export interface PeerServer {
	readonly port: number;
	/** PEM text of its authority, undefined without TLS. */
	readonly ca: string | undefined;
}

export async function startPeerServer(context: TestContext, peer: Peer, window: number): Promise<PeerServer> {
	const files = peer.tls ? await certificateFiles(context) : undefined;
	const args = [...peer.args, 'server', String(window), ...(files ? [files.cert, files.key] : [])];
	const running = new RunningPeer(context, peer.program, args, '', { env: peer.env, timeout: RUN_MS });
	await running.sees('\n');
	const port = Number(/^port (\d+)$/m.exec(running.stdout)?.[1]);
	assert.ok(port > 0, `${peer.name} says no port: ${running.stdout}${running.stderr}`);
	return { port, ca: files && readFileSync(files.ca, 'utf8') };
}

export interface PeerClient {
	readonly engine: EngineServer;
	/** The file of the authority, for TLS. */
	readonly ca?: string | undefined;
	readonly window?: number;
}

/** Runs a command of the peer's client against the engine; what it prints, read. */
export async function runPeerClient(
	context: TestContext,
	peer: Peer,
	{ engine, ca, window = windowBytes.large }: PeerClient,
	command: readonly string[],
): Promise<Record<string, unknown>> {
	const url = `${ca ? 'https' : 'http'}://127.0.0.1:${engine.port}`;
	const args = [...peer.args, 'client', url, String(window), ca ?? '-', ...command];
	const running = new RunningPeer(context, peer.program, args, '', { env: peer.env, timeout: RUN_MS });
	const { code, stdout, stderr } = await running.done;
	assert.equal(code, 0, `${peer.name} ${command[0]}: ${stderr}${stdout}`);
	return JSON.parse(stdout);
}

/** Node's own http2. */
export function nodePeer(cannot: Peer['cannot'] = {}): Peer {
	const program = join(programs, 'node/peer.ts');
	return { name: "Node's http2", program: process.execPath, args: ['--import', 'tsx', program], cannot };
}

/** hyper-h2 in a virtual environment of its own. */
export function pythonPeer(cannot: Peer['cannot'] = {}): Peer {
	const python = findProgram('python3', 'python3-venv');
	const folder = join(programs, 'python');
	const requirements = join(folder, 'requirements.txt');
	const environment = cached([python, '--version'], [requirements], (into) => {
		run(python, ['-m', 'venv', into], folder);
		run(join(into, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--no-deps', '-r', requirements], folder);
	});
	return { name: 'hyper-h2', program: join(environment, 'bin/python'), args: [join(folder, 'peer.py')], cannot };
}

/** Whether Go lets its users choose windows and limits (1.24). */
export function goHasWindows(): boolean {
	const version = /go1\.(\d+)/.exec(run(findProgram('go', 'golang-go'), ['version'], programs).toString());
	return Number(version?.[1]) >= 24;
}

/** golang.org/x/net/http2 without TLS, or the HTTP/2 that is in net/http with it. */
export function goPeer(kind: 'x/net' | 'net/http', cannot: Peer['cannot'] = {}): Peer {
	const go = findProgram('go', 'golang-go');
	const folder = join(programs, 'go');
	const sources = ['go.mod', 'go.sum', 'main.go', 'server.go', 'client.go', 'pattern.go', 'window.go', 'window_old.go'];
	const built = cached(
		[go, 'version'],
		sources.map((name) => join(folder, name)),
		(into) => {
			mkdirSync(into);
			run(go, ['build', '-mod=readonly', '-o', join(into, 'peer'), '.'], folder);
		},
	);
	return {
		name: kind === 'x/net' ? "Go's x/net/http2" : "Go's net/http",
		program: join(built, 'peer'),
		args: [],
		// Both leave extended CONNECT off unless told otherwise.
		env: { ...process.env, GODEBUG: 'http2xconnect=1' },
		tls: kind === 'net/http',
		cannot,
	};
}

/**
 * A folder that `make` fills, unless one of the same sources is there. It is marked when it is complete and not moved there,
 * which a virtual environment does not survive.
 * @param version the command that says with what version of the tool it is made
 */
function cached(version: readonly [string, string], sources: readonly string[], make: (into: string) => void): string {
	const hash = createHash('sha256').update(run(version[0], [version[1]], tmpdir()));
	for (const source of sources) hash.update(readFileSync(source)).update('\0');
	const base = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'slime-peers');
	const folder = join(base, `${basename(version[0])}-${hash.digest('hex').slice(0, 16)}`);
	if (existsSync(`${folder}.ready`)) return folder;
	mkdirSync(base, { recursive: true, mode: 0o700 });
	rmSync(folder, { recursive: true, force: true });
	make(folder);
	writeFileSync(`${folder}.ready`, '');
	return folder;
}

function run(program: string, args: readonly string[], cwd: string): Buffer {
	try {
		return execFileSync(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_MS });
	} catch (error) {
		const { stderr } = error as { stderr?: Buffer };
		assert.fail(`${program} ${args.join(' ')} failed: ${stderr?.toString() || error}`);
	}
}

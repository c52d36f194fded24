/**
 * Runs the command line from source as a child process. Remembers its children, and ends only those. One that prints a secret which it
 * was given fails whatever test it is in.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import type { TestContext } from 'node:test';
import { assertBuilt, MAIN } from './built.ts';
import { Captured, secretsGiven } from './secret-search.ts';

const LOADER = import.meta.resolve('tsx');
/** Generous: it tells a program that hangs from a slow machine. */
const LIMIT_MS = 180_000;

export interface CliOptions {
	/** In place of this process's SLIME_ variables. */
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	/** Where ~ is; a folder without a configuration if left out. */
	readonly home?: string;
	/** Milliseconds after which it is killed; only loads take longer than what is set without it. */
	readonly limit?: number;
	/** A line of sh that runs the program, as "$0" "$@", with other limits or files than it would have. */
	readonly shell?: string;
	/** Messages go to and come from the child (`child.send`, `message`). */
	readonly ipc?: boolean;
	/** The child has an open stdin, to be written to through `child`. */
	readonly stdin?: boolean;
	/** File descriptors of this process that the child has from 3 on; not together with `ipc`. */
	readonly passed?: readonly number[];
}

/** For `shell`: what it writes goes to a full disk. */
export const FULL = 'exec "$0" "$@" >/dev/full 2>/dev/full';
/** For `shell`: so does its log, and there is no stderr. */
export const FULL_AND_CLOSED = 'exec "$0" "$@" >/dev/full 2>&-';

export interface CliResult {
	/** null when a signal ended it. */
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

export interface CliProcess {
	readonly child: ChildProcess;
	/** What it wrote until now. */
	readonly stdout: string;
	readonly stderr: string;
	readonly exit: Promise<CliResult>;
	/** The first match in what it writes to stdout; rejects when it ends without one. */
	output(pattern: RegExp): Promise<RegExpExecArray>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});

/** Runs `slime …` to its end. */
export function runCli(args: readonly string[], options?: CliOptions): Promise<CliResult> {
	return startCli(args, options).exit;
}

/** Starts `slime …`, and ends it with the test. */
export function startForTest(context: TestContext, args: readonly string[], options?: CliOptions): CliProcess {
	const started = startCli(args, options);
	context.after(async () => {
		started.child.kill('SIGKILL');
		await started.exit;
	});
	return started;
}

/** Starts `slime …`, to be signalled through `child`. */
export function startCli(args: readonly string[], options?: CliOptions): CliProcess {
	assertBuilt();
	return start([MAIN, ...args], options);
}

/** Starts node with TypeScript, for scripts that use parts of the command line. */
export function startNode(args: readonly string[], options?: CliOptions): CliProcess {
	return start(['--import', LOADER, ...args], options);
}

function start(args: readonly string[], options: CliOptions = {}): CliProcess {
	const { env = {}, cwd, home = tmpdir(), limit = LIMIT_MS, ipc = false, shell, stdin = false, passed = [] } = options;
	const inherited = Object.entries(process.env).filter(
		([name]) => !/^(SLIME_|NODE_|XDG_|STATE_|LISTEN_|NOTIFY_|WATCHDOG_)/.test(name),
	);
	const program = [process.execPath, ...args];
	const [command = '', ...rest] = shell === undefined ? program : ['/bin/sh', '-c', shell, ...program];
	const child = spawn(command, rest, {
		cwd,
		env: { ...Object.fromEntries(inherited), HOME: home, ...env },
		stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : passed)],
	});
	running.add(child);
	return watch(child, limit, secretsGiven(args, env));
}

function watch(child: ChildProcess, limitMs: number, secrets: Readonly<Record<string, string>>): CliProcess {
	const written = { stdout: '', stderr: '' };
	const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
	for (const name of ['stdout', 'stderr'] as const) {
		child[name]?.setEncoding('utf8').on('data', (text: string) => {
			written[name] += text;
		});
	}
	const exit = new Promise<CliResult>((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code) => {
			clearTimeout(limit);
			running.delete(child);
			const captured = new Captured();
			captured.add('stdout', written.stdout);
			captured.add('stderr', written.stderr);
			const found = captured.find(secrets);
			if (found.length === 0) resolve({ code, ...written });
			else reject(new Error(`a secret was printed: ${found.join('; ')}`));
		});
	});
	return {
		child,
		get stdout() {
			return written.stdout;
		},
		get stderr() {
			return written.stderr;
		},
		exit,
		output: (pattern) =>
			new Promise((resolve, reject) => {
				const look = () => {
					const match = pattern.exec(written.stdout);
					if (!match) return;
					child.stdout?.off('data', look);
					resolve(match);
				};
				child.stdout?.on('data', look);
				child.once('close', () => reject(new Error(`ended without ${pattern}: ${written.stdout}${written.stderr}`)));
				look();
			}),
	};
}

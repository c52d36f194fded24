/** Programs that others wrote, run beside a test: found, started on free ports, ended by the process that was started. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 60_000;
const RUN_MS = 180_000;

/** @param debianPackage what to install when it is missing */
export function findProgram(name: string, debianPackage: string): string {
	return locateProgram(name) ?? assert.fail(`${name} is missing: apt-get install ${debianPackage}`);
}

export function locateProgram(name: string): string | undefined {
	// Daemons live where a user's PATH often does not look.
	const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
	return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return true;
	} catch {
		// Not in this folder.
		return false;
	}
}

/** Starts a daemon in the foreground, waits until it listens, ends it after the test. */
export async function startDaemon(
	context: TestContext,
	program: string,
	args: readonly string[],
	port: number,
): Promise<void> {
	const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said += text;
	});
	const ended = once(child, 'close');
	context.after(async () => {
		child.kill('SIGTERM');
		await ended;
	});
	const deadline = performance.now() + READY_MS;
	while (!(await listens(port))) {
		if (child.exitCode !== null || performance.now() > deadline) assert.fail(`${program} does not listen: ${said}`);
		await sleep(20);
	}
}

function listens(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, '127.0.0.1');
		socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
		socket.once('connect', () => socket.destroy());
	});
}

export interface Ran {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

export interface RunOptions {
	readonly env?: NodeJS.ProcessEnv | undefined;
	/** Milliseconds after which it is ended. */
	readonly timeout?: number;
}

/** A program that runs until it is done, or the test is. */
export class RunningPeer {
	readonly child: ChildProcess;
	readonly done: Promise<Ran>;
	stdout = '';
	stderr = '';

	/** @param input all that it can read; null leaves its stdin open until the test is over */
	constructor(
		context: TestContext,
		program: string,
		args: readonly string[],
		input: string | null = '',
		options: RunOptions = {},
	) {
		const { env = process.env, timeout = RUN_MS } = options;
		const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout, env });
		this.child = child;
		context.after(() => void child.kill('SIGKILL'));
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			this.stdout += text;
		});
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			this.stderr += text;
		});
		// It may well end without having read everything.
		child.stdin.on('error', () => undefined);
		if (input !== null) child.stdin.end(input);
		this.done = once(child, 'close').then(([code]) => ({ code, stdout: this.stdout, stderr: this.stderr }));
	}

	/** Resolves as soon as what it wrote to stdout holds the text; fails when it ends without. */
	async sees(text: string): Promise<void> {
		let over = false;
		const ended = this.done.then(() => {
			over = true;
		});
		while (!this.stdout.includes(text)) {
			if (over) assert.fail(`ended without ${JSON.stringify(text)}: ${this.stdout}${this.stderr}`);
			const news = new AbortController();
			const { stdout } = this.child;
			assert.ok(stdout);
			await Promise.race([once(stdout, 'data', { signal: news.signal }), ended]);
			news.abort();
		}
	}
}

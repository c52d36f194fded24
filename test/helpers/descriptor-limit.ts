/** Takes from a process, on Linux, what it may open, and gives it back. All that it needs is open before, so that the process may be this one. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { descriptorsOf } from './descriptors.ts';
import { findProgram } from './peer-process.ts';

/** Puts the limit back when there is nothing more to read, also where whoever lowered it was killed. */
const SCRIPT = `
set -- "$1" $(prlimit --pid "$1" --nofile --output SOFT --noheadings)
echo ready
read -r most && prlimit --pid "$1" --nofile="$most:" && echo lowered && read -r end
prlimit --pid "$1" --nofile="$2:"
`;

export class DescriptorLimit {
	readonly #pid: number;
	readonly #shell: ChildProcess;
	readonly #closed: Promise<unknown>;

	private constructor(pid: number) {
		this.#pid = pid;
		findProgram('prlimit', 'util-linux');
		this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'sh', `${pid}`], { stdio: ['pipe', 'pipe', 'inherit'] });
		this.#closed = once(this.#shell, 'close');
	}

	static async of(pid: number): Promise<DescriptorLimit> {
		const limit = new DescriptorLimit(pid);
		await limit.#says('ready');
		return limit;
	}

	/**
	 * What it has open stays; nothing new gets a number above the limit.
	 * @param percent of what it has open. Node keeps one of its first as a reserve, to take connections with and close them.
	 */
	async lower(percent: number): Promise<void> {
		this.#shell.stdin?.write(`${Math.ceil((descriptorsOf(this.#pid) * percent) / 100)}\n`);
		await this.#says('lowered');
	}

	async putBack(): Promise<void> {
		this.#shell.stdin?.end();
		await this.#closed;
		assert.equal(this.#shell.exitCode, 0);
	}

	async #says(word: string): Promise<void> {
		const { stdout } = this.#shell;
		assert.ok(stdout);
		const ended = this.#closed.then(() => assert.fail(`prlimit ended before it was ${word}`));
		const [said] = await Promise.race([once(stdout, 'data'), ended]);
		assert.equal(String(said).trim(), word);
	}
}

/** A shell as a reader of the documentation has it, in which `slime` is the program as it was built. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { assertBuilt, MAIN } from './built.ts';
import { eventually } from './stack.ts';

export interface Shell {
	/** Runs a block to its end, which must be a good one; what it printed. */
	run(block: string): Promise<string>;
	/** Starts a block that goes on until the test ends, and waits until it has printed this. */
	start(block: string, ready: RegExp): Promise<{ output(): string }>;
}

/** A folder in which `slime` is a command. */
export async function shell(t: TestContext): Promise<{ dir: string; shell: Shell }> {
	const dir = await mkdtemp(join(tmpdir(), 'slime-shell-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	await mkdir(join(dir, 'bin'));
	assertBuilt();
	const command = join(dir, 'bin', 'slime');
	await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
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

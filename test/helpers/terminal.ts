/** A program on a terminal: what it writes there, and a keyboard. The terminal is that of script(1), which every Linux has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import type { TestContext } from 'node:test';
import { assertBuilt, MAIN } from './built.ts';
import { eventually } from './stack.ts';

export interface Terminal {
	readonly child: ChildProcess;
	/** All that was written until now. */
	readonly written: string;
	/** What was drawn last: everything since the last time that the cursor went home, without escape sequences. */
	readonly screen: string;
	/** Resolves when the screen shows it. */
	shows(pattern: RegExp): Promise<void>;
	press(keys: string): void;
	/** Its exit code. */
	readonly ended: Promise<number | null>;
}

/** Starts `slime …` on a terminal of this size. */
export function onTerminal(context: TestContext, args: readonly string[], columns = 160, rows = 24): Terminal {
	assertBuilt();
	const quoted = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
	const command = `stty cols ${columns} rows ${rows}; exec ${quoted}`;
	const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
		env: { PATH: process.env.PATH, HOME: tmpdir(), TERM: 'xterm', SHELL: '/bin/sh' },
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	let written = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		written += text;
	});
	const ended = once(child, 'close').then(([code]) => code as number | null);
	context.after(async () => {
		child.kill('SIGKILL');
		await ended;
	});
	const terminal: Terminal = {
		child,
		get written() {
			return written;
		},
		get screen() {
			const last = written.slice(written.lastIndexOf(`${ESC}[H`));
			// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they begin with
			return last.replaceAll(/\u001b\[[?\d;]*[A-Za-z]/g, '');
		},
		async shows(pattern) {
			try {
				await eventually(`${pattern} on the terminal`, () => pattern.test(terminal.screen), 20_000);
			} catch (error) {
				throw new Error(`the terminal shows ${JSON.stringify(terminal.screen)}`, { cause: error });
			}
		},
		press: (keys) => void child.stdin.write(keys),
		ended,
	};
	return terminal;
}

const ESC = '\u001b';

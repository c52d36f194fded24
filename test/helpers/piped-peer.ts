/** A client of others that gives bodies to its stdout and takes them from its stdin, piece by piece: they may be of any length. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { PatternCheck, PatternSource } from './pattern-body.ts';

/** Many times what a gigabyte takes on a busy machine. */
const RUN_MS = 540_000;

export interface Piped {
	readonly code: number | null;
	/** What it wrote to stdout. */
	readonly check: PatternCheck;
	readonly stderr: string;
}

/** @param given bytes of pattern for its stdin */
export async function runPiped(
	context: TestContext,
	program: string,
	args: readonly string[],
	given = 0,
): Promise<Piped> {
	const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: RUN_MS });
	context.after(() => void child.kill('SIGKILL'));
	const closed = once(child, 'close');
	const check = new PatternCheck();
	let stderr = '';
	child.stdout.on('data', (chunk: Buffer) => check.add(chunk));
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	// It may well end without having read everything.
	child.stdin.on('error', () => undefined);
	Readable.from(pieces(given), { objectMode: false, highWaterMark: 256 * 1024 }).pipe(child.stdin);
	const [code] = await closed;
	return { code, check, stderr };
}

function* pieces(bytes: number): Generator<Buffer> {
	const source = new PatternSource(bytes);
	for (let piece = source.next(); piece !== null; piece = source.next()) yield piece;
}

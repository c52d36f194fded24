/** Files that change, in the ways in which they are changed: by writing, by rename, by moving a link. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { UsageError } from '../../../src/shared/errors.ts';
import { Reloading } from '../../../src/tls/reloading.ts';
import { eventually, LogSink } from '../../helpers/stack.ts';

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-reload-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

/** The text of a file, which must not be `bad`. */
function watching(t: TestContext, file: string): { reloading: Reloading<string>; log: LogSink; loads(): number } {
	const log = new LogSink();
	let count = 0;
	const load = () => {
		count++;
		const text = readFileSync(file, 'utf8');
		if (text.startsWith('bad')) throw new UsageError(`${file}: is bad`);
		return text;
	};
	const reloading = new Reloading({ files: [file], load, logger: log.logger });
	t.after(() => reloading.close());
	return { reloading, log, loads: () => count };
}

test('a file that is written over is read again', async (t) => {
	const file = join(await folder(t), 'file');
	await writeFile(file, 'one');
	const { reloading } = watching(t, file);
	await writeFile(file, 'the second');
	await eventually('the new text', () => reloading.current === 'the second');
});

test('a file that is replaced by rename is read again, even with the same length and times', async (t) => {
	const dir = await folder(t);
	await writeFile(join(dir, 'file'), 'one');
	const { reloading } = watching(t, join(dir, 'file'));
	await writeFile(join(dir, 'next'), 'two');
	await rename(join(dir, 'next'), join(dir, 'file'));
	await eventually('the new text', () => reloading.current === 'two');
});

test('a folder that is reached by a link is read again when the link moves, as that of a mounted secret does', async (t) => {
	const dir = await folder(t);
	for (const text of ['one', 'two']) {
		await mkdir(join(dir, text));
		await writeFile(join(dir, text, 'tls.crt'), text);
	}
	await symlink('one', join(dir, '..data'));
	await symlink(join('..data', 'tls.crt'), join(dir, 'tls.crt'));
	const { reloading } = watching(t, join(dir, 'tls.crt'));
	await symlink('two', join(dir, '..data_tmp'));
	await rename(join(dir, '..data_tmp'), join(dir, '..data'));
	await eventually('the new text', () => reloading.current === 'two');
});

test('a file that is bad or gone changes nothing, is logged once, and may get right again', async (t) => {
	const file = join(await folder(t), 'file');
	await writeFile(file, 'one');
	const { reloading, log, loads } = watching(t, file);
	const errors = () => log.lines.filter(({ level }) => level === 'error').map(({ reason }) => reason);
	await writeFile(file, 'bad, and longer');
	await eventually('the fault is logged', () => errors().length === 1);
	assert.equal(reloading.current, 'one');
	await writeFile(`${file}2`, 'bad');
	await rename(`${file}2`, file);
	await eventually('the other bad file is read', () => loads() === 3);
	assert.equal(errors().length, 1);
	await rm(file);
	await eventually('that it is gone is logged', () => errors().length === 2);
	assert.match(String(errors()[0]), /file: is bad$/);
	assert.match(String(errors()[1]), /ENOENT/);
	assert.equal(reloading.current, 'one');
	await writeFile(file, 'two');
	await eventually('the new text', () => reloading.current === 'two');
	assert.equal(errors().length, 2);
});

test('asked for, files are read at once, and a fault that is known is told again', async (t) => {
	const file = join(await folder(t), 'file');
	await writeFile(file, 'one');
	const { reloading, log } = watching(t, file);
	await writeFile(file, 'bad');
	reloading.reload();
	reloading.reload();
	assert.equal(log.lines.filter(({ level }) => level === 'error').length, 2);
	await writeFile(file, 'two');
	reloading.reload();
	assert.equal(reloading.current, 'two');
});

test('what cannot be loaded at first throws, and is not looked at again', async (t) => {
	const file = join(await folder(t), 'file');
	await writeFile(file, 'bad');
	assert.throws(() => watching(t, file), /is bad/);
});

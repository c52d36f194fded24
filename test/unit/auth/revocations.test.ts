/** What is revoked, and the file that keeps it: restarts, crashes, damage, several hubs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { REVOCATIONS_FILE, Revocations } from '../../../src/auth/revocations.ts';
import { UsageError } from '../../../src/shared/errors.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { startNode } from '../../helpers/cli.ts';
import { eventually, LogSink } from '../../helpers/stack.ts';

const ID = '0123456789abcdef01234567';
const OTHER_ID = '76543210fedcba9876543210';
const SOURCE = new URL('../../../src/auth/revocations.ts', import.meta.url).href;
const NOW = Date.UTC(2030, 0, 1);

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-revocations-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

async function open(t: TestContext, directory: string | undefined, changed?: () => void): Promise<Revocations> {
	const revocations = await Revocations.open({ directory, logger: silentLogger, ...(changed && { changed }) });
	t.after(() => revocations.close());
	return revocations;
}

function claims(tokenId: string, name: string, issuedAt: number) {
	return { tokenId, name, issuedAt: new Date(issuedAt) };
}

test('an id covers its token and no other, whatever their names and times', async (t) => {
	const revocations = await open(t, undefined);
	revocations.add({ tokenId: ID }, NOW);
	assert.equal(revocations.covers(claims(ID, 'a', NOW + 1000)), true);
	assert.equal(revocations.covers(claims(OTHER_ID, 'a', NOW - 1000)), false);
	assert.equal(revocations.covers(claims(OTHER_ID, ID, NOW - 1000)), false);
});

test('a name covers the tokens that were issued until it was revoked, and those after that once it is revoked again', async (t) => {
	const revocations = await open(t, undefined);
	revocations.add({ name: 'gpu 1' }, NOW);
	assert.equal(revocations.covers(claims(ID, 'gpu 1', NOW - 1)), true);
	assert.equal(revocations.covers(claims(ID, 'gpu 1', NOW)), true);
	assert.equal(revocations.covers(claims(ID, 'gpu 1', NOW + 1)), false);
	assert.equal(revocations.covers(claims(ID, 'gpu 2', NOW - 1)), false);
	revocations.add({ name: 'gpu 1' }, NOW + 10);
	assert.equal(revocations.covers(claims(ID, 'gpu 1', NOW + 1)), true);
	// A clock that was put back takes nothing back.
	revocations.add({ name: 'gpu 1' }, NOW - 10);
	assert.equal(revocations.covers(claims(ID, 'gpu 1', NOW + 1)), true);
	assert.equal(revocations.list.length, 1);
});

test('what no token can be called is refused', async (t) => {
	const revocations = await open(t, undefined);
	for (const target of [
		{ tokenId: 'zz' },
		{ tokenId: `${ID}0` },
		{ name: '' },
		{ name: 'a\nb' },
		{ name: 'x'.repeat(129) },
	]) {
		assert.throws(() => revocations.add(target), UsageError, JSON.stringify(target));
	}
	assert.deepEqual(revocations.list, []);
});

test('what was saved is there after a restart, in a file that only its owner can read', async (t) => {
	const directory = join(await folder(t), 'made', 'on the way');
	const before = await open(t, directory);
	before.add({ tokenId: ID }, NOW);
	before.add({ name: 'ä "b" \\ 模型' }, NOW + 1);
	await before.save();
	const after = await open(t, directory);
	assert.deepEqual(after.list, [
		{ tokenId: ID, revokedAt: '2030-01-01T00:00:00.000Z' },
		{ name: 'ä "b" \\ 模型', revokedAt: '2030-01-01T00:00:00.001Z' },
	]);
	assert.equal((await stat(join(directory, REVOCATIONS_FILE))).mode & 0o777, 0o600);
	assert.deepEqual(await readdir(directory), [REVOCATIONS_FILE]);
});

test('a process that is killed while it writes loses nothing that was saved, and leaves no half file', async (t) => {
	const directory = await folder(t);
	const script = `
		const { Revocations } = await import(${JSON.stringify(SOURCE)});
		const logger = { error() {} };
		const revocations = await Revocations.open({ directory: ${JSON.stringify(directory)}, logger });
		for (let count = revocations.list.length; ; count++) {
			revocations.add({ name: 'token ' + count });
			await revocations.save();
			process.stdout.write('saved ' + count + '.\\n');
		}`;
	for (let round = 0; round < 3; round++) {
		const child = startNode(['--input-type=module', '-e', script], { limit: 120_000 });
		await child.output(new RegExp(`(?:saved \\d+\\.\\n){${51 + round * 7}}`));
		child.child.kill('SIGKILL');
		const { stdout, stderr } = await child.exit;
		const last = Number(/saved (\d+)\.\n(?!.*saved \d+\.)/s.exec(stdout)?.[1]);
		assert.ok(last >= 50, stderr);
		const names = new Set((await open(t, directory)).list.map((entry) => 'name' in entry && entry.name));
		for (let count = 0; count <= last; count++) assert.ok(names.has(`token ${count}`), `token ${count} of ${last}`);
	}
});

test('a disk that takes only half of it leaves the file that was there, and nothing beside it', async (t) => {
	const directory = await folder(t);
	const before = await open(t, directory);
	for (let count = 0; count < 500; count++) before.add({ name: `token ${count}` });
	await before.save();
	const content = await readFile(join(directory, REVOCATIONS_FILE), 'utf8');
	const script = `
		const { Revocations } = await import(${JSON.stringify(SOURCE)});
		const logger = { error() {} };
		const revocations = await Revocations.open({ directory: ${JSON.stringify(directory)}, logger });
		revocations.add({ name: 'one more' });
		await revocations.save().then(() => 'saved', (error) => error.code).then(console.log);
		process.exit();`;
	// No file may be longer than 8 blocks, of 512 or 1024 bytes.
	const limited = ['-c', 'ulimit -f 8 && exec "$@"', 'sh', process.execPath];
	const node = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
	const env = { ...process.env, TSX_DISABLE_CACHE: '1' };
	const { stdout } = await promisify(execFile)('sh', [...limited, ...node], { env, timeout: 30_000 });
	assert.equal(stdout, 'EFBIG\n');
	assert.equal(await readFile(join(directory, REVOCATIONS_FILE), 'utf8'), content);
	assert.deepEqual(await readdir(directory), [REVOCATIONS_FILE]);
});

test('a file that is damaged is an error that names it, and is neither taken for empty nor written over', async (t) => {
	const entry = `{"tokenId":"${ID}","revokedAt":"2030-01-01T00:00:00Z"}`;
	const damaged: [string, RegExp][] = [
		['', /not JSON/],
		[`{"version":1,"revocations":[${entry}`, /not JSON/],
		['[]', /holds no list/],
		['{"version":1}', /holds no list/],
		[`{"version":2,"revocations":[${entry}]}`, /version is not 1/],
		['{"version":1,"revocations":[null]}', /entry 1 is no revocation/],
		[`{"version":1,"revocations":[${entry},{"name":"a","revokedAt":"soon"}]}`, /entry 2 is no revocation/],
		[`{"version":1,"revocations":[{"tokenId":"${ID}"}]}`, /entry 1 is no revocation/],
		[`{"version":1,"revocations":[{"revokedAt":"2030-01-01T00:00:00Z"}]}`, /entry 1 is no revocation/],
		[`{"version":1,"revocations":[${`${entry},`.repeat(10_000)}${entry}]}`, /more than 10000/],
		[' '.repeat(8 * 1024 * 1024 + 1), /larger than 8 MiB/],
	];
	const directory = await folder(t);
	const file = join(directory, REVOCATIONS_FILE);
	const running = await open(t, directory);
	running.add({ name: 'a' });
	for (const [content, fault] of damaged) {
		await writeFile(file, content);
		const isClear = (error: unknown) => {
			assert.ok(error instanceof UsageError);
			assert.ok(error.message.startsWith(`${file}: `), error.message);
			assert.match(error.message, fault);
			return true;
		};
		await assert.rejects(Revocations.open({ directory, logger: silentLogger }), isClear);
		await assert.rejects(running.save(), isClear);
		assert.equal(await readFile(file, 'utf8'), content);
	}
	await writeFile(file, `{"version":1,"revocations":[${entry}]}`);
	await running.save();
	assert.equal((await open(t, directory)).list.length, 2);
});

test('a file that cannot be read is an error, not an empty list', async (t) => {
	const directory = await folder(t);
	await mkdir(join(directory, REVOCATIONS_FILE));
	await assert.rejects(Revocations.open({ directory, logger: silentLogger }), { code: 'EISDIR' });
});

test('a folder that cannot be made fails the save; the revocation holds all the same', async (t) => {
	const blocked = join(await folder(t), 'state');
	const revocations = await open(t, blocked);
	await writeFile(blocked, 'no folder');
	revocations.add({ tokenId: ID });
	await assert.rejects(revocations.save(), { code: 'ENOTDIR' });
	assert.equal(revocations.covers(claims(ID, 'a', NOW)), true);
	// The next one is not held up by it.
	await rm(blocked);
	await revocations.save();
	assert.equal((await open(t, blocked)).covers(claims(ID, 'a', NOW)), true);
});

test('hubs that share a folder learn of each other’s revocations, and lose none when both write', async (t) => {
	const directory = await folder(t);
	let told = 0;
	const one = await open(t, directory, () => told++);
	const two = await open(t, directory);
	two.add({ tokenId: ID });
	await two.save();
	await eventually('the other one has read it', () => told > 0);
	assert.equal(one.covers(claims(ID, 'a', NOW)), true);

	const saves = [];
	for (let count = 0; count < 20; count++) {
		for (const [index, hub] of [one, two].entries()) {
			hub.add({ name: `hub ${index} token ${count}` });
			saves.push(hub.save());
		}
	}
	await Promise.all(saves);
	await eventually('both have all', () => one.list.length === 41 && two.list.length === 41);
	const kept = () => readFile(join(directory, REVOCATIONS_FILE), 'utf8');
	let content = '';
	await eventually('the file has all', () => {
		// It is gone once this test is over.
		kept().then(
			(text) => {
				content = text;
			},
			() => undefined,
		);
		return content.split('revokedAt').length === 42;
	});
});

test('a file that is removed or damaged under a running hub takes nothing back', async (t) => {
	const directory = await folder(t);
	const file = join(directory, REVOCATIONS_FILE);
	const log = new LogSink();
	const hub = await Revocations.open({ directory, logger: log.logger });
	t.after(() => hub.close());
	hub.add({ tokenId: ID });
	await hub.save();
	await writeFile(file, '{');
	await hub.reread();
	await hub.reread();
	assert.equal(log.lines.filter(({ msg }) => String(msg).includes('not read again')).length, 1);
	assert.equal(hub.covers(claims(ID, 'a', NOW)), true);
	await rm(file);
	await hub.reread();
	assert.equal((await open(t, directory)).covers(claims(ID, 'a', NOW)), true);
});

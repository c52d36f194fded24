/** What systemd is told, in which order and how often; the program that tells it is a script which writes it down. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Notifier, type NotifierOptions } from '../../../src/cli/notify.ts';
import { eventually, LogSink } from '../../helpers/stack.ts';

/** Where the messages go is where systemd's socket would be. */
const WRITES_DOWN = 'printf "%s\\n" "$*" >> "$NOTIFY_SOCKET"';

interface Scene {
	readonly notifier: Notifier;
	readonly env: NodeJS.ProcessEnv;
	readonly log: LogSink;
	messages(): Promise<string[]>;
	/** The same, once that is so. */
	until(told: (messages: readonly string[]) => boolean): Promise<string[]>;
}

/** Milliseconds after which what was not told is a fault. */
const LONG = 60_000;

/** @param script what the program does; null for none at all */
async function scene(
	context: TestContext,
	script: string | null = WRITES_DOWN,
	env: NodeJS.ProcessEnv = {},
	options: Partial<NotifierOptions> = {},
): Promise<Scene> {
	const folder = await mkdtemp(join(tmpdir(), 'slime-notify-'));
	context.after(() => rm(folder, { recursive: true, force: true }));
	if (script !== null) {
		await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\n${script}\n`);
		await chmod(join(folder, 'systemd-notify'), 0o755);
	}
	const socket = join(folder, 'messages');
	await writeFile(socket, '');
	const log = new LogSink();
	const given = { NOTIFY_SOCKET: socket, PATH: folder, SLIME_HUB_SECRET: 'not for others', ...env };
	const notifier = Notifier.from({ env: given, pid: 123, logger: log.logger, ...options });
	assert.ok(notifier);
	context.after(() => notifier.close());
	const messages = async () => (await readFile(socket, 'utf8')).split('\n').slice(0, -1);
	return {
		notifier,
		env: given,
		log,
		messages,
		async until(told) {
			const deadline = performance.now() + LONG;
			for (;;) {
				const now = await messages();
				if (told(now)) return now;
				assert.ok(performance.now() < deadline, `told for ${LONG} ms: ${now}`);
			}
		},
	};
}

test('every change of state is told, in order, and closing waits until it is', async (t) => {
	const { notifier, messages } = await scene(t);
	const before = process.hrtime.bigint() / 1000n;
	notifier.ready(() => 'fine');
	notifier.reloading();
	notifier.reloaded();
	notifier.stopping(30_000);
	const after = process.hrtime.bigint() / 1000n;
	await notifier.close();
	const told = await messages();
	const reload = /^RELOADING=1 MONOTONIC_USEC=(\d+)$/.exec(told[1] ?? '');
	const at = BigInt(reload?.[1] ?? 0);
	assert.ok(before <= at && at <= after, `${before} ${told[1]} ${after}`);
	assert.deepEqual(told.toSpliced(1, 1), [
		'MAINPID=123 READY=1 STATUS=fine',
		'READY=1 STATUS=fine',
		'STOPPING=1 EXTEND_TIMEOUT_USEC=40000000 STATUS=draining',
	]);
});

test('a reload that is under way when the service stops is not said to be over', async (t) => {
	const { notifier, messages } = await scene(t);
	notifier.ready(() => 'fine');
	notifier.reloading();
	notifier.stopping(0);
	notifier.reloaded();
	notifier.reloading();
	await notifier.close();
	const kinds = (await messages()).map((message) => /[A-Z]+=1/.exec(message.replace(/^MAINPID=123 /, ''))?.[0]);
	assert.deepEqual(kinds, ['READY=1', 'RELOADING=1', 'STOPPING=1']);
});

test('the program is told nothing of the environment but what it needs, and no other child is told of it', async (t) => {
	// Without PWD and what else a shell makes up.
	const { notifier, env, messages } = await scene(
		t,
		'export -p | while read -r line; do echo "$line" >> "$NOTIFY_SOCKET"; done',
	);
	assert.deepEqual(Object.keys(env).sort(), ['PATH', 'SLIME_HUB_SECRET']);
	notifier.ready(() => '');
	await notifier.close();
	const names = (await messages()).map((line) => line.replace(/^(?:export|declare -x) /, '').replace(/=.*/, ''));
	assert.deepEqual(names.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name)).sort(), [
		'NOTIFY_SOCKET',
		'PATH',
	]);
});

test('a status is told when it has changed, and only the newest however often it does', async (t) => {
	const { notifier, messages, until } = await scene(t, undefined, {}, { statusInterval: 300 });
	let status = 0;
	const turns = setInterval(() => status++, 1);
	t.after(() => clearInterval(turns));
	const began = performance.now();
	notifier.ready(() => `${status}`);
	await until(({ length }) => length >= 4);
	// The first one is told with READY.
	assert.ok(performance.now() - began >= 3 * 300 - 5, 'sooner than in three intervals');
	clearInterval(turns);
	const last = `STATUS=${status}`;
	const { length: many } = await until((told) => told.at(-1) === last);
	// Nothing changes: two more intervals, by another timer of the same length, and nothing is told.
	await new Promise((resolve) => setTimeout(resolve, 650));
	assert.equal((await messages()).length, many);
});

test('a sign of life is given twice in the time that systemd allows, unless another process is meant', async (t) => {
	const watched = await scene(t, undefined, { WATCHDOG_USEC: '600000', WATCHDOG_PID: '123' });
	const other = await scene(t, undefined, { WATCHDOG_USEC: '600000', WATCHDOG_PID: '124' });
	watched.notifier.ready(() => 'fine');
	other.notifier.ready(() => 'fine');
	const told = await watched.until(({ length }) => length >= 4);
	assert.deepEqual(told.slice(1, 4), ['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
	assert.equal((await other.messages()).length, 1);
});

test('a program that is missing is one warning, and nothing is tried again', async (t) => {
	const { notifier, log } = await scene(t, null, { WATCHDOG_USEC: '500000' }, { statusInterval: 10 });
	let looked = 0;
	notifier.ready(() => `${looked++}`);
	await eventually('it is said', () => log.lines.length > 0);
	const then = looked;
	notifier.stopping(0);
	await notifier.close();
	assert.equal(looked, then);
	assert.deepEqual(
		log.lines.map(({ level, msg, reason }) => [level, msg, reason]),
		[
			[
				'warn',
				'systemd is told nothing: install the program, or write Type=exec instead of notify',
				'systemd-notify cannot be run (ENOENT)',
			],
		],
	);
});

test('a program that fails is one warning until it works again, with what it said', async (t) => {
	const fails = `case "$*" in RELOADING*|*stop*) echo "No such socket" >&2; exit 1;; esac; ${WRITES_DOWN}`;
	const { notifier, log, messages } = await scene(t, fails);
	notifier.ready(() => 'fine');
	notifier.reloading();
	notifier.reloading();
	notifier.reloaded();
	notifier.reloading();
	await notifier.close();
	assert.deepEqual(await messages(), ['MAINPID=123 READY=1 STATUS=fine', 'READY=1 STATUS=fine']);
	assert.deepEqual(
		log.lines.map(({ msg, reason }) => [msg, reason]),
		Array.from({ length: 2 }, () => ['systemd could not be told', 'systemd-notify: No such socket']),
	);
});

test('a program that hangs is ended, and the next message goes out', async (t) => {
	const hangs = `case "$*" in *READY*) while :; do :; done;; esac; ${WRITES_DOWN}`;
	const { notifier, log, until } = await scene(t, hangs, {}, { limit: 3000 });
	notifier.ready(() => 'fine');
	notifier.reloading();
	const [told = ''] = await until(({ length }) => length >= 1);
	assert.match(told, /^RELOADING=1/);
	assert.deepEqual(
		log.lines.map(({ reason }) => reason),
		['systemd-notify: no end after 3 s'],
	);
});

test('without NOTIFY_SOCKET there is nobody to tell', () => {
	const { logger } = new LogSink();
	assert.equal(Notifier.from({ env: { WATCHDOG_USEC: '1000000' }, pid: 1, logger }), null);
	assert.equal(Notifier.from({ env: { NOTIFY_SOCKET: '' }, pid: 1, logger }), null);
});

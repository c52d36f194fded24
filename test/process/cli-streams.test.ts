/** Streams and signals of the program: readers that go or pause, draining, the form of the log. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startCli, startNode } from '../helpers/cli.ts';

test('a reader that goes away is no crash', async () => {
	for (const args of [['hub', 'run', '--help'], ['version'], ['hub', 'register', '--secret', 'abc']]) {
		const { child, exit } = startCli(args);
		child.stdout?.destroy();
		const { code, stderr } = await exit;
		assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '));
	}
});

const serve = new URL('../../src/cli/service.ts', import.meta.url).href;
const logger = new URL('../../src/shared/logger.ts', import.meta.url).href;

/** A service whose drain ends when it is told to, under the signals of the command line. */
const SERVICE = `
	import { serve } from '${serve}';
	import { createConsoleLogger } from '${logger}';
	const log = await createConsoleLogger('info');
	const service = { drain: () => new Promise((resolve) => process.env.DRAINS && resolve()) };
	const alive = setInterval(() => {}, 60_000);
	const running = serve(async () => (log.info('started'), service), log);
	process.exit(await running);
`;

test('the first signal drains and ends with 0', async () => {
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		const args = ['--input-type=module', '--eval', SERVICE];
		const { child, exit, output } = startNode(args, { env: { DRAINS: '1' } });
		await output(/"started"/);
		child.kill(signal);
		const { code, stdout, stderr } = await exit;
		assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
		const lines = stdout
			.trimEnd()
			.split('\n')
			.map((line): Record<string, unknown> => JSON.parse(line));
		assert.deepEqual(
			lines.map(({ msg }) => msg),
			['started', 'draining', 'stopped'],
		);
		assert.equal(lines[1]?.signal, signal);
	}
});

test('a second signal ends at once with 1', async () => {
	const { child, output } = startNode(['--input-type=module', '--eval', SERVICE]);
	await output(/"started"/);
	child.kill('SIGTERM');
	await output(/"draining"/);
	child.kill('SIGINT');
	const [code] = await once(child, 'exit');
	assert.equal(code, 1);
});

test('a log whose reader has gone keeps nothing from ending', async () => {
	const { child, exit, output } = startNode(['--input-type=module', '--eval', SERVICE], { env: { DRAINS: '1' } });
	await output(/"started"/);
	child.stdout?.destroy();
	child.kill('SIGTERM');
	const { code, stderr } = await exit;
	assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('a log whose reader pauses stops nothing, and is whole when it is read', async () => {
	const script = `import { createConsoleLogger } from '${logger}';
		const log = await createConsoleLogger('info');
		for (let line = 0; line < 2000; line++) log.info({ line, filling: 'x'.repeat(1000) }, 'much');
		process.stderr.write('went on');
		setInterval(() => {}, 60_000);
		process.on('SIGTERM', () => process.exit(0));`;
	const { child, exit, output } = startNode(['--input-type=module', '--eval', script]);
	child.stdout?.pause();
	if (child.stderr) await once(child.stderr, 'data');
	child.stdout?.resume();
	await output(/"line":1999,.*\n/);
	child.kill('SIGTERM');
	const { stdout } = await exit;
	const lines = stdout
		.trimEnd()
		.split('\n')
		.map((line): { line: number } => JSON.parse(line));
	assert.deepEqual(
		lines.map(({ line }) => line),
		Array.from({ length: 2000 }, (_, line) => line),
	);
});

test('a log that is no terminal is JSON lines with a level in words and a time in ISO form', async () => {
	const script = `import { createConsoleLogger } from '${logger}';
		const log = await createConsoleLogger('debug');
		log.warn({ port: 1 }, 'hello'); log.trace('unseen');`;
	const { stdout } = await startNode(['--input-type=module', '--eval', script]).exit;
	const { time, ...line } = JSON.parse(stdout);
	assert.deepEqual(line, { level: 'warn', port: 1, msg: 'hello' });
	assert.equal(new Date(time).toISOString(), time);
});

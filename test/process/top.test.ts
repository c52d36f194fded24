/** `top` and `status --watch` as processes, on a terminal and in a pipe, beside a hub of this one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli, startCli } from '../helpers/cli.ts';
import { closedPort } from '../helpers/ports.ts';
import { Arrivals, ask, eventually, stack, upstream, WAITS } from '../helpers/stack.ts';
import { onTerminal } from '../helpers/terminal.ts';

const HUB = { hub: { adminPort: 0 } };
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

test('on a terminal requests come and go, waiting ones last, until q; then it is as it was before', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t, [], HUB);
	await join(service.address, { agentID: 'gpu-7' });
	const first = ask(port, '/v1/first');
	const [, res] = await arrivals.next();
	const second = ask(port, '/v1/second', { headers: WAITS });
	await eventually('it waits', () => hub.waiting === 1);

	const top = onTerminal(t, ['top', '--adminPort', `${hub.adminPort}`, '--interval', '100ms']);
	await top.shows(/sent .*gpu-7 .*GET +\/v1\/first .*\r\n *waiting .*GET +\/v1\/second /s);
	assert.ok(top.written.startsWith(ENTER), JSON.stringify(top.written.slice(0, 100)));
	res.writeHead(200).write('begun');
	await top.shows(/answering .* 200 +GET +\/v1\/first /);
	res.end();
	await first;
	await top.shows(/sent .*gpu-7 .*\/v1\/second /);
	assert.doesNotMatch(top.screen, /first/);
	(await arrivals.next())[1].end();
	await second;
	// Nothing is blank between two pictures: each is drawn over the one before.
	assert.doesNotMatch(top.written, /\u005b2J/);
	top.press('q');
	assert.equal(await top.ended, 0);
	assert.ok(top.written.endsWith(LEAVE), JSON.stringify(top.written.slice(-100)));
});

test('what does not fit is cut, Ctrl-C ends it, and a hub that is gone is said above what was there', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t, [], HUB);
	await join(Array<string>(20).fill(service.address), { agentID: 'gpu' });
	const args = ['status', '--watch', '--adminPort', `${hub.adminPort}`, '--interval', '100ms'];
	const watch = onTerminal(t, args, 40, 10);
	await watch.shows(/AGENT[^\n]*…\r\ngpu /);
	await watch.shows(/\r\n… 15 more$/);
	for (const line of watch.screen.split('\r\n')) assert.ok(line.length <= 40, line);
	await hub.close();
	await watch.shows(/^no hub answers at [^\n]+\r\n\r\n +HUB/);
	watch.press('\u0003');
	assert.equal(await watch.ended, 0);
	assert.ok(watch.written.endsWith(LEAVE));
});

test('in a pipe the status is printed again and again without a word to a terminal, until nobody reads it', async (t) => {
	const { hub } = await stack(t, [], HUB);
	const args = ['status', '--watch', '--adminPort', `${hub.adminPort}`, '--interval', '100ms'];
	const watch = startCli(args);
	await watch.output(/(?:HUB\tSTATE.*){3}/s);
	assert.equal(watch.stdout.includes('\u001b'), false);
	watch.child.kill('SIGTERM');
	assert.equal((await watch.exit).code, 0);
	const json = startCli([...args, '--json']);
	await json.output(/(?:\{.*\}\n){2}/);
	json.child.stdout?.destroy();
	assert.equal((await json.exit).code, 0);
	for (const line of json.stdout.split('\n').slice(0, 2)) assert.equal(JSON.parse(line).queue.max, 1024);
});

test('in a pipe top prints the requests of this moment, once', async (t) => {
	const { hub, port } = await stack(t, [], HUB);
	const leaving = new AbortController();
	const headers = { ...WAITS, 'x-request-id': 'one', 'slime-scope': 'x' };
	ask(port, '/v1/waits', { headers, signal: leaving.signal }).catch(() => undefined);
	await eventually('it waits', () => hub.waiting === 1);
	const top = ['top', '--adminPort', `${hub.adminPort}`];
	const { code, stdout, stderr } = await runCli(top);
	assert.equal(code, 0, stderr);
	const [, , , head, row, ...rest] = stdout.split('\n').map((line) => line.split('\t'));
	assert.deepEqual(head?.slice(0, 4), ['STATE', 'AGE', 'QUEUED', 'AGENT']);
	assert.deepEqual(
		[row?.[0], ...(row ?? []).slice(3)],
		['waiting', '-', '-', 'GET', '/v1/waits', 'x', '-', '127.0.0.1', 'one'],
	);
	assert.deepEqual(rest, [['']]);
	const { requests } = JSON.parse((await runCli([...top, '--json'])).stdout);
	assert.equal(requests[0].id, 'one');
	leaving.abort();
});

test('without a hub, or with an interval that is none, it is one line on stderr', async () => {
	for (const command of [['top'], ['status', '--watch']]) {
		const none = await runCli([...command, '--adminPort', `${await closedPort()}`]);
		assert.deepEqual([none.code, none.stdout], [1, '']);
		assert.match(none.stderr, /^slime: no hub answers at [^\n]+\n$/);
	}
	for (const [interval, fault] of [
		['soon', /^--interval: "soon" is not a duration/],
		['1ms', /^--interval: is out of range: write 100ms to 1d\n$/],
	] as const) {
		const { code, stderr } = await runCli(['top', '--interval', interval]);
		assert.equal(code, 2);
		assert.match(stderr, fault);
	}
});

/** Hubs on a socket that they were passed: one is restarted, or another takes over, under load, and no app sees an error. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { APPS, AppLoad } from '../helpers/app-load.ts';
import type { CliProcess } from '../helpers/cli.ts';
import { joined } from '../helpers/hub-process.ts';
import { PassedSocket } from '../helpers/passed-socket.ts';
import {
	Arrivals,
	ask,
	eventually,
	type LogSink,
	RawClient,
	type Upstream,
	upstream,
	WAITS,
} from '../helpers/stack.ts';

/** Nobody has to wait, unless for an agent. */
const WORKERS = APPS + 2;
const LIMIT = { timeout: 180_000 };

async function stopped({ exit }: CliProcess): Promise<void> {
	const { code, stdout, stderr } = await exit;
	assert.equal(code, 0, stdout);
	assert.equal(stderr, '');
}

/** Answers in two parts, but for /held, whose answers are the test's. */
async function service(context: TestContext, held: Arrivals): Promise<Upstream> {
	return upstream(context, (req, res) => {
		if (req.url === '/held') {
			held.handler(req, res);
			return;
		}
		req.resume();
		res.write('part');
		setTimeout(() => res.end('rest'), 3);
	});
}

function times({ lines }: LogSink, text: string): number {
	return lines.filter(({ msg }) => msg === text).length;
}

test(
	'a hub is restarted on its socket under load: apps wait in the backlog, and none sees an error',
	LIMIT,
	async (t) => {
		const socket = await PassedSocket.open(t, 2);
		const one = await service(t, new Arrivals());
		const before = await socket.startHub();
		const { log } = await joined(t, socket.port, [one.address], { numWorker: WORKERS });
		const load = new AppLoad(t, socket.port);
		await load.more(50);
		before.child.kill('SIGTERM');
		await stopped(before);
		const { served } = load;
		const after = await socket.startHub();
		await load.more(50);
		await load.stop();
		assert.deepEqual(load.failures, []);
		assert.ok(one.peak <= WORKERS, `${one.peak} at once`);
		assert.equal(times(log, 'the hub hands over to another one'), 1);
		assert.ok(served > 50);
		after.child.kill('SIGTERM');
		await stopped(after);
	},
);

test('a second hub takes over at once, under load, while a response of the first goes on', LIMIT, async (t) => {
	const socket = await PassedSocket.open(t, 2);
	const held = new Arrivals();
	const one = await service(t, held);
	const first = await socket.startHub();
	const { log } = await joined(t, socket.port, [one.address], { numWorker: WORKERS });
	const load = new AppLoad(t, socket.port);
	await load.more(50);
	const client = await RawClient.open(t, socket.port);
	client.send('GET /held HTTP/1.1\r\nHost: a\r\n\r\n');
	const [, res] = await held.next();
	res.write('half');
	await client.sees('half');
	await socket.startHub();
	first.child.kill('SIGTERM');
	await eventually('the agent has joined the second', () => times(log, 'connected') === 2);
	await load.more(200);
	assert.equal(first.child.exitCode, null, 'the first one waits for its response');
	assert.equal(times(log, 'the hub is leaving'), 0, 'the agent is at both');
	res.end('whole');
	assert.match(await client.all(), /\r\n4\r\nhalf\r\n5\r\nwhole\r\n0\r\n\r\n$/);
	await stopped(first);
	await load.more(50);
	await load.stop();
	assert.deepEqual(load.failures, []);
	assert.ok(one.peak <= WORKERS, `${one.peak} at once`);
	assert.deepEqual([times(log, 'the hub is leaving'), log.has('disconnected')], [0, false]);
});

test(
	'what waits at a hub that hands over is served, by an agent that serves the next one already',
	LIMIT,
	async (t) => {
		const socket = await PassedSocket.open(t, 2);
		const held = new Arrivals();
		const one = await service(t, held);
		const first = await socket.startHub();
		// Shorter than it takes until the next one is there.
		const { log } = await joined(t, socket.port, [one.address], { connectTimeout: 500 });
		log.lines.length = 0;
		const running = ask(socket.port, '/held');
		const [, res] = await held.next();
		const waiting = ask(socket.port, '/', { headers: WAITS });
		// Whoever asks later and will not wait is answered after the hub has put the other in its queue.
		assert.equal((await ask(socket.port)).headers['slime-error'], 'busy');
		first.child.kill('SIGTERM');
		await first.output(/"draining"/);
		const next = ask(socket.port, '/', { headers: WAITS });
		await socket.startHub();
		await eventually('the agent has joined the second', () => log.has('connected'));
		res.end('done');
		const bodies = (await Promise.all([running, waiting, next])).map(({ body }) => body);
		assert.deepEqual(bodies, ['done', 'partrest', 'partrest']);
		assert.equal(one.peak, 1);
		assert.ok(!log.has('not connected'), 'it stayed in line where the next one accepts');
		await stopped(first);
	},
);

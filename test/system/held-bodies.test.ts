/** Which requests wait without saying so, and how much of their bodies a hub holds meanwhile. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { Arrivals, ask, assertError, eventually, readAnswer, stack, upstream, workerFree } from '../helpers/stack.ts';

const MiB = 1024 * 1024;

test('with queue.mode always a request waits unless it says Slime-Block: 0', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address], {
		hub: { queue: { mode: 'always', max: 1024, timeout: 300_000, maxBytes: MiB } },
	});
	const first = ask(port, '/first');
	const [, res] = await arrivals.next();
	const second = ask(port, '/second');
	await eventually('it waits', () => hub.waiting === 1);
	for (const word of ['0', 'false', '']) {
		assertError(await ask(port, '/third', { headers: { 'slime-block': word } }), 503, 'busy');
	}
	res.end('1');
	assert.equal((await first).body, '1');
	const [req, next] = await arrivals.next();
	assert.equal(req.url, '/second');
	next.end('2');
	assert.equal((await second).body, '2');
	assert.equal(service.served, 2);
});

test('past queue.maxBytes apps whose requests wait are paused, not failed, and all are served', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const maxBytes = 4 * MiB;
	const apps = 8;
	const body = Buffer.alloc(24 * MiB, 'a');
	const { port, hub } = await stack(t, [service.address], {
		hub: { queue: { mode: 'header', max: 1024, timeout: 300_000, maxBytes } },
	});
	const first = ask(port);
	const [, res] = await arrivals.next();
	const before = process.memoryUsage().arrayBuffers;
	const waiting: ClientRequest[] = [];
	for (let i = 0; i < apps; i++) {
		const headers = { 'slime-block': '1', 'content-length': body.length };
		const req = request({ host: '127.0.0.1', port, method: 'POST', headers, agent: false });
		t.after(() => req.destroy());
		req.end(body);
		waiting.push(req);
		await eventually('it waits', () => hub.waiting === i + 1);
	}
	// What left the apps is in the hub or in the buffers of their sockets: it stands still once those are full.
	const left = () =>
		waiting.reduce((sum, { socket }) => sum + (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0), 0);
	let last = -1;
	let since = performance.now();
	await eventually('the apps stand still', () => {
		if (left() !== last) since = performance.now();
		last = left();
		return performance.now() - since > 300;
	});
	const held = process.memoryUsage().arrayBuffers - before;
	// Each may go over by what is read at once; a limit for each alone would let 8 MiB a request in.
	assert.ok(held < maxBytes + apps * MiB, `${held} bytes are held`);
	assert.equal(hub.waiting, apps);
	const answers = waiting.map(async (req) => {
		const [answered] = (await once(req, 'response')) as [IncomingMessage];
		return readAnswer(answered);
	});
	res.end();
	await first;
	for (let i = 0; i < apps; i++) {
		const [req, next] = await arrivals.next();
		let bytes = 0;
		for await (const chunk of req) bytes += (chunk as Buffer).length;
		next.end(String(bytes));
	}
	for (const answer of await Promise.all(answers))
		assert.equal(`${answer.status} ${answer.body}`, `200 ${body.length}`);
	await workerFree(hub);
});

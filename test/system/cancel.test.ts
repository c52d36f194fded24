/** An app that goes away stops the upstream's work, wherever its request is, and frees the slot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals, ask, eventually, RawClient, stack, upstream, workerFree } from '../helpers/stack.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';

for (const [what, request] of Object.entries({
	'with a request without body': GET,
	'while it sends its body': `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}`,
})) {
	for (const when of ['before the response', 'in the middle of the response'] as const) {
		for (const how of ['fin', 'reset'] as const) {
			test(`an app that leaves ${what}, ${when}, by ${how}, stops the upstream and frees the slot`, async (t) => {
				const arrivals = new Arrivals();
				const service = await upstream(t, arrivals.handler);
				const { port, hub } = await stack(t, [service.address]);
				const client = await RawClient.open(t, port);
				client.send(request);
				const [req, res] = await arrivals.next();
				req.resume();
				if (when === 'in the middle of the response') {
					res.write('part');
					await client.sees('part');
				}
				const began = performance.now();
				if (how === 'fin') client.socket.end();
				else client.socket.resetAndDestroy();
				await eventually('the upstream saw its connection close', () => service.active === 0);
				// 100 ms by contract; the rest is for a busy machine, on which nothing else ends it any sooner.
				assert.ok(performance.now() - began < 10_000);
				await workerFree(hub);
				void arrivals.next().then(([, next]) => next.end('next'));
				// It may have to wait for the moment until the agent says that its worker has stopped.
				const headers = { 'slime-block': '1' };
				assert.equal((await ask(port, '/', { headers })).body, 'next');
				assert.equal(service.peak, 1);
			});
		}
	}
}

for (const [what, request] of Object.entries({
	'without body': 'GET /gone HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n\r\n',
	'with a body': `POST /gone HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n${CHUNKED}`,
})) {
	test(`an app that leaves while its request ${what} waits in the queue is forgotten`, async (t) => {
		const arrivals = new Arrivals();
		const service = await upstream(t, arrivals.handler);
		const { port, hub } = await stack(t, [service.address]);
		const first = ask(port);
		const [, res] = await arrivals.next();
		const client = await RawClient.open(t, port);
		client.send(request);
		await eventually('one waits', () => hub.waiting === 1);
		client.socket.destroy();
		await eventually('nobody waits', () => hub.waiting === 0);
		res.end('1');
		await first;
		await workerFree(hub);
		assert.equal(service.served, 1);
	});
}

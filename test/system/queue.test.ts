/** Who waits for a worker, in which order, and which agent a request may go to. */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Arrivals, ask, assertError, eventually, stack, upstream, WAITS } from '../helpers/stack.ts';

for (const [order, urgencies, expected] of [
	['first come, first served', [undefined, undefined, undefined, undefined], ['/0', '/1', '/2', '/3']],
	['by priority', ['u=5', 'u=0', 'u=7, i', 'u=0'], ['/1', '/3', '/0', '/2']],
] as const) {
	test(`waiting requests are served ${order}`, async (t) => {
		const arrivals = new Arrivals();
		const service = await upstream(t, arrivals.handler);
		const { port, hub } = await stack(t, [service.address]);
		const first = ask(port, '/first');
		let [, res] = await arrivals.next();
		const waiting: Array<Promise<unknown>> = [];
		for (const [i, priority] of urgencies.entries()) {
			waiting.push(ask(port, `/${i}`, { headers: { ...WAITS, ...(priority && { priority }) } }));
			await eventually('it waits', () => hub.waiting === i + 1);
		}
		const served: unknown[] = [];
		for (let i = 0; i < 4; i++) {
			res.end();
			const [req, next] = await arrivals.next();
			served.push(req.url);
			res = next;
		}
		res.end();
		await Promise.all([first, ...waiting]);
		assert.deepEqual(served, expected);
	});
}

test('a request waits for an agent that is yet to come', async (t) => {
	const service = await upstream(t, (req, res) => void req.pipe(res));
	const { port, hub, join } = await stack(t);
	const answer = ask(port, '/', { method: 'POST', body: 'early', headers: WAITS });
	await eventually('it waits', () => hub.waiting === 1);
	await join(service.address);
	assert.equal((await answer).body, 'early');
});

test('a response that waited says at which position and how long, and so does the log', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, log } = await stack(t, [service.address]);
	const first = ask(port);
	const [, res] = await arrivals.next();
	const waiting = [];
	for (let i = 0; i < 2; i++) {
		waiting.push(ask(port, '/', { headers: WAITS }));
		await eventually('it waits', () => hub.waiting === i + 1);
	}
	const began = performance.now();
	await sleep(50);
	res.end();
	assert.equal((await first).headers['server-timing'], undefined);
	for (const [i, one] of waiting.entries()) {
		const [, next] = await arrivals.next();
		const waited = performance.now() - began;
		next.setHeader('server-timing', 'model;dur=7');
		next.end();
		const { headers } = await one;
		const told = /^model;dur=7, queue;dur=([\d.]+);desc="position (\d)"$/.exec(String(headers['server-timing']));
		assert.ok(told, String(headers['server-timing']));
		assert.equal(Number(told[2]), i + 1);
		assert.ok(Number(told[1]) >= 49, `${told[1]} ms`);
		// It began to wait some time before.
		assert.ok(Number(told[1]) < waited + 5000, `${told[1]} ms`);
	}
	const logged = () => log.lines.filter(({ msg, position }) => msg === 'request' && position !== undefined);
	await eventually('both are logged', () => logged().length === 2);
	assert.deepEqual(
		logged().map(({ position }) => position),
		[1, 2],
	);
	for (const { queuedMs } of logged()) assert.ok(Number(queuedMs) >= 49, `${queuedMs} ms`);
});

test('Slime-Queue-Timeout shortens the wait and never lengthens it; what is no number of seconds is refused', async (t) => {
	const { port } = await stack(t, [], {
		hub: { queue: { mode: 'header', max: 9, timeout: 300, maxBytes: 1024 } },
	});
	const after = async (seconds: string) => {
		const began = performance.now();
		const answer = await ask(port, '/', { headers: { ...WAITS, 'slime-queue-timeout': seconds } });
		return [answer, performance.now() - began] as const;
	};
	const [short, soon] = await after('0.05');
	assertError(short, 503, 'queue_timeout');
	assert.ok(soon >= 49, `${soon} ms`);
	const [long, later] = await after('100');
	assertError(long, 503, 'queue_timeout');
	assert.ok(later >= 299 && later < 60_000, `${later} ms`);
	for (const wrong of ['soon', '-1', '1e9', '2,5']) assertError((await after(wrong))[0], 400, 'bad_request');
});

test('Retry-After tells by how fast workers come free how long to wait, 30 s at most', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address]);
	const running = ask(port);
	const [, res] = await arrivals.next();
	const seconds = async () => Number((await ask(port)).headers['retry-after']);
	assert.equal(await seconds(), 1, 'nobody waits');
	const leaving = new AbortController();
	setMaxListeners(0, leaving.signal);
	const waiting = Array.from({ length: 40 }, () =>
		ask(port, '/', { headers: WAITS, signal: leaving.signal }).catch(() => undefined),
	);
	await eventually('they wait', () => hub.waiting === 40);
	assert.equal(await seconds(), 30, 'and no worker came free yet');
	res.end();
	await running;
	for (let i = 0; i < 35; i++) (await arrivals.next())[1].end();
	await eventually('few are left', () => hub.waiting <= 5);
	const told = await seconds();
	assert.ok(told >= 1 && told < 30, `${told} s`);
	leaving.abort();
	await Promise.all(waiting);
});

test('scopes and scope paths decide which agents may serve', async (t) => {
	const make = (name: string) => upstream(t, (_req, res) => res.end(name));
	const [a, b] = [await make('a'), await make('b')];
	const { port, join } = await stack(t);
	await join(a.address, { scopes: ['fast'], numWorker: 9 });
	await join(b.address, { scopePaths: ['/v1/chat', '/v1/images/*'], numWorker: 9 });
	for (let i = 0; i < 3; i++) {
		assert.equal((await ask(port, '/', { headers: { 'slime-scope': 'fast' } })).body, 'a');
	}
	assertError(await ask(port, '/', { headers: { 'slime-scope': 'slow' } }), 503, 'no_agent');
	const bodies = new Set<string>();
	for (let i = 0; i < 6; i++) bodies.add((await ask(port, '/v1/images/x?y')).body);
	assert.deepEqual([...bodies].sort(), ['a', 'b']);
	for (let i = 0; i < 4; i++) assert.equal((await ask(port, '/v1/images/../secret')).body, 'a');
});

test('Slime-Affinity prefers the agent that served the key last', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port } = await stack(t, [service.address, service.address, service.address]);
	const headers = { 'slime-affinity': 'conversation' };
	const agents = new Set<unknown>();
	for (let i = 0; i < 6; i++) {
		agents.add((await ask(port, '/', { headers })).headers['slime-agent-id']);
		await ask(port);
	}
	assert.equal(agents.size, 1);
});

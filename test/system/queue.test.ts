/** Who waits for a worker, in which order, and which agent a request may go to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals, ask, assertError, eventually, stack, upstream } from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };

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
			waiting.push(ask(port, `/${i}`, { headers: { ...BLOCK, ...(priority && { priority }) } }));
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
	const answer = ask(port, '/', { method: 'POST', body: 'early', headers: BLOCK });
	await eventually('it waits', () => hub.waiting === 1);
	await join(service.address);
	assert.equal((await answer).body, 'early');
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

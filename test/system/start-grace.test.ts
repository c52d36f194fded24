/** A hub that has just started is patient for a while, as its agents are a moment behind its first requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arrivals, ask, assertError, eventually, stack, upstream } from '../helpers/stack.ts';

test('a request that does not ask to wait is served by an agent that comes within the start grace', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('served'));
	const { port, hub, join } = await stack(t, [], { hub: { startGrace: 30_000 } });
	const early = ask(port);
	await eventually('it waits', () => hub.waiting === 1);
	await join(service.address);
	assert.equal((await early).body, 'served');
});

test('whoever says that it does not wait does not, during the start grace either', async (t) => {
	const { port } = await stack(t, [], { hub: { startGrace: 30_000 } });
	assertError(await ask(port, '/', { headers: { 'slime-block': '0' } }), 503, 'no_agent');
});

test('when the start grace is over a request is told what is lacking then', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const began = performance.now();
	const { port } = await stack(t, [service.address], { hub: { startGrace: 1500 } });
	const served = ask(port);
	const [, res] = await arrivals.next();
	const scoped = ask(port, '/', { headers: { 'slime-scope': 'nobody' } });
	assertError(await ask(port), 503, 'busy');
	assert.ok(performance.now() - began >= 1495, 'sooner than the grace is over');
	assertError(await scoped, 503, 'no_agent');
	res.end('served');
	assert.equal((await served).body, 'served');
	assertError(await ask(port, '/', { headers: { 'slime-scope': 'nobody' } }), 503, 'no_agent');
});

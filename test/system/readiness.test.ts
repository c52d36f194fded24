/** The admin listener's probes, and what it says to anything else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admin } from '../helpers/scraping.ts';
import { Arrivals, ask, eventually, stack, upstream } from '../helpers/stack.ts';

test('a hub is ready without agents, unless it is told to need one', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub: easy } = await stack(t, [], { hub: { adminPort: 0 } });
	assert.equal((await admin(easy, '/readyz')).body, 'ready\n');

	const { hub, join } = await stack(t, [], { hub: { adminPort: 0, readyNeedsAgent: true } });
	const without = await admin(hub, '/readyz');
	assert.deepEqual([without.status, without.body], [503, 'no agent\n']);
	assert.equal((await admin(hub, '/healthz')).status, 200);
	const agent = await join(service.address);
	assert.equal((await admin(hub, '/readyz')).status, 200);
	await agent.close();
	await eventually('the agent left', () => hub.agents === 0);
	assert.equal((await admin(hub, '/readyz')).status, 503);
});

test('a hub that drains is alive, not ready, and still tells its metrics', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port } = await stack(t, [service.address], { hub: { adminPort: 0 } });
	const answer = ask(port);
	const [, res] = await arrivals.next();
	const drained = hub.drain();
	const ready = await admin(hub, '/readyz');
	assert.deepEqual([ready.status, ready.body], [503, 'draining\n']);
	assert.equal((await admin(hub, '/healthz')).status, 200);
	assert.match((await admin(hub, '/metrics')).body, /^slime_hub_draining 1$/m);
	res.end();
	assert.equal((await answer).status, 200);
	await drained;
});

test('the admin listener answers HEAD, and refuses other methods and paths', async (t) => {
	const { hub } = await stack(t, [], { hub: { adminPort: 0 } });
	const head = await admin(hub, '/readyz?verbose', 'HEAD');
	assert.deepEqual([head.status, head.body], [200, '']);
	const post = await admin(hub, '/metrics', 'POST');
	assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
	assert.equal((await admin(hub, '/')).status, 404);
	assert.equal((await admin(hub, '/metrics/')).status, 404);
});

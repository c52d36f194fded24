/** What /api/status of the admin listener says of agents, slots and the queue. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HubStatus } from '../../src/admin/status.ts';
import { createAgent } from '../../src/index.ts';
import { version } from '../../src/shared/version.ts';
import { adminJson } from '../helpers/admin-api.ts';
import { Arrivals, ask, eventually, stack, token, upstream, workerFree } from '../helpers/stack.ts';

function statusOf(port: number): Promise<HubStatus> {
	return adminJson(port, '/api/status');
}

test('the status shows each agent, its workers, and what waits', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t, [], { hub: { adminPort: 0, concurrent: 50, queue: QUEUE } });
	const admin = hub.adminPort ?? 0;
	const empty = await statusOf(admin);
	assert.deepEqual(
		{ ...empty, uptime: 0 },
		{
			version,
			uptime: 0,
			draining: false,
			agents: [],
			slots: { total: 0, used: 0, concurrent: 50 },
			queue: { waiting: 0, max: 7 },
		},
	);
	assert.ok(empty.uptime >= 0 && empty.uptime < 60_000);

	await join(service.address, { agentID: 'b', numWorker: 2, token: await token({ name: 'gpu b' }) });
	await join(service.address, { agentID: 'a', token: await token({ name: 'gpu a' }) });
	const answers = [1, 2, 3, 4].map(() => ask(port, '/', { headers: { 'slime-block': '1' } }));
	const taken = [await arrivals.next(), await arrivals.next(), await arrivals.next()];
	await eventually('one waits', () => hub.waiting === 1);
	const { agents, slots, queue } = await statusOf(admin);
	assert.deepEqual(slots, { total: 3, used: 3, concurrent: 50 });
	assert.deepEqual(queue, { waiting: 1, max: 7 });
	assert.deepEqual(
		agents.map(({ id, token: name, state, workers }) => [id, name, state, workers]),
		[
			['a', 'gpu a', 'ready', { total: 1, used: 1, limit: 1 }],
			['b', 'gpu b', 'ready', { total: 2, used: 2, limit: 2 }],
		],
	);
	for (const agent of agents) {
		assert.equal(agent.version, version);
		assert.equal(agent.address, '127.0.0.1');
		assert.match(agent.tokenId, /^[0-9a-f]{24}$/);
		assert.ok(agent.age >= 0 && agent.age < 60_000);
		assert.ok(agent.rtt === null || (agent.rtt > 0 && agent.rtt < 10_000));
	}
	for (const [, res] of [...taken]) res.end();
	(await arrivals.next())[1].end();
	await Promise.all(answers);
	await workerFree(hub);
	assert.deepEqual((await statusOf(admin)).slots, { total: 3, used: 0, concurrent: 50 });
});

test('a tunnel that was replaced and finishes its request is shown as leaving', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t, [], { hub: { adminPort: 0 } });
	const wish = { token: await token(), agentID: 'same' };
	await join(service.address, wish);
	const answer = ask(port);
	const [, res] = await arrivals.next();
	const again = await createAgent({ ...wish, hubs: [hub.url], upstreams: [service.address], reportHardware: false });
	t.after(() => again.close());
	await eventually('it was replaced', () => log.has('took our place') && hub.agents === 1);
	const { agents } = await statusOf(hub.adminPort ?? 0);
	const shown = agents.map(({ state, workers }) => `${state} ${workers.used}`);
	assert.deepEqual(shown.sort(), ['leaving 1', 'ready 0']);
	res.end();
	assert.equal((await answer).status, 200);
});

test('labels of an agent, and the scopes that it serves, are shown', async (t) => {
	const { hub, join } = await stack(t, [], { hub: { adminPort: 0 } });
	const granted = await token({ scopes: ['chat', 'images'] });
	const service = await upstream(t, (_req, res) => void res.end());
	await join(service.address, { agentID: 'a', token: granted, labels: { gpu: 'A100', site: 'attic' } });
	const common = { token: granted, hubs: [hub.agentUrl], upstreams: [service.address], reportHardware: false };
	const narrow = await createAgent({ ...common, agentID: 'b', scopes: ['images'] });
	t.after(() => narrow.close());
	await eventually('both are there', () => hub.agents === 2);
	const { agents } = await statusOf(hub.adminPort ?? 0);
	assert.deepEqual(
		agents.map(({ labels, scopes }) => ({ labels, scopes })),
		[
			{ labels: { gpu: 'A100', site: 'attic' }, scopes: ['chat', 'images'] },
			{ labels: undefined, scopes: ['images'] },
		],
	);
});

const QUEUE = { mode: 'header', max: 7, timeout: 60_000, maxBytes: 1024 } as const;

/** What operators see of agents, and what they can do to one: drain, resume, disconnect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentDetails, AgentName } from '../../src/admin/status.ts';
import { createAgent } from '../../src/index.ts';
import { adminJson, askAdmin } from '../helpers/admin-api.ts';
import { Scrape } from '../helpers/scraping.ts';
import { Arrivals, ask, assertError, eventually, stack, token, upstream, WAITS } from '../helpers/stack.ts';

const HUB = { hub: { adminPort: 0 } };

function agentsOf(port: number): Promise<{ agents: AgentDetails[]; drained: AgentName[] }> {
	return adminJson(port, '/api/agents');
}

test('each agent is shown with its grants and its machine, unless it does not tell', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const grants = { scopes: ['x', 'y'], scopePaths: ['/v1/*'] };
	await join(service.address, { agentID: 'tells', reportHardware: true, ...grants });
	await join(service.address, { agentID: 'silent' });
	const { agents, drained } = await agentsOf(admin);
	assert.deepEqual(drained, []);
	const [silent, tells] = agents;
	assert.deepEqual([silent?.id, silent?.scopes, silent?.hardware], ['silent', [], undefined]);
	assert.deepEqual([tells?.id, tells?.scopes, tells?.scopePaths], ['tells', grants.scopes, grants.scopePaths]);
	assert.equal(typeof Reflect.get(tells?.hardware ?? {}, 'hostname'), 'string');
});

test('a drained agent finishes what it has and gets nothing new, also when it comes back, until it is resumed', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const wish = { agentID: 'one', numWorker: 2, token: await token({ name: 'berlin' }) };
	const agent = await join(service.address, wish);
	const running = ask(port);
	const [, res] = await arrivals.next();

	const { agents: told } = await adminJson<{ agents: AgentName[] }>(admin, '/api/agents/drain', {
		json: { agent: 'one' },
	});
	assert.deepEqual(
		told.map(({ id, token: name }) => [id, name]),
		[['one', 'berlin']],
	);
	assertError(await ask(port), 503, 'no_agent');
	const waiting = ask(port, '/', { headers: WAITS });
	await eventually('it waits', () => hub.waiting === 1);
	const { agents, drained } = await agentsOf(admin);
	assert.deepEqual([agents[0]?.state, agents[0]?.workers.used, drained], ['drained', 1, told]);
	const { slots } = await adminJson<{ slots: { total: number } }>(admin, '/api/status');
	assert.equal(slots.total, 0);
	assert.equal((await Scrape.of(hub)).get('slime_hub_agent_slots{agent="one",token="berlin"}'), 0);
	res.end('finished');
	assert.equal((await running).body, 'finished');
	assert.equal(hub.waiting, 1);

	// One that comes back is the same agent.
	await agent.close();
	await eventually('it left', () => hub.agents === 0);
	assert.deepEqual((await agentsOf(admin)).drained, told);
	await join(service.address, wish);
	assert.equal((await agentsOf(admin)).agents[0]?.state, 'drained');
	assert.equal(hub.waiting, 1);
	assert.equal(arrivals.count, 0);

	assert.deepEqual(await adminJson(admin, '/api/agents/resume', { json: { agent: 'one' } }), { agents: told });
	(await arrivals.next())[1].end('resumed');
	assert.equal((await waiting).body, 'resumed');
	const after = await agentsOf(admin);
	assert.deepEqual([after.agents[0]?.state, after.drained], ['ready', []]);
	for (const what of ['an operator drained', 'an operator resumed']) assert.ok(log.has(what));
});

test('of two agents, what the drained one would have got goes to the other; its leases still count when it is resumed', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	await join(service.address, { agentID: 'a' });
	await join(service.address, { agentID: 'b' });
	const first = ask(port);
	const [, res] = await arrivals.next();
	const [busy, idle] = (await agentsOf(admin)).agents.sort((x, y) => y.workers.used - x.workers.used);
	await adminJson(admin, '/api/agents/drain', { json: { agent: busy?.id } });
	const second = ask(port);
	(await arrivals.next())[1].end();
	assert.equal((await second).headers['slime-agent-id'], idle?.id);
	await eventually('the worker is free', () => hub.leased === 1);
	await adminJson(admin, '/api/agents/resume', { json: { agent: busy?.id } });
	await adminJson(admin, '/api/agents/drain', { json: { agent: idle?.id } });
	assertError(await ask(port), 503, 'busy');
	res.end();
	assert.equal((await first).headers['slime-agent-id'], busy?.id);
	await eventually('the worker is free', () => hub.leased === 0);
	const third = ask(port);
	(await arrivals.next())[1].end();
	assert.equal((await third).headers['slime-agent-id'], busy?.id);
});

test('a disconnected agent’s requests are cut after a moment, and it comes back; a drained one comes back drained', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const agent = await join(service.address, { agentID: 'one' });
	const answer = ask(port);
	(await arrivals.next())[1].write('begun');
	await adminJson(admin, '/api/agents/disconnect', { json: { agent: 'one' } });
	assert.ok(log.has('agent disconnected'), 'its tunnel is closed when that is answered');
	assert.equal((await answer).complete, false);
	assert.ok(log.has('an operator disconnected the agent'));
	await eventually('it came back', () => hub.agents === 1 && agent.connected === 1);
	assert.ok(log.lines.some(({ msg, reason }) => msg === 'the hub is leaving' && reason === 'disconnected'));
	// The worker is free when its upstream has let go of the request that was cut.
	const again = ask(port, '/', { headers: WAITS });
	(await arrivals.next())[1].end('again');
	assert.equal((await again).body, 'again');

	await adminJson(admin, '/api/agents/drain', { json: { agent: 'one' } });
	await adminJson(admin, '/api/agents/disconnect', { json: { agent: 'one' } });
	await eventually('it came back', () => log.lines.filter(({ msg }) => msg === 'connected').length === 3);
	await eventually('it has said how many workers it has', () => hub.agents === 1);
	assert.deepEqual(
		(await agentsOf(admin)).agents.map(({ state }) => state),
		['drained'],
	);
	assertError(await ask(port), 503, 'no_agent');
});

test('of two tokens’ agents with one id, one can be meant, or both', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	for (const name of ['first', 'second'])
		await join(service.address, { agentID: 'same', token: await token({ name }) });
	const { agents } = await agentsOf(admin);
	const second = agents.find(({ token: name }) => name === 'second');
	const target = { agent: 'same', tokenId: second?.tokenId };
	const states = async () => Object.fromEntries((await agentsOf(admin)).agents.map((one) => [one.token, one.state]));
	await adminJson(admin, '/api/agents/drain', { json: target });
	assert.deepEqual(await states(), { first: 'ready', second: 'drained' });
	const both = await adminJson<{ agents: AgentName[] }>(admin, '/api/agents/drain', { json: { agent: 'same' } });
	assert.equal(both.agents.length, 2);
	await adminJson(admin, '/api/agents/resume', { json: target });
	assert.deepEqual(await states(), { first: 'drained', second: 'ready' });
});

test('a tunnel that was replaced is not opened again by resuming its agent', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const wish = { token: await token(), agentID: 'same' };
	await join(service.address, wish);
	const answer = ask(port);
	const [, res] = await arrivals.next();
	const again = await createAgent({ ...wish, hubs: [hub.url], upstreams: [service.address], reportHardware: false });
	t.after(() => again.close());
	await eventually('it was replaced', () => log.has('took our place') && hub.agents === 1);
	await adminJson(admin, '/api/agents/drain', { json: { agent: 'same' } });
	await adminJson(admin, '/api/agents/resume', { json: { agent: 'same' } });
	const { agents } = await agentsOf(admin);
	assert.deepEqual(agents.map(({ state, workers }) => `${state} ${workers.used}`).sort(), ['leaving 1', 'ready 0']);
	const { slots } = await adminJson<{ slots: { total: number } }>(admin, '/api/status');
	assert.equal(slots.total, 1);
	res.end();
	assert.equal((await answer).status, 200);
});

test('what names no agent is refused, and changes nothing', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join, port } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	await join(service.address, { agentID: 'one' });
	for (const verb of ['drain', 'resume', 'disconnect']) {
		const path = `/api/agents/${verb}`;
		for (const json of [{}, [], null, { agent: 1 }, { agent: 'one', tokenId: 1 }, { agent: 'one', force: true }]) {
			assertError(await askAdmin(admin, path, { json }), 400, 'bad_request');
		}
		for (const json of [{ agent: 'two' }, { agent: 'one', tokenId: '0123456789abcdef01234567' }]) {
			assertError(await askAdmin(admin, path, { json }), 404, 'not_found');
		}
	}
	assertError(await askAdmin(admin, '/api/agents/resume', { json: { agent: 'one' } }), 404, 'not_found');
	assert.equal((await ask(port)).status, 200);
});

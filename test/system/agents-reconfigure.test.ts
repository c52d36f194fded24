/** Other agents for a command that runs: some go, some come, some change, and requests under way are touched nowhere. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { HubStatus } from '../../src/admin/status.ts';
import { createAgents, type GivenAgentOptions } from '../../src/index.ts';
import { adminJson } from '../helpers/admin-api.ts';
import { Arrivals, ask, eventually, LogSink, stack, token, upstream, WAITS } from '../helpers/stack.ts';

const TOKEN = await token({ scopes: ['a', 'b', 'c'] });

/** An agent of a scope of its own, so that a test can say whom it asks. */
function agentOf(hubs: readonly string[], address: string, scope: string): GivenAgentOptions {
	return { token: TOKEN, hubs, upstreams: [address], scopes: [scope], agentID: 'x', reportHardware: false };
}

function asking(port: number, scope: string): ReturnType<typeof ask> {
	return ask(port, `/${scope}`, { headers: { ...WAITS, 'slime-scope': scope } });
}

async function service(
	t: TestContext,
): Promise<{ address: string; next: () => Promise<ServerResponse>; count: () => number }> {
	const arrivals = new Arrivals();
	const { address } = await upstream(t, arrivals.handler);
	return { address, next: async () => (await arrivals.next())[1], count: () => arrivals.count };
}

test('agents that go finish their requests, those that come are connected, and those that stay are not touched', async (t) => {
	const { hub, port, log } = await stack(t, [], { hub: { adminPort: 0 } });
	const [a, b, c] = [await service(t), await service(t), await service(t)];
	const [forA, forB, forC] = [
		agentOf([hub.url], a.address, 'a'),
		agentOf([hub.url], b.address, 'b'),
		agentOf([hub.url], c.address, 'c'),
	];
	const agents = await createAgents([forA, forB]);
	t.after(() => agents.close());
	await eventually('both are there', () => hub.agents === 2);
	const [going, staying] = [asking(port, 'a'), asking(port, 'b')];
	const [atA, atB] = [await a.next(), await b.next()];
	const tunnels = () => log.lines.filter((line) => /"agent connected"/.test(JSON.stringify(line))).length;
	assert.equal(tunnels(), 2);

	await agents.reconfigure([forB, forC]);
	assert.deepEqual(agents.ids, ['x-2', 'x'], 'who stays keeps its id, and the free one is given away');
	const joined = asking(port, 'c');
	(await c.next()).end('from c');
	assert.equal((await joined).body, 'from c');
	assert.equal(tunnels(), 3);
	const status = await adminJson<HubStatus>(hub.adminPort ?? 0, '/api/status');
	assert.deepEqual(status.agents.map(({ id, state, scopes }) => [id, state, scopes]).sort(), [
		['x', 'leaving', ['a']],
		['x', 'ready', ['c']],
		['x-2', 'ready', ['b']],
	]);
	atA.end('from a');
	atB.end('from b');
	assert.deepEqual([(await going).body, (await staying).body], ['from a', 'from b']);
	await eventually('the tunnel of the one that went is closed', () => log.has('agent disconnected'));
	assert.equal(hub.agents, 2);
});

test('an agent with other workers, labels and limits has its tunnel anew, and its requests share the workers', async (t) => {
	const { hub, port } = await stack(t, [], { hub: { adminPort: 0 } });
	const a = await service(t);
	const own = new LogSink();
	const first = { ...agentOf([hub.url], a.address, 'a'), numWorker: 2, logger: own.logger };
	const agents = await createAgents([first]);
	t.after(() => agents.close());
	const answers = [asking(port, 'a'), asking(port, 'a')];
	const [one, two] = [await a.next(), await a.next()];
	one.write('one ');
	const shown = async () => (await adminJson<HubStatus>(hub.adminPort ?? 0, '/api/status')).agents;

	await agents.reconfigure([{ ...first, numWorker: 1, labels: { gpu: 'A100' }, connectTimeout: 5000 }]);
	await eventually('the new tunnel is there', () => own.lines.filter(({ msg }) => msg === 'connected').length === 2);
	assert.deepEqual((await shown()).map(({ state, labels, workers }) => [state, labels, workers.total]).sort(), [
		['leaving', undefined, 2],
		['ready', { gpu: 'A100' }, 1],
	]);
	answers.push(asking(port, 'a'));
	await eventually('it waits', () => hub.waiting === 1);
	two.end('two');
	assert.equal((await answers[1])?.body, 'two');
	// The one worker that there is holds the first request.
	assert.deepEqual([agents.busy, agents.workers, a.count()], [1, 1, 0]);
	one.end('one');
	assert.equal((await answers[0])?.body, 'one one');
	(await a.next()).end('three');
	assert.equal((await answers[2])?.body, 'three');

	await agents.reconfigure([{ ...first, numWorker: 3 }]);
	const three = [1, 2, 3].map(() => asking(port, 'a'));
	const all = [await a.next(), await a.next(), await a.next()];
	for (const res of all) res.end();
	for (const { status } of await Promise.all(three)) assert.equal(status, 200);
	assert.ok(!own.has('took our place'), 'it is itself that took its place');
});

test('another hub is joined, and the one that is not named any more is left when its requests are done', async (t) => {
	const [first, second] = [await stack(t), await stack(t)];
	const a = await service(t);
	const options = agentOf([first.hub.url], a.address, 'a');
	const agents = await createAgents([options]);
	t.after(() => agents.close());
	const open = asking(first.port, 'a');
	const atA = await a.next();
	atA.write('begun ');
	await agents.reconfigure([{ ...options, hubs: [second.hub.url], numWorker: 2 }]);
	const here = asking(second.port, 'a');
	(await a.next()).end('second');
	assert.equal((await here).body, 'second');
	assert.equal(first.hub.agents, 1);
	atA.end('ended');
	assert.equal((await open).body, 'begun ended');
	await eventually('the first hub is left', () => first.hub.agents === 0);
});

test('an agent with a token that the hub refuses goes on with the tunnel that it has', async (t) => {
	const { hub, port, log } = await stack(t);
	const a = await service(t);
	const own = new LogSink();
	const options = { ...agentOf([hub.url], a.address, 'a'), logger: own.logger };
	const agents = await createAgents([options]);
	t.after(() => agents.close());
	await eventually('it is there', () => hub.agents === 1);
	await agents.reconfigure([{ ...options, token: 'v3.local.wrong' }]);
	await eventually('it was refused', () => own.has('not connected'));
	const served = asking(port, 'a');
	(await a.next()).end('served');
	assert.equal((await served).body, 'served');
	assert.ok(!log.has('agent disconnected'));
	await agents.reconfigure([{ ...options, token: await token({ scopes: ['a'] }) }]);
	await eventually('the first tunnel is left', () => log.has('agent disconnected'));
	await eventually('the new one is there', () => hub.agents === 1 && agents.connected === 1);
	const again = asking(port, 'a');
	(await a.next()).end('again');
	assert.equal((await again).body, 'again');
});

test('what is wrong with one agent changes none', async (t) => {
	const { hub, port } = await stack(t);
	const a = await service(t);
	const options = agentOf([hub.url], a.address, 'a');
	const agents = await createAgents([options]);
	t.after(() => agents.close());
	await eventually('it is there', () => hub.agents === 1);
	const changed = { ...options, numWorker: 7 };
	await assert.rejects(agents.reconfigure([changed, { ...options, upstreams: ['nowhere'] }]), /nowhere/);
	await assert.rejects(agents.reconfigure([changed, { ...options, agentID: 'x', hubs: [] }]), /an agent/);
	await assert.rejects(agents.reconfigure([{ ...changed, ca: '/nowhere' }]), /nowhere/);
	await assert.rejects(agents.reconfigure([]), /no agent to run/);
	assert.deepEqual([agents.workers, agents.ids], [1, ['x']]);
	const served = asking(port, 'a');
	(await a.next()).end('served');
	assert.equal((await served).body, 'served');
});

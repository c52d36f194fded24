/** Several agents of one command: each has its own upstream, workers and scopes. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAgents, type GivenAgentOptions } from '../../src/index.ts';
import { adminJson } from '../helpers/admin-api.ts';
import { ask, eventually, LogSink, SECRET, stack, token, upstream } from '../helpers/stack.ts';

const says = (text: string) => (_req: unknown, res: { end(text: string): unknown }) => void res.end(text);

test('several agents serve each its own scopes, under ids that follow from one', async (t) => {
	const [chat, images] = [await upstream(t, says('chat')), await upstream(t, says('images'))];
	const { hub, port } = await stack(t, [], { hub: { adminPort: 0 } });
	const folder = await mkdtemp(join(tmpdir(), 'slime-agents-'));
	t.after(() => rm(folder, { recursive: true }));
	const common = {
		token: await token({ scopes: ['chat', 'images'] }),
		hubs: [hub.agentUrl],
		reportHardware: false,
		stateDir: folder,
	};
	const agents = await createAgents([
		{ ...common, upstreams: [chat.address], scopes: ['chat'], numWorker: 3 },
		{ ...common, upstreams: [images.address, images.address], scopes: ['images'] },
		{ ...common, upstreams: [images.address], scopes: [], agentID: 'own' },
	]);
	t.after(() => agents.close());
	const id = (await readFile(join(folder, 'agent-id'), 'utf8')).trim();
	assert.deepEqual(agents.ids, [id, `${id}-2`, `${id}-3`, 'own']);
	await eventually('all are connected', () => agents.connected === 4 && hub.agents === 4);
	for (const scope of ['chat', 'images']) {
		const answers = await Promise.all([1, 2].map(() => ask(port, '/', { headers: { 'slime-scope': scope } })));
		assert.deepEqual(
			answers.map(({ status, body }) => `${status} ${body}`),
			[`200 ${scope}`, `200 ${scope}`],
		);
	}
	const { slots } = await adminJson<{ slots: { total: number } }>(hub.adminPort ?? 0, '/api/status');
	assert.equal(slots.total, 6);
});

test('an agent that wants a scope which its token does not grant is refused, and told which', async (t) => {
	const { hub } = await stack(t);
	const log = new LogSink();
	const agents = await createAgents([
		{
			token: await token({ scopes: ['chat'] }),
			hubs: [hub.agentUrl],
			upstreams: ['127.0.0.1:9'],
			scopes: ['chat', 'images'],
			agentID: 'a',
			reportHardware: false,
			logger: log.logger,
		},
	]);
	t.after(() => agents.close());
	await eventually('it was told', () =>
		log.has('wants the scope images, which its token does not grant: it grants chat'),
	);
	assert.equal(hub.agents, 0);
});

test('two agents that would have one id, and one of several that is wrong, start none', async () => {
	const options: GivenAgentOptions = {
		token: SECRET.replaceAll(' ', ''),
		hubs: ['127.0.0.1:9'],
		upstreams: ['127.0.0.1:9'],
		reportHardware: false,
		agentID: 'a-2',
	};
	const two = { ...options, agentID: 'a', upstreams: ['127.0.0.1:1', '127.0.0.1:2'] };
	await assert.rejects(createAgents([options, two]), /two agents would have the id a-2/);
	await assert.rejects(createAgents([options, { ...two, hubs: ['nowhere'] }]), /id a-2|hub address/);
	await assert.rejects(createAgents([{ ...options, agentID: 'b', hubs: ['nowhere'] }]), /hub address/);
	await assert.rejects(createAgents([]), /no agent to run/);
});

/** What operators see of requests: those that wait, those at agents, and the last ones that ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecentRequest, RequestList } from '../../src/admin/requests.ts';
import type { AgentDetails } from '../../src/admin/status.ts';
import { adminJson } from '../helpers/admin-api.ts';
import { h2Connect } from '../helpers/h2-app.ts';
import { Arrivals, ask, eventually, stack, upstream, WAITS } from '../helpers/stack.ts';

const HUB = { hub: { adminPort: 0 } };

type Queue = RequestList & { readonly max: number; readonly heldBytes: number };

function recentOf(port: number): Promise<readonly RecentRequest[]> {
	return adminJson<{ requests: RecentRequest[] }>(port, '/api/requests/recent').then(({ requests }) => requests);
}

test('a request is shown while it waits, while it is at an agent, while it is answered, and when it has ended', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const requestsOf = () => adminJson<RequestList>(admin, '/api/requests');
	const headers = { ...WAITS, 'x-request-id': 'one', 'slime-scope': 'x', priority: 'u=2' };
	const answer = ask(port, '/v1/chat?secret=query', { method: 'POST', headers, body: 'body' });
	await eventually('it waits', () => hub.waiting === 1);
	const [waiting, ...others] = (await requestsOf()).requests;
	assert.deepEqual(others, []);
	const { age, waited, ...shown } = waiting ?? { age: -1, waited: -2 };
	assert.ok(age >= 0 && age < 60_000 && waited === age, `${age} ${waited}`);
	const what = { id: 'one', method: 'POST', path: '/v1/chat', scope: 'x', address: '127.0.0.1' };
	assert.deepEqual(shown, { ...what, state: 'waiting', urgency: 2, position: 1 });
	const queue = await adminJson<Queue>(admin, '/api/queue');
	assert.deepEqual([queue.total, queue.max, queue.requests[0]?.id], [1, 1024, 'one']);

	await join(service.address, { agentID: 'gpu-7', scopes: ['x'] });
	const [, res] = await arrivals.next();
	const [sent] = (await requestsOf()).requests;
	assert.deepEqual([sent?.state, sent?.agent, sent?.status, sent?.position], ['sent', 'gpu-7', undefined, 1]);
	assert.ok((sent?.waited ?? -1) <= (sent?.age ?? -1));
	const { agents } = await adminJson<{ agents: AgentDetails[] }>(admin, '/api/agents');
	assert.deepEqual(
		agents[0]?.requests.map(({ id }) => id),
		['one'],
	);
	assert.equal((await adminJson<Queue>(admin, '/api/queue')).total, 0);
	assert.deepEqual(await recentOf(admin), []);

	res.writeHead(201).write('begun');
	let [answering] = (await requestsOf()).requests;
	while (answering?.state === 'sent') [answering] = (await requestsOf()).requests;
	assert.deepEqual([answering?.state, answering?.status], ['answering', 201]);
	res.end();
	await answer;
	assert.deepEqual(await requestsOf(), { total: 0, requests: [] });
	const [ended, ...more] = await recentOf(admin);
	assert.deepEqual(more, []);
	const { began, waited: inQueue, total, ...rest } = ended ?? { began: '', waited: -1, total: -2 };
	assert.deepEqual(rest, { ...what, agent: 'gpu-7', status: 201, outcome: 'complete', position: 1 });
	assert.ok(inQueue >= 0 && inQueue <= total, `${inQueue} ${total}`);
	assert.ok(Math.abs(Date.parse(began) + total - Date.now()) < 60_000, began);
});

test('the queue is shown in the order in which it is served, whatever the scopes', async (t) => {
	const { hub, port } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const leaving = new AbortController();
	for (const [id, urgency, scope] of [
		['third', 5, ''],
		['first', 1, 'x'],
		['second', 3, 'y'],
		['fourth', 7, 'x'],
	] as const) {
		const before = hub.waiting;
		const headers = { ...WAITS, 'x-request-id': id, priority: `u=${urgency}`, 'slime-scope': scope };
		ask(port, '/', { headers, signal: leaving.signal }).catch(() => undefined);
		await eventually('it waits', () => hub.waiting > before);
	}
	const { total, requests } = await adminJson<Queue>(admin, '/api/queue');
	assert.deepEqual([total, ...requests.map(({ id }) => id)], [4, 'first', 'second', 'third', 'fourth']);
	leaving.abort();
	await eventually('all left', () => hub.waiting === 0);
	assert.deepEqual((await adminJson<RequestList>(admin, '/api/requests')).requests, []);
	const recent = await recentOf(admin);
	assert.deepEqual(
		new Set(recent.map(({ outcome, status }) => `${outcome} ${status}`)),
		new Set(['app_gone undefined']),
	);
	assert.equal(recent.length, 4);
});

test('failures are among the recent ones with their reason; what was not let in is not', async (t) => {
	const service = await upstream(t, (_req, res) => {
		res.write('half');
		setImmediate(() => res.destroy());
	});
	const { hub, port, join } = await stack(t, [], { hub: { adminPort: 0, appPassword: 'open sesame' } });
	const admin = hub.adminPort ?? 0;
	const headers = { 'slime-app-password': 'open sesame' };
	await ask(port, '/refused');
	await ask(port, '/nobody', { headers });
	await join(service.address, { agentID: 'one' });
	await ask(port, '/cut', { headers });
	const [cut, nobody, ...others] = await recentOf(admin);
	assert.deepEqual([cut?.path, cut?.outcome, cut?.status, cut?.agent], ['/cut', 'cut', 200, 'one']);
	assert.ok((cut?.reason ?? '').length > 0);
	assert.deepEqual([nobody?.path, nobody?.outcome, nobody?.status], ['/nobody', 'no_agent', 503]);
	assert.equal(nobody?.reason, 'No agent is connected that may serve this request.');
	assert.deepEqual(others, []);
	assert.ok(!JSON.stringify(await recentOf(admin)).includes('sesame'));
});

test('the last 256 are remembered, last first, and long texts of applications are cut', async (t) => {
	const { hub, port } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const long = `/${'x'.repeat(5000)}`;
	await ask(port, long, { headers: { 'slime-scope': 's'.repeat(5000) } });
	const [one] = await recentOf(admin);
	assert.equal(one?.path, `${long.slice(0, 255)}…`);
	assert.equal(one?.scope?.length, 256);
	for (let n = 0; n < 300; n++) await ask(port, `/${n}`);
	const recent = await recentOf(admin);
	assert.equal(recent.length, 256);
	assert.deepEqual(
		recent.map(({ path }) => path),
		Array.from({ length: 256 }, (_, index) => `/${299 - index}`),
	);
});

test('of thousands that wait, 1,000 are shown and all are counted', async (t) => {
	const { hub, port } = await stack(t, [], { hub: { adminPort: 0, queue: QUEUE } });
	const admin = hub.adminPort ?? 0;
	const sessions = await Promise.all(Array.from({ length: 11 }, () => h2Connect(t, `http://127.0.0.1:${port}`)));
	for (const session of sessions) {
		for (let n = 0; n < 100; n++) session.request().on('error', () => undefined);
	}
	await eventually('all wait', () => hub.waiting === 1100);
	for (const path of ['/api/requests', '/api/queue']) {
		const { total, requests } = await adminJson<RequestList>(admin, path);
		assert.deepEqual([total, requests.length], [1100, 1000]);
	}
	for (const session of sessions) session.destroy();
	await eventually('all left', () => hub.waiting === 0);
	assert.equal((await adminJson<RequestList>(admin, '/api/requests')).total, 0);
});

const QUEUE = { mode: 'always', max: 5000, timeout: 60_000, maxBytes: 1024 } as const;

/** What a hub does with a revoked token, and who may ask it to. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createAgent, createHub, createTokens, type GivenHubOptions } from '../../src/index.ts';
import { UsageError } from '../../src/shared/errors.ts';
import { askAdmin } from '../helpers/admin-api.ts';
import {
	Arrivals,
	ask,
	assertError,
	eventually,
	LogSink,
	RawClient,
	SECRET,
	stack,
	token,
	upstream,
} from '../helpers/stack.ts';

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(joinPath(tmpdir(), 'slime-revocation-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

async function adminHub(t: TestContext, options: Partial<GivenHubOptions> = {}) {
	const log = new LogSink();
	const given = { secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 0, logger: log.logger, ...options };
	const hub = await createHub(given);
	t.after(() => hub.close());
	return { hub, log, admin: hub.adminPort ?? 0 };
}

function post(port: number, body: unknown, headers: Record<string, string> = {}) {
	const type = { 'content-type': 'application/json', ...headers };
	if (typeof body === 'string') return askAdmin(port, '/api/revoke', { method: 'POST', headers: type, body });
	return askAdmin(port, '/api/revoke', { json: body, headers });
}

test('a revoked token’s tunnels are closed within a second, requests under way are cut, and it is not let in again', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t);
	const revoked = await token({ name: 'revoked' });
	const agent = await join(service.address, { token: revoked, agentID: 'one' });
	await join(service.address, { token: revoked, agentID: 'two' });
	const answers = [ask(port), ask(port)];
	for (const _ of answers) {
		const [, res] = await arrivals.next();
		res.write('begun');
	}
	const other = await join(service.address);

	const started = performance.now();
	const outcome = await hub.revoke({ name: 'revoked' });
	assert.ok(performance.now() - started < 10_000);
	assert.equal(outcome.tunnels, 2);
	assert.equal(hub.agents, 1);
	for (const answer of await Promise.all(answers)) assert.equal(answer.complete, false);
	await eventually('the agent was told why', () => log.has('the token of this agent was revoked'));
	await eventually('it was refused with a sentence', () => log.has('The token was revoked; make another with slime'));
	assert.equal(agent.connected, 0);

	const served = ask(port);
	(await arrivals.next())[1].end('by the other one');
	assert.equal((await served).body, 'by the other one');
	assert.equal(other.connected, 1);
});

test('a tunnel that was replaced and still finishes a request is closed as well', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join, log } = await stack(t);
	const wish = { token: await token({ name: 'twice' }), agentID: 'same' };
	await join(service.address, wish);
	const answer = ask(port);
	(await arrivals.next())[1].write('begun');
	const again = await createAgent({ ...wish, hubs: [hub.url], upstreams: [service.address], reportHardware: false });
	t.after(() => again.close());
	await eventually('it was replaced', () => log.has('took our place'));
	assert.equal((await hub.revoke({ name: 'twice' })).tunnels, 2);
	assert.equal((await answer).complete, false);
});

test('of two tokens of one name only the one with the id is revoked; a token made later has its name again', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('ok'));
	const { hub, port, join } = await stack(t);
	const [first, second] = [await token({ name: 'same' }), await token({ name: 'same' })];
	const tokens = await createTokens({ secret: SECRET });
	await join(service.address, { token: first });
	await join(service.address, { token: second });
	assert.equal((await hub.revoke({ tokenId: (await tokens.verify(first)).tokenId })).tunnels, 1);
	assert.equal(hub.agents, 1);
	assert.equal((await hub.revoke({ name: 'same' })).tunnels, 1);
	assertError(await ask(port), 503, 'no_agent');
	await eventually('time has passed', () => Date.now() > Date.parse(hub.revocations.at(-1)?.revokedAt ?? ''));
	await join(service.address, { token: await token({ name: 'same' }) });
	assert.equal((await ask(port)).body, 'ok');
});

test('a hub that is started again refuses what was revoked before', async (t) => {
	const stateDir = await folder(t);
	const before = await createHub({ secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 'off', stateDir });
	await before.revoke({ name: 'gone' });
	await before.close();
	const gone = await token({ name: 'gone' });
	const tokens = await createTokens({ secret: SECRET, now: () => Date.now() - 60_000 });
	const old = await tokens.issue({ name: 'gone' });
	const service = await upstream(t, (_req, res) => res.end('ok'));
	const { hub, port, join, log } = await stack(t, [], { hub: { stateDir } });
	const refused = await createAgent({
		token: old,
		hubs: [hub.url],
		upstreams: [service.address],
		agentID: 'old',
		reportHardware: false,
		logger: log.logger,
	});
	t.after(() => refused.close());
	await eventually('it was refused', () => log.has('The token was revoked'));
	assert.equal(hub.agents, 0);
	await join(service.address, { token: gone });
	assert.equal((await ask(port)).body, 'ok');
	assert.equal(refused.connected, 0);
});

test('a revocation that cannot be kept closes the tunnels, and is not confirmed', async (t) => {
	const stateDir = joinPath(await folder(t), 'state');
	const service = await upstream(t, (_req, res) => res.end('ok'));
	const { hub, log, join } = await stack(t, [], { hub: { stateDir, adminPort: 0 } });
	await join(service.address, { token: await token({ name: 'unkept' }) });
	// Where the folder should be made there is a file by now.
	await writeFile(stateDir, '');
	const answer = await post(hub.adminPort ?? 0, { name: 'unkept' });
	assertError(answer, 500, 'internal');
	assert.match(answer.body, /only until this hub ends/);
	assert.equal(hub.agents, 0);
	assert.ok(log.has('a revocation was not kept'));
});

test('a damaged file of revocations keeps a hub from starting', async (t) => {
	const stateDir = await folder(t);
	await writeFile(joinPath(stateDir, 'revocations.json'), '{"version":1,"revo');
	await assert.rejects(createHub({ secret: SECRET, port: 0, adminPort: 'off', stateDir }), (error: Error) => {
		assert.ok(error instanceof UsageError);
		assert.match(error.message, /revocations\.json: the revocations are damaged/);
		return true;
	});
});

test('the admin listener revokes and lists what is revoked', async (t) => {
	const { hub, admin } = await adminHub(t);
	const answer = await post(admin, { name: 'a' });
	assert.equal(answer.status, 200, answer.body);
	const { revocation, tunnels } = JSON.parse(answer.body);
	assert.deepEqual([revocation.name, tunnels], ['a', 0]);
	const list = await askAdmin(admin, '/api/revocations');
	assert.deepEqual(JSON.parse(list.body), { revocations: [revocation] });
	assert.equal(list.headers['cache-control'], 'no-store');
	assert.deepEqual(hub.revocations, [revocation]);
	const wrongMethod = await askAdmin(admin, '/api/revoke');
	assert.deepEqual([wrongMethod.status, wrongMethod.headers.allow], [405, 'POST']);
	assert.equal((await askAdmin(admin, '/api/other')).status, 404);
	assert.equal((await askAdmin(admin, '/healthz')).body, 'ok\n');
	assert.equal((await askAdmin(admin, '/readyz', { method: 'HEAD' })).status, 200);
});

test('what is no revocation is refused, and changes nothing', async (t) => {
	const { hub, admin } = await adminHub(t);
	for (const body of ['', '{', '[]', 'null', '{}', '{"name":1}', '{"tokenId":"x"}', '{"name":"a","tokenId":"b"}']) {
		assertError(await post(admin, body), 400, 'bad_request');
	}
	assertError(await post(admin, { name: 'a' }, { 'content-type': 'text/plain' }), 400, 'bad_request');
	assertError(await post(admin, { name: 'x'.repeat(2_000_000) }), 400, 'bad_request');
	assert.deepEqual(hub.revocations, []);
});

test('a request that breaks off is no fault of the hub', async (t) => {
	const { hub, admin, log } = await adminHub(t);
	const client = await RawClient.open(t, admin);
	client.send(
		'POST /api/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"na',
	);
	const behind = await RawClient.open(t, admin);
	behind.send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
	await behind.sees('ok');
	client.socket.resetAndDestroy();
	assert.equal((await post(admin, { name: 'a' })).status, 200);
	assert.equal(hub.revocations.length, 1);
	assert.deepEqual(
		log.lines.filter(({ level }) => level === 'error'),
		[],
	);
});

/** What is logged can be changed while a hub runs; and which tokens its agents are connected with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TokenStatus } from '../../src/admin/status.ts';
import { adminJson, askAdmin } from '../helpers/admin-api.ts';
import { ask, assertError, eventually, stack, token, upstream } from '../helpers/stack.ts';

const HUB = { hub: { adminPort: 0 } };

test('the level is told and set, for the hub and for what it logs of its agents', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, port, join, log } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const agent = await join(service.address, { agentID: 'one' });
	const set = (level: string) => adminJson(admin, '/api/log-level', { method: 'PUT', json: { level } });
	const linesOf = (msg: string) => log.lines.filter((line) => line.msg === msg && 'address' in line).length;
	assert.deepEqual(await adminJson(admin, '/api/log-level'), { level: 'debug' });

	assert.deepEqual(await set('error'), { level: 'error' });
	const quiet = log.lines.length;
	await ask(port);
	await agent.close();
	await eventually('the agent left', () => hub.agents === 0);
	const said = log.lines.slice(quiet).filter((line) => line.msg === 'request' && 'address' in line);
	assert.deepEqual(said, []);
	assert.equal(log.has('agent disconnected'), false);

	assert.deepEqual(await set('debug'), { level: 'debug' });
	assert.ok(log.lines.some(({ msg, after }) => msg === 'an operator set the log level' && after === 'debug'));
	const again = await join(service.address, { agentID: 'two' });
	const before = linesOf('request');
	await ask(port);
	assert.equal(linesOf('request'), before + 1);
	await again.close();
	await eventually('the agent left', () => log.has('agent disconnected'));
});

test('what is no level is refused, and changes nothing', async (t) => {
	const { hub } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	for (const json of [{}, { level: 'loud' }, { level: 1 }, { level: 'info', for: '1m' }, [], null]) {
		assertError(await askAdmin(admin, '/api/log-level', { method: 'PUT', json }), 400, 'bad_request');
	}
	assert.deepEqual(await adminJson(admin, '/api/log-level'), { level: 'debug' });
});

test('the tokens that agents are connected with are listed, none of them readable', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t, [], HUB);
	const admin = hub.adminPort ?? 0;
	const lasting = await token({ name: 'berlin' });
	const ending = await token({ name: 'amsterdam', ageMs: 3_600_000, scopes: ['x'], scopePaths: ['/v1/*'] });
	await join(service.address, { agentID: 'a', token: lasting });
	await join(service.address, { agentID: 'b', token: lasting });
	await join(service.address, { agentID: 'c', token: ending });
	const answer = await askAdmin(admin, '/api/tokens');
	const { tokens } = JSON.parse(answer.body) as { tokens: TokenStatus[] };
	assert.deepEqual(
		tokens.map(({ name, scopes, scopePaths, agents }) => [name, scopes, scopePaths, agents]),
		[
			['amsterdam', ['x'], ['/v1/*'], ['c']],
			['berlin', [], [], ['a', 'b']],
		],
	);
	const [amsterdam, berlin] = tokens;
	assert.equal(Date.parse(amsterdam?.expiresAt ?? '') - Date.parse(amsterdam?.issuedAt ?? ''), 3_600_000);
	assert.equal(berlin?.expiresAt, undefined);
	for (const secret of [lasting, ending]) assert.ok(!answer.body.includes(secret));
});

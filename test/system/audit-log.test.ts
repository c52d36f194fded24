/** The audit log: which agents came and which were not let in, and what operators did. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createLogger } from '../../src/index.ts';
import { askAdmin } from '../helpers/admin-api.ts';
import { eventually, type LogSink, stack, token, upstream } from '../helpers/stack.ts';

const hub = { adminPort: 0, auditLog: true };

type Line = Readonly<Record<string, unknown>>;

/** The log's lines for auditors, without what all lines have. */
function audited({ lines }: Pick<LogSink, 'lines'>): Line[] {
	return lines.filter(({ msg }) => msg === 'audit').map(({ level: _, time: __, msg: ___, ...line }) => line);
}

/** One agent's handshake, up to whatever the hub answers. */
async function knock(port: number, bearer: string): Promise<void> {
	const socket = connect(port, '127.0.0.1');
	socket.write('GET /.slime/tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\n');
	socket.write(`Authorization: Bearer ${bearer}\r\nSlime-Agent-Id: gpu-1\r\n\r\n`);
	socket.resume();
	await once(socket, 'close');
}

test('each handshake has a line: who it was, and whether it was let in', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub: one, port, log, join } = await stack(t, [], { hub });
	const berlin = await token({ name: 'berlin' });
	const agent = await join(service.address, { agentID: 'gpu-1', token: berlin });
	const [came = {}] = audited(log);
	const { tokenId, version, ...line } = came;
	assert.deepEqual(line, {
		event: 'handshake',
		address: '127.0.0.1',
		agent: 'gpu-1',
		token: 'berlin',
		replaced: false,
		outcome: 'ok',
	});
	assert.equal(typeof tokenId, 'string');
	assert.match(String(version), /^\d+\./);

	await agent.close();
	await one.revoke({ name: 'berlin' });
	await knock(port, berlin);
	await eventually('it was refused', () => audited(log).length === 2);
	const { reason, ...refused } = audited(log)[1] ?? {};
	const names = { agent: 'gpu-1', token: 'berlin', tokenId };
	const expected = { event: 'handshake', address: '127.0.0.1', ...names, outcome: 'unauthorized', leftOut: 0 };
	assert.deepEqual(refused, expected);
	assert.match(String(reason), /revoked/);
});

test('an agent whose token is wrong is told of by its address alone, and the token is not', async (t) => {
	const { port, log } = await stack(t, [], { hub });
	await knock(port, 'no-such-token');
	const [{ reason, ...refused } = {}] = audited(log);
	assert.deepEqual(refused, { event: 'handshake', address: '127.0.0.1', outcome: 'unauthorized', leftOut: 0 });
	assert.equal(typeof reason, 'string');
	assert.ok(!JSON.stringify(log.lines).includes('no-such-token'));
});

test('what an operator does has a line: from where, what about and what came of it; looking has none', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub: one, log, join } = await stack(t, [], { hub });
	await join(service.address, { agentID: 'gpu-1' });
	const port = one.adminPort ?? 0;
	const before = audited(log).length;
	await askAdmin(port, '/api/status');
	await askAdmin(port, '/api/agents/drain', { json: { agent: 'gpu-1' } });
	await askAdmin(port, '/api/agents/resume', { json: { agent: 'nobody' } });
	await askAdmin(port, '/api/revoke', { json: { name: 'berlin' } });
	const common = { event: 'admin', address: '127.0.0.1', by: 'local' };
	const lines = audited(log).slice(before);
	assert.deepEqual(lines.slice(0, 3), [
		{ ...common, action: 'POST /api/agents/drain', target: { agent: 'gpu-1' }, outcome: 'ok' },
		{
			...common,
			action: 'POST /api/agents/resume',
			target: { agent: 'nobody' },
			outcome: 'not_found',
			reason: 'No agent of this id is drained.',
		},
		{ ...common, action: 'POST /api/revoke', target: { name: 'berlin' }, outcome: 'ok' },
	]);
	assert.equal(lines.length, 3);
});

test('who may not ask has a line even for looking, and the token that was tried is not in it', async (t) => {
	const { hub: one, log } = await stack(t, [], { hub: { ...hub, adminToken: 'the-admin-token' } });
	const port = one.adminPort ?? 0;
	const bearer = (word: string) => ({ headers: { authorization: `Bearer ${word}` } });
	await askAdmin(port, '/api/status', bearer('a-wrong-token'));
	await askAdmin(port, '/api/log-level', { method: 'PUT', json: { level: 'warn' }, ...bearer('the-admin-token') });
	const lines = audited(log).map(({ action, by, outcome, target }) => ({ action, by, outcome, target }));
	assert.deepEqual(lines, [
		{ action: 'GET /api/status', by: undefined, outcome: 'unauthorized', target: undefined },
		{ action: 'PUT /api/log-level', by: 'token', outcome: 'ok', target: { level: 'warn' } },
	]);
	assert.ok(!/wrong-token|admin-token"/.test(JSON.stringify(log.lines)));
});

test('its lines come whatever else is logged, and none where it is off', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	for (const auditLog of [true, false]) {
		const lines: Line[] = [];
		const logger = createLogger('error', { write: (line) => void lines.push(JSON.parse(line)) });
		const { join } = await stack(t, [], { hub: { auditLog, logger } });
		await join(service.address);
		assert.deepEqual(
			lines.map(({ level, msg }) => `${level} ${msg}`),
			auditLog ? ['info audit'] : [],
		);
	}
});

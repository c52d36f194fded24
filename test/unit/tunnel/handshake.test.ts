import assert from 'node:assert/strict';
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ErrorCode, SlimeError } from '../../../src/shared/errors.ts';
import { acceptUpgrade, MAX_AGENT_INFO, readTunnelRequest, refuseUpgrade } from '../../../src/tunnel/handshake.ts';

const FIELDS = {
	connection: 'Upgrade',
	upgrade: 'h2c-reverse',
	authorization: 'Bearer v3.local.abc',
	'slime-agent-id': 'gpu-1',
};

function read(fields: Record<string, string>, method = 'GET') {
	const req = new IncomingMessage(new net.Socket());
	req.method = method;
	req.headers = fields;
	return readTunnelRequest(req);
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

function refuses(code: ErrorCode, fields: Record<string, string>, method?: string): void {
	assert.throws(
		() => read(fields, method),
		(error) => error instanceof SlimeError && error.code === code,
		JSON.stringify(fields).slice(0, 200),
	);
}

test('token, id and description are read from the request', () => {
	const info = { version: '1.0.0', numWorker: 4, hardware: { memory: 1 }, other: ['x'] };
	assert.deepEqual(read({ ...FIELDS, 'slime-agent-info': base64url(info) }), {
		token: 'v3.local.abc',
		agentId: 'gpu-1',
		info,
	});
	assert.deepEqual(read(FIELDS).info, {});
	assert.deepEqual(read({ ...FIELDS, upgrade: 'websocket, H2C-Reverse' }).info, {});
});

test('Slime-Agent-Token goes before an Authorization that is for a proxy', () => {
	const own = { ...FIELDS, authorization: 'Basic dTpw', 'slime-agent-token': 'v3.local.own' };
	assert.equal(read(own).token, 'v3.local.own');
	assert.equal(read({ ...own, authorization: 'Bearer other' }).token, 'v3.local.own');
});

test('no token, or what cannot be one, is unauthorized', () => {
	const { authorization: _, ...without } = FIELDS;
	refuses('unauthorized', without);
	for (const authorization of [
		'',
		'Bearer',
		'Bearer ',
		'Basic dTpw',
		'Bearer a b',
		`Bearer ${'x'.repeat(8193)}`,
		'Bearer ä',
	]) {
		refuses('unauthorized', { ...FIELDS, authorization });
	}
	refuses('unauthorized', { ...FIELDS, 'slime-agent-token': '' });
	refuses('unauthorized', { ...FIELDS, 'slime-agent-token': 'one, two' });
});

test('another method, another upgrade and an odd id are bad requests', () => {
	refuses('bad_request', FIELDS, 'POST');
	refuses('bad_request', { ...FIELDS, upgrade: 'websocket' });
	const { 'slime-agent-id': _, ...without } = FIELDS;
	refuses('bad_request', without);
	for (const id of ['', 'a b', 'a, b', 'x'.repeat(65), 'ä', '../x'])
		refuses('bad_request', { ...FIELDS, 'slime-agent-id': id });
});

test('a description that is no JSON object, or too long, is a bad request', () => {
	const odd = ['!!', 'e30=x', base64url([]), base64url(null), base64url(1), Buffer.from('{').toString('base64url')];
	for (const info of [...odd, base64url({ x: 'x'.repeat(MAX_AGENT_INFO) })]) {
		refuses('bad_request', { ...FIELDS, 'slime-agent-info': info });
	}
});

test('values of a description that cannot be are dropped, keys that are not known are kept', () => {
	for (const numWorker of [0, 65_536, 1.5, '4', null]) {
		const info = base64url({ numWorker, version: 7, kept: true });
		assert.deepEqual(read({ ...FIELDS, 'slime-agent-info': info }).info, { kept: true });
	}
	assert.equal(read({ ...FIELDS, 'slime-agent-info': base64url({ numWorker: 65_535 }) }).info.numWorker, 65_535);
	assert.deepEqual(read({ ...FIELDS, 'slime-agent-info': base64url({ version: 'x'.repeat(65) }) }).info, {});
});

/** Both ends of a connection on loopback; the agent's stays half open, as a peer's may that never closes. */
async function connection(t: TestContext): Promise<{ hub: net.Socket; agent: net.Socket }> {
	const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as net.AddressInfo;
	const agent = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	const [hub] = (await once(server, 'connection')) as [net.Socket];
	t.after(() => {
		agent.destroy();
		hub.destroy();
		server.close();
	});
	return { hub, agent };
}

/** Resolves when the socket is closed, with an error or without. */
function closed(socket: net.Socket): Promise<void> {
	return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function textOf(socket: net.Socket): Promise<string> {
	let text = '';
	socket.setEncoding('utf8').on('data', (chunk) => {
		text += chunk;
	});
	await once(socket, 'end');
	return text;
}

test('an accepted agent reads a 101 and then whatever the hub writes', async (t) => {
	const { hub, agent } = await connection(t);
	acceptUpgrade(hub, { 'Slime-Hub-Version': '1.0.0' });
	hub.end('PRI');
	assert.equal(
		await textOf(agent),
		'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\nSlime-Hub-Version: 1.0.0\r\n\r\nPRI',
	);
});

test('a refused agent reads status, code and sentence, and both ends are closed', async (t) => {
	const { hub, agent } = await connection(t);
	const gone = closed(hub);
	refuseUpgrade(hub, new SlimeError('draining'), { 'X-Request-Id': '7' });
	const [head = '', body = ''] = (await textOf(agent)).split('\r\n\r\n');
	assert.match(head, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
	for (const field of ['Connection: close', 'Slime-Error: draining', 'Retry-After: 1', 'X-Request-Id: 7']) {
		assert.ok(head.split('\r\n').includes(field), field);
	}
	assert.ok(head.includes(`Content-Length: ${Buffer.byteLength(body)}`));
	const { error } = JSON.parse(body);
	assert.deepEqual(error, { message: 'The hub is shutting down.', type: 'server_error', code: 'draining' });
	agent.end('what nobody asked for');
	await gone;
	assert.equal(hub.readableEnded, true, 'closed by the agent, not cut for being late');
});

test('what cannot be retried says nothing of a retry', async (t) => {
	const { hub, agent } = await connection(t);
	refuseUpgrade(hub, new SlimeError('unauthorized', 'The token is ünknown.'));
	const text = await textOf(agent);
	assert.ok(!text.includes('Retry-After'));
	assert.ok(text.includes('WWW-Authenticate: Bearer'));
	assert.ok(text.endsWith('"code":"unauthorized"}}\n'));
});

test('an answer reaches an agent that has already sent its FIN', async (t) => {
	const { hub, agent } = await connection(t);
	agent.end('more');
	hub.resume();
	await once(hub, 'end');
	refuseUpgrade(hub, new SlimeError('bad_request'));
	assert.match(await textOf(agent), /^HTTP\/1\.1 400 /);
});

test('an agent that does not close is cut', async (t) => {
	const { hub, agent } = await connection(t);
	agent.resume();
	const gone = closed(hub);
	refuseUpgrade(hub, new SlimeError('bad_request'));
	await once(agent, 'end');
	assert.equal(agent.writable, true);
	await gone;
});

test('an agent that is gone already is no fault', async (t) => {
	const { hub, agent } = await connection(t);
	const gone = closed(hub);
	agent.resetAndDestroy();
	refuseUpgrade(hub, new SlimeError('bad_request'));
	await gone;
	refuseUpgrade(hub, new SlimeError('bad_request'));
});

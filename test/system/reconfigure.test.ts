/** Other options for a hub that runs: what is right is in use at once, what is wrong changes nothing, and nobody who is here loses anything. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import type { HubStatus } from '../../src/admin/status.ts';
import { createAgent, createTokens, type GivenHubOptions } from '../../src/index.ts';
import { adminJson, askAdmin } from '../helpers/admin-api.ts';
import { closedPort } from '../helpers/ports.ts';
import { Arrivals, ask, eventually, RawClient, SECRET, stack, upstream } from '../helpers/stack.ts';
import { askTls, tlsFiles } from '../helpers/tls-clients.ts';

const BASE: GivenHubOptions = { secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 'off' };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const PASSWORD = { 'slime-app-password': 'new' };

test('passwords, limits and the queue change under an open stream and a waiting request, which stay', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t, [], { hub: { concurrent: 1 } });
	await join(service.address, { numWorker: 5 });
	const open = ask(port);
	const [, first] = await arrivals.next();
	first.write('before ');
	const waiting = ask(port, '/', { headers: { 'slime-block': '1' } });
	await eventually('one waits', () => hub.waiting === 1);

	await hub.reconfigure({
		...BASE,
		appPassword: 'new',
		concurrent: 2,
		queue: { mode: 'always', max: 0, timeout: 1000, maxBytes: 0 },
		firstByteTimeout: 3000,
		cors: {
			origins: ['https://a.example'],
			methods: ['*'],
			headers: ['*'],
			exposedHeaders: [],
			credentials: false,
			maxAge: 0,
		},
	});
	const [, second] = await arrivals.next();
	assert.equal(hub.waiting, 0, 'the one that waited has the slot that is free now');
	second.write('wh');
	assert.equal((await ask(port)).status, 401);
	const full = await ask(port, '/', { headers: { ...PASSWORD, origin: 'https://a.example' } });
	assert.deepEqual([full.status, full.headers['slime-error']], [503, 'queue_full']);
	assert.equal(full.headers['access-control-allow-origin'], 'https://a.example');
	first.end('after');
	const { body, complete } = await open;
	assert.deepEqual([body, complete], ['before after', true]);
	const late = ask(port, '/', { headers: PASSWORD });
	await arrivals.next();
	assert.equal((await late).headers['slime-error'], 'upstream_timeout');
	second.end('ole');
	assert.equal((await waiting).body, 'whole');
});

test('at another port new connections are taken, and those of the old one are served to their end', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t);
	await join(service.address, { numWorker: 9 });
	const [idle, busy] = [await RawClient.open(t, port), await RawClient.open(t, port)];
	idle.send(GET);
	(await arrivals.next())[1].end('one');
	await idle.sees('one');
	busy.send(GET);
	const [, streaming] = await arrivals.next();
	streaming.write('begun');
	await busy.sees('begun');

	const other = await closedPort();
	await hub.reconfigure({ ...BASE, port: other });
	assert.deepEqual([hub.address.port, hub.url], [other, `http://127.0.0.1:${other}`]);
	await assert.rejects(ask(port), { code: 'ECONNREFUSED' });
	const here = ask(other);
	(await arrivals.next())[1].end('new');
	assert.equal((await here).body, 'new');
	assert.equal(hub.agents, 1, 'the tunnel came through the old port, and stays');
	idle.send(GET);
	(await arrivals.next())[1].end('two');
	assert.match(await idle.all(), /one.*Connection: close.*two$/s);
	streaming.end(' and ended');
	await busy.sees(' and ended\r\n0\r\n\r\n');
	busy.send(GET);
	(await arrivals.next())[1].end('three');
	assert.match(await busy.all(), /begun.* and ended\r\n0\r\n\r\n.*Connection: close.*three$/s);
	assert.deepEqual([idle.ended, busy.ended], ['fin', 'fin']);
});

test('a port that cannot be had changes nothing, nor do options that make no sense', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const { hub, port } = await stack(t, [service.address]);
	const taken = createServer().listen(0, '127.0.0.1');
	t.after(() => taken.close());
	await once(taken, 'listening');
	const used = (taken.address() as AddressInfo).port;
	const free = await closedPort();
	const changed = { ...BASE, appPassword: 'new', concurrent: 1 };
	await assert.rejects(hub.reconfigure({ ...changed, port: used }), { code: 'EADDRINUSE' });
	await assert.rejects(hub.reconfigure({ ...changed, port: free, agentPort: used }), { code: 'EADDRINUSE' });
	await assert.rejects(hub.reconfigure({ ...changed, port: free, adminPort: used }), { code: 'EADDRINUSE' });
	await assert.rejects(hub.reconfigure({ ...changed, clientAuth: 'all' }), /needs a clientCa/);
	await assert.rejects(hub.reconfigure({ ...changed, trustedProxies: ['nowhere'] }), /nowhere/);
	const tls = { cert: '/nowhere', key: '/nowhere' };
	await assert.rejects(hub.reconfigure({ ...changed, port: free, tls }), /nowhere/);
	const keys = ['a', 'a'].map((name) => ({ name, key: `${name}-key-of-more-than-16` }));
	await assert.rejects(hub.reconfigure({ ...changed, port: free, keys }), /a is there already/);
	await assert.rejects(ask(free), { code: 'ECONNREFUSED' });
	assert.equal((await ask(port)).body, 'served', 'without a password, where it was');
	assert.equal(hub.address.port, port);
});

test('TLS begins and ends at the same port, and connections go on as they began', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, join } = await stack(t);
	await join(service.address, { numWorker: 9 });
	const { files, pem } = await tlsFiles(t);
	const plain = await RawClient.open(t, port);
	plain.send(GET);
	const [, streaming] = await arrivals.next();
	streaming.write('plain ');
	await hub.reconfigure({ ...BASE, tls: { cert: files.cert, key: files.key } });
	assert.equal(hub.url, `https://127.0.0.1:${port}`);
	const secure = askTls(port, { ca: pem.ca });
	const [, within] = await arrivals.next();
	within.write('TLS');
	await assert.rejects(ask(port));
	await hub.reconfigure(BASE);
	const again = ask(port);
	(await arrivals.next())[1].end('plain again');
	assert.equal((await again).body, 'plain again');
	within.end(' to its end');
	assert.equal((await secure).body, 'TLS to its end');
	streaming.end('to its end');
	await plain.sees('to its end\r\n0\r\n\r\n');
});

test('API keys, their scopes and the certificate change under an open stream', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const [first, second] = [await tlsFiles(t), await tlsFiles(t)];
	const tlsOf = ({ files }: typeof first) => ({ cert: files.cert, key: files.key });
	const keyOf = (name: string, scopes: readonly string[]) => ({ name, key: `${name}-key-of-more-than-16`, scopes });
	const { hub, port, join } = await stack(t, [], {
		hub: { tls: tlsOf(first), keys: [keyOf('old', ['chat']), keyOf('both', ['chat'])] },
		agent: {},
	});
	await join(service.address, { numWorker: 9, scopes: ['chat', 'images'], ca: first.files.ca });
	const asked = (ca: string, name: string, scope: string) =>
		askTls(port, { ca, headers: { authorization: `Bearer ${name}-key-of-more-than-16`, 'slime-scope': scope } });
	const open = asked(first.pem.ca, 'old', 'chat');
	const [, streaming] = await arrivals.next();
	streaming.write('begun ');
	const keys = [keyOf('both', ['images']), keyOf('new', ['chat', 'images'])];
	await hub.reconfigure({ ...BASE, tls: tlsOf(second), keys });
	const served = asked(second.pem.ca, 'both', 'images');
	(await arrivals.next())[1].end('images');
	assert.equal((await served).body, 'images');
	assert.equal((await asked(second.pem.ca, 'both', 'chat')).status, 403);
	assert.equal((await asked(second.pem.ca, 'old', 'chat')).status, 401);
	await assert.rejects(asked(first.pem.ca, 'new', 'chat'), 'the first certificate is shown no more');
	streaming.end('ended');
	assert.equal((await open).body, 'begun ended');
});

test('limits of connections count those that are open already', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const { hub, port } = await stack(t, [service.address], { hub: { maxConnectionsPerAddress: 50 } });
	const first = await RawClient.open(t, port);
	first.send(GET);
	await first.sees('served');
	// The agent's, and the one that is open.
	await hub.reconfigure({ ...BASE, maxConnectionsPerAddress: 2, keepAliveTimeout: 60_000 });
	const second = await RawClient.open(t, port);
	await second.all();
	assert.equal(hub.ended.per_address, 1);
	first.send(GET);
	await first.all();
	await eventually('it was counted off', () => first.ended === 'fin');
	assert.equal((await ask(port)).status, 200);
	await hub.reconfigure({ ...BASE, maxConnections: 1 });
	await assert.rejects(ask(port));
	assert.equal(hub.ended.too_many, 1);
});

test('with another secret the tunnels stay, and tokens of both are let in as long as both are named', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const { hub, port, join } = await stack(t, [service.address]);
	const next = 'another secret for tests';
	await hub.reconfigure({ ...BASE, secret: next, previousSecret: SECRET });
	assert.equal(hub.agents, 1);
	await join(service.address);
	const token = await (await createTokens({ secret: next })).issue({ name: 'new' });
	await join(service.address, { token });
	await hub.reconfigure({ ...BASE, secret: next });
	assert.equal(hub.agents, 3, 'who is here stays');
	await join(service.address, { token });
	const refused = await createAgent({
		token: await old(),
		hubs: [hub.url],
		upstreams: [service.address],
		agentID: 'o',
	});
	t.after(() => refused.close());
	const asked = ask(port);
	assert.equal((await asked).body, 'served');
	assert.equal(refused.connected, 0);
});

async function old(): Promise<string> {
	return (await createTokens({ secret: SECRET })).issue({ name: 'old' });
}

test('agents get a port of their own, and those that came by the other one stay', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('served'));
	const { hub, port, join } = await stack(t, [service.address]);
	await hub.reconfigure({ ...BASE, agentPort: 0 });
	const at = hub.agentAddress?.port ?? 0;
	assert.notEqual(at, port);
	assert.equal(hub.agents, 1);
	await join(service.address);
	assert.equal((await ask(at)).status, 404);
	assert.equal((await ask(port)).body, 'served');
	await hub.reconfigure(BASE);
	assert.equal(hub.agentAddress, undefined);
	await assert.rejects(ask(at), { code: 'ECONNREFUSED' });
	assert.equal(hub.agents, 2);
	await join(service.address);
});

test('the admin listener gets another token where it is, moves, ends and begins', async (t) => {
	const { hub } = await stack(t, [], { hub: { adminPort: 0 } });
	const first = hub.adminPort ?? 0;
	const bearer = { headers: { authorization: 'Bearer new-token' } };
	assert.equal((await askAdmin(first, '/api/status')).status, 200);
	await hub.reconfigure({ ...BASE, adminPort: 0, adminToken: 'new-token', concurrent: 7 });
	assert.equal(hub.adminPort, first);
	assert.equal((await askAdmin(first, '/api/status')).status, 401);
	assert.equal((await adminJson<HubStatus>(first, '/api/status', bearer)).slots.concurrent, 7);
	const second = await closedPort();
	await hub.reconfigure({ ...BASE, adminPort: second });
	assert.equal(hub.adminPort, second);
	await assert.rejects(ask(first), { code: 'ECONNREFUSED' });
	assert.equal((await askAdmin(second, '/api/status')).status, 200);
	await hub.reconfigure(BASE);
	assert.equal(hub.adminPort, undefined);
	await assert.rejects(ask(second), { code: 'ECONNREFUSED' });
	await hub.reconfigure({ ...BASE, adminPort: second });
	assert.match((await ask(second, '/metrics')).body, /event_loop/);
});

test('a reload that is asked for while another is under way comes after it', async (t) => {
	const { hub, port } = await stack(t);
	await Promise.all([
		hub.reconfigure({ ...BASE, secret: 'takes a while to derive', appPassword: 'one' }),
		hub.reconfigure({ ...BASE, appPassword: 'two' }),
	]);
	const asked = async (password: string) =>
		(await ask(port, '/', { headers: { 'slime-app-password': password } })).status;
	assert.deepEqual([await asked('one'), await asked('two')], [401, 503]);
	const reconfigured = hub.reconfigure({ ...BASE, secret: 'takes a while as well' });
	await hub.close();
	await assert.rejects(reconfigured, /ending/);
});

/** The life of a tunnel: who replaces whom, what heartbeats find, how hubs and agents leave and come back, TLS. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createAgent, createHub } from '../../src/index.ts';
import { writeCertificates } from '../helpers/certificates.ts';
import {
	Arrivals,
	ask,
	assertError,
	eventually,
	LogSink,
	listenOn,
	readAnswer,
	SECRET,
	stack,
	token,
	upstream,
} from '../helpers/stack.ts';

test('a returning agent replaces its old tunnel, whose request under way finishes', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, join, log } = await stack(t);
	const wish = { token: await token(), agentID: 'same' };
	await join(service.address, wish);
	const first = ask(port);
	const [, res] = await arrivals.next();
	const agent = await createAgent({
		...wish,
		hubs: [hub.url],
		upstreams: [service.address],
		reportHardware: false,
		logger: log.logger,
	});
	t.after(() => agent.close());
	await eventually('the old one was told', () => log.has('took our place'));
	await eventually('the new one is there', () => hub.agents === 1);
	const second = ask(port, '/', { headers: { 'slime-block': '1' } });
	res.end('old');
	assert.equal((await first).body, 'old');
	(await arrivals.next())[1].end('new');
	assert.equal((await second).body, 'new');
	assert.equal(agent.connected, 1);
});

test('two tokens with the same agent id are two agents', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub, join } = await stack(t);
	const agents = [await join(service.address, { agentID: 'same' }), await join(service.address, { agentID: 'same' })];
	assert.equal(hub.agents, 2);
	assert.deepEqual(
		agents.map((agent) => agent.connected),
		[1, 1],
	);
});

test('an agent comes back when its hub restarts', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('ok'));
	const { port, hub, join } = await stack(t);
	const agent = await join(service.address);
	await hub.close();
	await eventually('the agent noticed', () => agent.connected === 0);
	const again = await createHub({ secret: SECRET, host: '127.0.0.1', port, adminPort: 'off' });
	t.after(() => again.close());
	await eventually('the agent is back', () => again.agents === 1);
	assert.equal((await ask(port, '/', { headers: { 'slime-block': '1' } })).body, 'ok');
});

test('a draining agent finishes what it has and gets nothing new', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, join } = await stack(t);
	const agent = await join(service.address, { numWorker: 2 });
	const first = ask(port);
	const [, res] = await arrivals.next();
	const drained = agent.drain();
	// One worker is free, and still nothing new gets there.
	const refused = await ask(port);
	assert.equal(refused.status, 503, refused.body);
	assert.equal(service.served, 1);
	res.end('finished');
	assert.equal((await first).body, 'finished');
	await drained;
	await eventually('it has left', () => hub.agents === 0);
	assertError(await ask(port), 503, 'no_agent');
});

for (const end of ['hub', 'agent'] as const) {
	test(`the ${end}'s heartbeat finds a tunnel that is frozen`, async (t) => {
		const quick = { interval: 200, timeout: 1000 };
		const slow = { interval: 60_000, timeout: 60_000 };
		const { hub, log } = await stack(t, [], { hub: { heartbeat: end === 'hub' ? quick : slow } });
		const proxy = await freezable(t, hub.address.port);
		const agent = await createAgent({
			token: await token(),
			hubs: [`127.0.0.1:${proxy.port}`],
			upstreams: ['127.0.0.1:1'],
			agentID: 'a',
			reportHardware: false,
			heartbeat: end === 'agent' ? quick : slow,
			logger: log.logger,
		});
		t.after(() => agent.close());
		await eventually('the agent joined', () => hub.agents === 1 && agent.connected === 1);
		proxy.freeze();
		const other = end === 'hub' ? 'agent' : 'hub';
		await eventually('it was found dead', () => log.has(`the ${other} does not answer any more`));
		await eventually('it counts no more', () => (end === 'hub' ? hub.agents : agent.connected) === 0);
	});
}

/** A TCP relay that can stop moving bytes without closing anything. */
async function freezable(t: TestContext, to: number): Promise<{ port: number; freeze(): void }> {
	const open = new Set<Socket>();
	let frozen = false;
	const server = createServer((near) => {
		const far = connect(to, '127.0.0.1');
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			open.add(socket);
			socket.on('data', (chunk) => {
				if (!frozen) other.write(chunk);
			});
			socket.on('error', () => socket.destroy());
			socket.on('close', () => {
				if (!frozen) other.destroy();
			});
		}
	});
	const port = await listenOn(t, server);
	t.after(() => {
		for (const socket of open) socket.destroy();
	});
	return {
		port,
		freeze: () => {
			frozen = true;
		},
	};
}

for (const mutual of [false, true]) {
	test(`a TLS hub${mutual ? ' that wants client certificates of its agents' : ''}`, async (t) => {
		const dir = await mkdtemp(joinPath(tmpdir(), 'slime-'));
		t.after(() => rm(dir, { recursive: true, force: true }));
		const { ca, cert, key, clientCert, clientKey } = await writeCertificates(dir);
		const service = await upstream(t, (req, res) => res.end(String(req.headers['x-forwarded-proto'])));
		const tls = { cert, key, ...(mutual && { clientCa: ca }) };
		const { hub, port, join } = await stack(t, [], { hub: { tls } });
		if (mutual) {
			const log = new LogSink();
			const stranger = await createAgent({
				token: await token(),
				hubs: [hub.url],
				upstreams: [service.address],
				agentID: 'stranger',
				reportHardware: false,
				ca,
				logger: log.logger,
			});
			t.after(() => stranger.close());
			await eventually('it was refused', () => log.has('not connected'));
			assert.equal(hub.agents, 0);
			await stranger.close();
		}
		await join(service.address, { ca, ...(mutual && { tlsCert: clientCert, tlsKey: clientKey }) });
		const answer = await new Promise<Awaited<ReturnType<typeof readAnswer>>>((resolve, reject) => {
			const req = request({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }, (res) =>
				resolve(readAnswer(res)),
			);
			req.on('error', reject);
			req.end();
		});
		assert.equal(answer.body, 'https');
	});
}

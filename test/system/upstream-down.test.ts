/** An upstream that cannot be reached: its agent says so and takes nothing, and comes back by itself. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { AgentStatus, HubStatus } from '../../src/admin/status.ts';
import { Flag, FrameType } from '../../src/h2/protocol.ts';
import { createAgent } from '../../src/index.ts';
import { UPSTREAM_STATE_FRAME } from '../../src/tunnel/upstream-state.ts';
import { frame, type RawPeer } from '../helpers/h2-peer.ts';
import { closedPort } from '../helpers/ports.ts';
import { limitOf, RawHub, rawAgent } from '../helpers/raw-tunnels.ts';
import { RestartableUpstream, UPSTREAM_KINDS } from '../helpers/restartable-upstream.ts';
import { Scrape } from '../helpers/scraping.ts';
import {
	Arrivals,
	ask,
	assertError,
	eventually,
	LogSink,
	rawUpstream,
	type Stack,
	stack,
	token,
	upstream,
	WAITS,
} from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const HUB = { adminPort: 0 };

const stateFrame = (payload: string | Buffer) => frame(UPSTREAM_STATE_FRAME, 0, 0, Buffer.from(payload));

async function statusOf({ hub }: Stack, id: string | undefined): Promise<AgentStatus> {
	const { agents } = JSON.parse((await ask(hub.adminPort ?? 0, '/api/status')).body) as HubStatus;
	const found = agents.find((agent) => agent.id === id);
	assert.ok(found);
	return found;
}

const down = ({ log }: Stack) => eventually('the hub knows', () => log.has("the agent's upstream is down"));
const up = ({ log }: Stack) => eventually('the hub knows', () => log.has("the agent's upstream is up"));

for (const kind of UPSTREAM_KINDS) {
	test(
		`an agent whose upstream refuses connections is sent nothing until it takes them again: ${kind}`,
		LIMIT,
		async (t) => {
			const service = await RestartableUpstream.open(t, kind);
			const other = await upstream(t, (_req, res) => res.end('other'));
			const scene = await stack(t, [], { hub: HUB });
			await scene.join(service.address, { agentID: 'mortal', ca: service.ca, numWorker: 2 });
			assert.equal((await ask(scene.port)).body, 'up');
			await service.stop();
			await scene.join(other.address);

			const found: string[] = [];
			while (!scene.log.has("the agent's upstream is down")) found.push((await ask(scene.port)).body);
			assert.deepEqual(new Set(found), new Set(['other']), 'no application noticed');
			const { upstream: told, workers, state } = await statusOf(scene, 'mortal');
			assert.deepEqual([state, workers.limit], ['ready', 0]);
			assert.ok(told.state === 'down', told.state);
			assert.equal(told.reason, 'refused');
			assert.match(told.message, /^(connection refused|there is no such socket)$/);
			assert.ok(told.age >= 0 && told.age < 60_000);

			const replays = 'slime_hub_replays_total{reason="upstream"}';
			const before = (await Scrape.of(scene.hub)).get(replays);
			for (let i = 0; i < 5; i++) assert.equal((await ask(scene.port)).body, 'other');
			const scrape = await Scrape.of(scene.hub);
			assert.equal(scrape.get(replays), before, 'nothing was tried');
			const [series = ''] = scrape.series('slime_hub_agent_upstream_down{agent="mortal"');
			assert.match(series, /reason="refused"\}$/);
			assert.equal(scrape.get(series), 1);

			await service.start();
			await up(scene);
			assert.deepEqual((await statusOf(scene, 'mortal')).upstream, { state: 'up' });
			assert.deepEqual((await Scrape.of(scene.hub)).series('slime_hub_agent_upstream_down'), []);
			const answers = await Promise.all([ask(scene.port), ask(scene.port), ask(scene.port)]);
			assert.ok(answers.some(({ body }) => body === 'up'));
		},
	);
}

test(
	'with nobody else a request is answered 502 upstream_unreachable and why, untried, whether it waits or not',
	LIMIT,
	async (t) => {
		const service = await RestartableUpstream.open(t);
		const scene = await stack(t, [service.address]);
		await service.stop();
		assertError(await ask(scene.port), 502, 'upstream_unreachable');
		await down(scene);
		const failed = scene.log.lines.filter(({ msg }) => msg === 'request failed').length;
		for (const headers of [{}, WAITS]) {
			const answer = await ask(scene.port, '/', { headers });
			assertError(answer, 502, 'upstream_unreachable');
			assert.match(JSON.parse(answer.body).error.message, /cannot be reached: connection refused\.$/);
			assert.equal(answer.headers['retry-after'], '1');
		}
		assert.equal(scene.log.lines.filter(({ msg }) => msg === 'request failed').length, failed);
		await service.start();
		await up(scene);
		assert.equal((await ask(scene.port)).body, 'up');
	},
);

test('with queue.waitForUpstream a request that waits is served when the upstream is up again', LIMIT, async (t) => {
	const service = await RestartableUpstream.open(t);
	const queue = {
		mode: 'header',
		max: 8,
		maxWithoutAgent: 1,
		timeout: 60_000,
		maxBytes: 1024,
		waitForUpstream: true,
	} as const;
	const scene = await stack(t, [service.address], { hub: { queue } });
	await service.stop();
	assertError(await ask(scene.port), 502, 'upstream_unreachable');
	await down(scene);
	assertError(await ask(scene.port), 502, 'upstream_unreachable');
	const waiting = ask(scene.port, '/', { headers: WAITS });
	await eventually('it waits', () => scene.hub.waiting === 1);
	assertError(await ask(scene.port, '/', { headers: WAITS }), 503, 'queue_full');
	await service.start();
	assert.equal((await waiting).body, 'up');
});

test('requests that wait for a worker go on waiting while the upstream is down', LIMIT, async (t) => {
	const scene = await stack(t);
	const raw = await rawAgent(t, scene);
	const first = ask(scene.port, '/first');
	const { streamId } = await raw.next(FrameType.HEADERS);
	const waiting = ask(scene.port, '/second', { headers: WAITS });
	await eventually('one waits', () => scene.hub.waiting === 1);
	raw.send(
		stateFrame('{"state":"down","reason":"refused","message":"connection refused"}'),
		raw.headers(streamId, [':status', '200'], true),
	);
	assert.equal((await first).status, 200);
	assertError(await ask(scene.port), 502, 'upstream_unreachable');
	assert.deepEqual([scene.hub.waiting, scene.hub.leased], [1, 0]);
	raw.send(stateFrame('{"state":"up"}'));
	const next = await raw.next(FrameType.HEADERS);
	raw.send(raw.headers(next.streamId, [':status', '204'], true));
	assert.equal((await waiting).status, 204);
});

test('one connection that breaks is not taken for an upstream that is down', LIMIT, async (t) => {
	const service = await RestartableUpstream.open(t, 'http', (req, res) => {
		if (req.url === '/reset') (req.socket as Socket).resetAndDestroy();
		else res.end('up');
	});
	const scene = await stack(t, [service.address], { hub: HUB });
	for (let i = 0; i < 3; i++) assertError(await ask(scene.port, '/reset'), 502, 'upstream_unreachable');
	await eventually('the agent has connected by itself', () => service.connections > 3);
	await eventually('it has seen enough', () => service.open === 0);
	assert.equal((await ask(scene.port)).body, 'up');
	assert.ok(!scene.log.has('upstream is'), 'it was said to be down');
	assert.deepEqual((await statusOf(scene, ids(scene)[0])).upstream, { state: 'up' });
});

test('an app that leaves is no reason to look at the upstream', LIMIT, async (t) => {
	const arrivals = new Arrivals();
	const service = await RestartableUpstream.open(t, 'http', arrivals.handler as RestartableUpstream['handler']);
	const scene = await stack(t, [service.address]);
	for (const begun of [false, true]) {
		const leaving = new AbortController();
		const asked = ask(scene.port, '/', { method: 'POST', body: 'x', headers: WAITS, signal: leaving.signal });
		const [, res] = await arrivals.next();
		if (begun) res.write('half');
		leaving.abort();
		await Promise.allSettled([asked]);
	}
	await eventually('the upstream has nothing left', () => service.open === 0);
	assert.equal(service.connections, 2);
	assert.ok(!scene.log.has('request failed'));
});

function ids({ log }: Stack): string[] {
	return log.lines.filter(({ msg }) => msg === 'agent connected').map(({ agent }) => String(agent));
}

test(
	'what takes connections and closes them at once, as a forwarded port without a service does, is down',
	LIMIT,
	async (t) => {
		const service = await rawUpstream(t, (socket) => socket.destroy());
		const scene = await stack(t, [service], { hub: HUB });
		assertError(await ask(scene.port), 502, 'upstream_unreachable');
		// A look at it that is itself held up takes it for well: with requests there are others.
		const asking = setInterval(() => void ask(scene.port), 500);
		await down(scene).finally(() => clearInterval(asking));
		const { upstream: told } = await statusOf(scene, ids(scene)[0]);
		assert.deepEqual([told.state, 'reason' in told && told.reason], ['down', 'closed']);
	},
);

interface Said {
	readonly tunnel: RawPeer;
	readonly service: RestartableUpstream;
	/** What the agent said of its upstream, and the limits that it announced, in order. */
	told(): string[];
}

/** A real agent at a hub in the test's hands. */
async function said(t: TestContext, numWorker: number, handler?: RestartableUpstream['handler']): Promise<Said> {
	const hub = await RawHub.open(t);
	const service = await RestartableUpstream.open(t, 'http', handler);
	const agent = await createAgent({
		token: 'any',
		hubs: [hub.url],
		upstreams: [service.address],
		agentID: 'a',
		numWorker,
		reportHardware: false,
	});
	t.after(() => agent.close());
	const tunnel = await hub.tunnel();
	const told = () =>
		tunnel.frames.flatMap(({ type, flags, payload }) => {
			if (type === UPSTREAM_STATE_FRAME) return [payload.toString()];
			if (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0) return [];
			for (let at = 0; at < payload.length; at += 6) {
				if (payload.readUInt16BE(at) === 3) return [`limit ${payload.readUInt32BE(at + 2)}`];
			}
			return [];
		});
	return { tunnel, service, told };
}

const get = (tunnel: RawPeer, id: number) =>
	tunnel.headers(id, [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'], true);

test('the agent says why first, then announces 0, and its limit again when the upstream is up', LIMIT, async (t) => {
	const arrivals = new Arrivals();
	const { tunnel, service, told } = await said(t, 3, arrivals.handler as RestartableUpstream['handler']);
	// One that runs goes on: a service may stop to listen before it stops.
	tunnel.send(get(tunnel, 1));
	const [, res] = await arrivals.next();
	await tunnel.settle();
	const running = res.socket;
	assert.ok(running);
	await service.stopListening();
	tunnel.send(get(tunnel, 3));
	await eventually('it announces 0', () => limitOf(tunnel) === 0);
	const state = '{"state":"down","reason":"refused","message":"connection refused"}';
	assert.deepEqual(told(), ['limit 3', state, 'limit 0']);

	// Sent before the hub knew.
	tunnel.send(get(tunnel, 5));
	const reset = await tunnel.next(FrameType.RST_STREAM, (f) => f.streamId === 5);
	assert.equal(reset.payload.readUInt32BE(0), 7, 'REFUSED_STREAM');
	res.end('whole');
	await eventually('it ended', () => tunnel.bodyOf(1).toString() === 'whole');
	assert.equal(limitOf(tunnel), 0);

	await service.start();
	await eventually('it announces its workers', () => limitOf(tunnel) === 3);
	assert.deepEqual(told().slice(3), ['{"state":"up"}', 'limit 3']);
});

test(
	'an agent that joins while its upstream is down announces 0 and says why, in its first breath',
	LIMIT,
	async (t) => {
		const log = new LogSink();
		const hub = await RawHub.open(t);
		const agent = await createAgent({
			token: 'any',
			hubs: [hub.url],
			upstreams: [`127.0.0.1:${await closedPort()}`],
			agentID: 'a',
			reportHardware: false,
			logger: log.logger,
		});
		t.after(() => agent.close());
		const first = await hub.tunnel();
		first.send(get(first, 1));
		await eventually('it announces 0', () => limitOf(first) === 0);
		first.socket.destroy();
		const second = await hub.tunnel();
		assert.equal(limitOf(second), 0);
		const frame = await second.next(UPSTREAM_STATE_FRAME);
		assert.equal(JSON.parse(frame.payload.toString()).state, 'down');
	},
);

test(
	'an agent that waits for its upstream joins its hubs once that takes connections, not before',
	LIMIT,
	async (t) => {
		const service = await RestartableUpstream.open(t);
		await service.stop();
		const scene = await stack(t);
		const log = new LogSink();
		const agent = await createAgent({
			token: await token(),
			hubs: [scene.hub.url],
			upstreams: [service.address],
			agentID: 'patient',
			reportHardware: false,
			waitForUpstream: true,
			logger: log.logger,
		});
		t.after(() => agent.close());
		await eventually('it has looked', () => log.has('the upstream is down: connection refused'));
		assertError(await ask(scene.port), 503, 'no_agent');
		assert.ok(!log.has('connected'));
		await service.start();
		await eventually('it joined', () => scene.hub.agents === 1);
		assert.equal((await ask(scene.port)).body, 'up');
	},
);

test('an agent that is closed while it waits for its upstream leaves nothing behind', LIMIT, async (t) => {
	const log = new LogSink();
	const scene = await stack(t);
	const agent = await createAgent({
		token: 'any',
		hubs: [scene.hub.url],
		upstreams: [`127.0.0.1:${await closedPort()}`],
		agentID: 'patient',
		reportHardware: false,
		waitForUpstream: true,
		logger: log.logger,
	});
	await eventually('it has looked', () => log.has('the upstream is down'));
	await agent.drain();
	assert.equal(scene.log.has('agent refused'), false);
});

test('what an agent says of its upstream that is no state is ignored, and its text is cleaned', LIMIT, async (t) => {
	const scene = await stack(t, [], { hub: HUB });
	const raw = await rawAgent(t, scene, 2);
	const say = async (text: string | Buffer) => {
		raw.send(stateFrame(text));
		await raw.settle();
	};
	for (const odd of ['', 'down', '[]', 'null', '{"state":"on fire"}', '{"state":5}', Buffer.from([0xff, 0])])
		await say(odd);
	assert.deepEqual((await statusOf(scene, 'raw')).upstream, { state: 'up' });
	const message = `\u001b[2J${'x'.repeat(400)}`;
	await say(JSON.stringify({ state: 'down', reason: 'gremlins"}', message }));
	const { upstream: told } = await statusOf(scene, 'raw');
	assert.ok(told.state === 'down');
	assert.equal(told.reason, 'other');
	assert.equal(told.message, ` [2J${'x'.repeat(196)}`);
	// It announces its two workers still: they are not used.
	assertError(await ask(scene.port, '/', { headers: WAITS }), 502, 'upstream_unreachable');
	await say('{"state":"up"}');
	assert.deepEqual((await statusOf(scene, 'raw')).upstream, { state: 'up' });
});

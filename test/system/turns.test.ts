/** An agent with several hubs: which of them hears of a free worker, when, and for how long it is alone with it. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { Flag, FrameType } from '../../src/h2/protocol.ts';
import { createAgent } from '../../src/index.ts';
import { codeOf, frame, type RawFrame, type RawPeer, uint32 } from '../helpers/h2-peer.ts';
import { cut, limitOf, RawHub } from '../helpers/raw-tunnels.ts';
import { Arrivals, eventually, upstream } from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const REFUSED_STREAM = 7;

interface Scene {
	readonly hubs: RawHub[];
	/** The tunnel of each hub. */
	readonly tunnels: RawPeer[];
	readonly arrivals: Arrivals;
	readonly service: Awaited<ReturnType<typeof upstream>>;
}

/** One agent, its upstream, and a tunnel to each of so many hubs. */
async function scene(t: TestContext, count: number, numWorker = 1): Promise<Scene> {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const hubs = await Promise.all(Array.from({ length: count }, () => RawHub.open(t)));
	const agent = await createAgent({
		token: 'any',
		hubs: hubs.map((hub) => hub.url),
		upstreams: [service.address],
		agentID: 'a',
		numWorker,
		reportHardware: false,
		// Silent hubs are the test's doing.
		heartbeat: { interval: 60_000, timeout: 60_000 },
	});
	t.after(() => agent.close());
	const tunnels = await Promise.all(hubs.map((hub) => hub.tunnel()));
	return { hubs, tunnels, arrivals, service };
}

const streams = new WeakMap<RawPeer, number>();

/** Opens the tunnel's next stream. */
function ask(tunnel: RawPeer): number {
	const id = (streams.get(tunnel) ?? -1) + 2;
	streams.set(tunnel, id);
	tunnel.send(tunnel.headers(id, [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', `/${id}`]));
	return id;
}

/** A request that reaches the upstream, and the response that will end it. */
async function start({ arrivals }: Scene, tunnel: RawPeer): Promise<ServerResponse> {
	ask(tunnel);
	const [, res] = await arrivals.next();
	return res;
}

/** Its response has come whole. */
const ended = (tunnel: RawPeer, id: number) =>
	eventually('the response ended', () =>
		tunnel.of(FrameType.DATA, id).some(({ flags }) => (flags & Flag.END_STREAM) !== 0),
	);

const hears = (tunnel: RawPeer, limit: number) =>
	eventually(`it hears of a limit of ${limit}`, () => limitOf(tunnel) === limit);

/** The limits of these after a round trip, in which whatever the agent had to say has come. */
async function limits(tunnels: readonly RawPeer[]): Promise<Array<number | undefined>> {
	await Promise.all(tunnels.map((tunnel) => tunnel.settle()));
	return tunnels.map(limitOf);
}

/** The one of them that is offered a worker, and the others. */
async function offered(tunnels: readonly RawPeer[]): Promise<[RawPeer, RawPeer[]]> {
	await eventually('one is offered a worker', () => tunnels.some((tunnel) => limitOf(tunnel) === 1));
	const first = tunnels.find((tunnel) => limitOf(tunnel) === 1) as RawPeer;
	return [first, tunnels.filter((tunnel) => tunnel !== first)];
}

const acknowledge = (tunnel: RawPeer) => tunnel.send(frame(FrameType.SETTINGS, Flag.ACK, 0));

/** Waits for the agent's next PING and answers it. */
async function answerPing(tunnel: RawPeer): Promise<void> {
	const ping = await tunnel.next(FrameType.PING, (f) => (f.flags & Flag.ACK) === 0);
	tunnel.send(frame(FrameType.PING, Flag.ACK, 0, ping.payload));
}

/** From now on no time passes for the agent: a turn ends by what its hub does, however slow the machine is. */
function stopClock(t: TestContext): void {
	t.mock.timers.enable({ apis: ['setTimeout'] });
}

/** From now on the test answers in the peer's place; what came before has been answered. */
async function takeOver(tunnel: RawPeer): Promise<void> {
	await tunnel.settle();
	tunnel.polite = false;
}

test('a hub with the only worker leaves the others paused', LIMIT, async (t) => {
	const s = await scene(t, 3);
	assert.deepEqual(s.tunnels.map(limitOf), [1, 1, 1]);
	const [a, b, c] = s.tunnels as [RawPeer, RawPeer, RawPeer];
	await start(s, a);
	await Promise.all([hears(b, 0), hears(c, 0)]);
	assert.deepEqual(await limits(s.tunnels), [1, 0, 0]);
});

test('the limit of a hub is its own open streams and the free workers', LIMIT, async (t) => {
	const s = await scene(t, 2, 3);
	const [a, b] = s.tunnels as [RawPeer, RawPeer];
	await start(s, a);
	await start(s, b);
	assert.deepEqual(await limits(s.tunnels), [2, 2]);
	await start(s, b);
	assert.deepEqual(await limits(s.tunnels), [1, 2]);
});

test('with one hub the limit is numWorker, and stays it', LIMIT, async (t) => {
	const s = await scene(t, 1, 2);
	const [a] = s.tunnels as [RawPeer];
	const first = await start(s, a);
	await start(s, a);
	first.end();
	await ended(a, 1);
	await start(s, a);
	await a.settle();
	const told = a.of(FrameType.SETTINGS).filter((f) => (f.flags & Flag.ACK) === 0);
	assert.equal(told.length, 1);
	assert.equal(limitOf(a), 2);
});

test(
	'a freed worker is for the hub that waited longest alone, for two round trips, and then for all',
	LIMIT,
	async (t) => {
		const s = await scene(t, 3);
		stopClock(t);
		const [a, ...rest] = s.tunnels as [RawPeer, RawPeer, RawPeer];
		let res = await start(s, a);
		for (const tunnel of rest) {
			await hears(tunnel, 0);
			await takeOver(tunnel);
		}
		res.end();
		const [second, [third]] = (await offered(rest)) as [RawPeer, [RawPeer]];
		assert.deepEqual(await limits([a]), [0]);
		assert.equal(limitOf(third), 0);
		acknowledge(second);
		second.polite = true;
		res = await start(s, second);

		res.end();
		await hears(third, 1);
		assert.deepEqual(await limits([a, second]), [0, 0], 'alone before it has answered');
		acknowledge(third);
		await answerPing(third);
		assert.deepEqual(await limits([a, second]), [0, 0], 'alone after one round trip');
		await answerPing(third);
		await Promise.all([hears(a, 1), hears(second, 1)]);
		assert.equal(limitOf(third), 1);

		// The third has had its turn and the second has had a worker since the first had.
		third.polite = true;
		res = await start(s, second);
		await hears(a, 0);
		await takeOver(a);
		res.end();
		await hears(a, 1);
		assert.deepEqual(await limits([second, third]), [0, 0]);
		(await start(s, a)).end();
		assert.equal(s.service.peak, 1);
	},
);

for (const [how, leave] of Object.entries({
	'its connection is cut': (tunnel: RawPeer): void => void cut(tunnel),
	'its hub is going away': (tunnel: RawPeer): void =>
		tunnel.send(frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(0, 0), Buffer.from('draining')]))),
})) {
	test(`a tunnel gives its turn to the next at once when ${how}`, LIMIT, async (t) => {
		const s = await scene(t, 3);
		stopClock(t);
		const [a, ...rest] = s.tunnels as [RawPeer, RawPeer, RawPeer];
		const res = await start(s, a);
		for (const tunnel of rest) {
			await hears(tunnel, 0);
			await takeOver(tunnel);
		}
		res.end();
		const [second, [third]] = (await offered(rest)) as [RawPeer, [RawPeer]];
		assert.equal(limitOf(third), 0);
		leave(second);
		await hears(third, 1);
		// Nobody has answered a PING: this is the next one's turn, and not the end of all turns.
		assert.equal((await limits([a]))[0], 0);
	});
}

test('a hub that does not answer keeps a free worker from the others for a second at most', LIMIT, async (t) => {
	const s = await scene(t, 2);
	const [a, b] = s.tunnels as [RawPeer, RawPeer];
	const res = await start(s, a);
	await hears(b, 0);
	b.polite = false;
	res.end();
	await hears(a, 0);
	await hears(a, 1);
	(await start(s, a)).end();
});

test('of two hubs that race for a worker the loser is refused, and the next one is its alone', LIMIT, async (t) => {
	const s = await scene(t, 2);
	stopClock(t);
	for (const tunnel of s.tunnels) ask(tunnel);
	const [, res] = await s.arrivals.next();
	const refusedOne = (tunnel: RawPeer) => tunnel.of(FrameType.RST_STREAM).length > 0;
	await eventually('one was refused', () => s.tunnels.some(refusedOne));
	const loser = s.tunnels.find(refusedOne) as RawPeer;
	const winner = s.tunnels.find((tunnel) => tunnel !== loser) as RawPeer;
	assert.equal(codeOf(loser.of(FrameType.RST_STREAM)[0] as RawFrame), REFUSED_STREAM);
	await hears(loser, 0);
	await takeOver(loser);
	res.end();
	await hears(loser, 1);
	assert.deepEqual(await limits([winner]), [0]);
	(await start(s, loser)).end();
});

test('numWorker holds over a tunnel that is leaving and the one that comes after it', LIMIT, async (t) => {
	const s = await scene(t, 1, 2);
	const [old] = s.tunnels as [RawPeer];
	const first = await start(s, old);
	old.send(frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(0, 0), Buffer.from('draining')])));
	const next = await (s.hubs[0] as RawHub).tunnel();
	// What runs on the old tunnel counts, and nothing new is offered there.
	assert.equal(limitOf(next), 1);
	await hears(old, 1);
	const surplus = ask(old);
	const reset = await old.next(FrameType.RST_STREAM, (f) => f.streamId === surplus);
	assert.equal(codeOf(reset), REFUSED_STREAM);
	await start(s, next);
	const tooMany = ask(next);
	assert.equal(codeOf(await next.next(FrameType.RST_STREAM, (f) => f.streamId === tooMany)), REFUSED_STREAM);
	assert.equal(limitOf(next), 1);
	first.end('whole');
	await hears(next, 2);
	await ended(old, 1);
	assert.equal(old.bodyOf(1).toString(), 'whole');
	await start(s, next);
	assert.equal(s.service.peak, 2);
	assert.equal(s.service.active, 2);
});

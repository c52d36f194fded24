/** How a WebSocket ends: each direction on its own, cut by either side or between them, in time, and what becomes of its worker. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { GivenHubOptions } from '../../src/index.ts';
import {
	type AgentWish,
	ask,
	eventually,
	RawClient,
	rawUpstream,
	type Stack,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';
import {
	closing,
	echoService,
	handshake,
	message,
	openRaw,
	openWebSocket,
	refusedWebSocket,
	switching,
	webSocketService,
} from '../helpers/websocket.ts';

interface Pair extends Stack {
	readonly client: RawClient;
	/** The upstream's end. */
	readonly far: Socket;
}

/** A WebSocket on bare sockets at both ends. */
async function pair(
	context: TestContext,
	given: { hub?: Partial<GivenHubOptions>; agent?: AgentWish } = {},
): Promise<Pair> {
	const opened: Socket[] = [];
	const address = await rawUpstream(
		context,
		switching((socket) => void opened.push(socket)),
	);
	const whole = await stack(context, [address], given);
	const client = await openRaw(context, whole.port);
	const far = opened[0];
	assert.ok(far);
	return { ...whole, client, far };
}

/** What a socket receives from now on, and whether that was an end or a break. */
function receiving(socket: Socket): { text: string; ended: 'open' | 'fin' | 'reset' } {
	const state: ReturnType<typeof receiving> = { text: '', ended: 'open' };
	socket.on('data', (chunk) => {
		state.text += chunk.toString('latin1');
	});
	socket.on('end', () => {
		state.ended = 'fin';
	});
	socket.on('error', () => {
		state.ended = 'reset';
	});
	socket.resume();
	return state;
}

test('an app that ends its direction still gets all that the upstream has to say', async (t) => {
	const { client, far, hub } = await pair(t);
	const state = receiving(far);
	client.socket.end('last words');
	await eventually('the upstream sees the end', () => state.ended === 'fin');
	assert.equal(state.text, 'last words');
	assert.equal(hub.leased, 1);
	far.write('and still ');
	await client.sees('and still ');
	assert.equal(client.ended, 'open');
	far.end('the answer');
	assert.match(await client.all(), /and still the answer$/);
	assert.equal(client.ended, 'fin');
	await workerFree(hub);
});

test('an upstream that ends its direction still gets all that the app has to say', async (t) => {
	const { client, far, hub } = await pair(t);
	const state = receiving(far);
	far.end('that was all');
	await client.sees('that was all');
	await eventually('the app sees the end', () => client.ended === 'fin');
	client.send('one more');
	await eventually('it arrives', () => state.text === 'one more');
	assert.equal(state.ended, 'open');
	assert.equal(hub.leased, 1);
	client.socket.end(' and one');
	await eventually('the upstream sees the end', () => state.ended === 'fin');
	assert.equal(state.text, 'one more and one');
	await workerFree(hub);
});

test('a WebSocket whose upstream is cut breaks at the app, and does not end', async (t) => {
	const { client, far, hub } = await pair(t);
	far.write('half');
	await client.sees('half');
	far.resetAndDestroy();
	await client.all();
	assert.equal(client.ended, 'reset');
	await workerFree(hub);
});

for (const [outcome, what, end] of [
	[
		'complete',
		'both directions ended, the app first,',
		({ client, far }) => far.once('end', () => far.end()) && client.socket.end(),
	],
	[
		'complete',
		'both directions ended, the upstream first,',
		({ client, far }) => client.socket.once('end', () => client.socket.end()) && far.end(),
	],
	['cut', 'the upstream was cut', ({ far }) => far.resetAndDestroy()],
	['app_gone', 'the app was cut', ({ client }) => client.socket.resetAndDestroy()],
] as ReadonlyArray<readonly [string, string, (pair: Pair) => unknown]>) {
	test(`a WebSocket of which ${what} is logged as ${outcome}`, async (t) => {
		const whole = await pair(t);
		receiving(whole.far);
		end(whole);
		await workerFree(whole.hub);
		await eventually('it is logged', () => whole.log.lines.some(({ msg, path }) => msg === 'request' && path === '/'));
		const line = whole.log.lines.find(({ msg, path }) => msg === 'request' && path === '/');
		assert.equal(line?.status, 101);
		assert.equal(line?.outcome, outcome);
	});
}

test('an app that is cut breaks the WebSocket at the upstream, at once', async (t) => {
	const { client, far, hub } = await pair(t);
	const state = receiving(far);
	client.socket.resetAndDestroy();
	await eventually('the upstream sees the break', () => state.ended === 'reset');
	await workerFree(hub);
});

test('an app whose reset comes after its end is missed with the next bytes for it', async (t) => {
	const { client, far, hub } = await pair(t);
	const state = receiving(far);
	client.socket.end();
	await eventually('the upstream sees the end', () => state.ended === 'fin');
	client.socket.resetAndDestroy();
	const sending = setInterval(() => far.write('more'), 5);
	t.after(() => clearInterval(sending));
	await eventually('the upstream sees the break', () => far.destroyed);
	await workerFree(hub);
});

test('an upstream that has ended in order and then refuses what comes ends the WebSocket', async (t) => {
	const { client, far, hub } = await pair(t);
	far.write('the end');
	far.end();
	await client.sees('the end');
	await eventually('the app sees the end', () => client.ended === 'fin');
	far.destroy();
	const sending = setInterval(() => client.send('more'), 5);
	t.after(() => clearInterval(sending));
	await workerFree(hub);
	await eventually('the connection of the app ends', () => client.socket.destroyed);
});

test('ws sees 1006 when the other end is cut, in both directions', async (t) => {
	const service = await webSocketService(t);
	const { port, hub } = await stack(t, [service.address]);
	const first = await openWebSocket(t, port);
	const broken = closing(first);
	(await service.next()).terminate();
	assert.equal(await broken, '1006 ');
	await workerFree(hub);
	const second = await openWebSocket(t, port);
	const told = closing(await service.next());
	second.terminate();
	assert.equal(await told, '1006 ');
	await workerFree(hub);
});

test('a WebSocket breaks at both ends when its agent is lost', async (t) => {
	const service = await webSocketService(t);
	const { port, hub, join } = await stack(t);
	const agent = await join(service.address);
	const socket = await openWebSocket(t, port);
	const far = await service.next();
	const [near, upstreams] = [closing(socket), closing(far)];
	await agent.close();
	assert.equal(await near, '1006 ');
	assert.equal(await upstreams, '1006 ');
	assert.equal(hub.leased, 0);
});

test('an app that leaves before the upstream has switched ends the handshake there', async (t) => {
	let far: Socket | undefined;
	const address = await rawUpstream(t, (socket) => {
		far = socket;
		socket.resume();
	});
	const { port, hub } = await stack(t, [address]);
	for (const leave of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
		far = undefined;
		const client = await RawClient.open(t, port);
		client.send(handshake());
		await eventually('the handshake arrives', () => far !== undefined);
		leave(client.socket);
		await eventually('its connection is closed', () => far?.destroyed === true);
		await workerFree(hub);
	}
});

test('the limit of the first byte ends with the switch', async (t) => {
	const silent = await rawUpstream(t, (socket) => void socket.resume());
	const first = await stack(t, [silent], { hub: { firstByteTimeout: 200 } });
	const refusal = await refusedWebSocket(first.port);
	assert.equal(`${refusal.status} ${refusal.headers['slime-error']}`, '504 upstream_timeout');

	const agents = await stack(t, [silent], { agent: { firstByteTimeout: 200 } });
	assert.equal((await refusedWebSocket(agents.port)).headers['slime-error'], 'upstream_timeout');

	const { client, far } = await pair(t, { hub: { firstByteTimeout: 1500 }, agent: { firstByteTimeout: 1500 } });
	// Longer than the limit, which is looked at every eighth of it.
	await new Promise((resolve) => setTimeout(resolve, 2500));
	far.write('late');
	await client.sees('late');
});

test('a WebSocket holds its worker until it ends: the next is refused, or waits for it', async (t) => {
	const service = await webSocketService(t);
	const { port, hub } = await stack(t, [service.address], { agent: { numWorker: 2 } });
	const first = await openWebSocket(t, port);
	await openWebSocket(t, port);
	assert.equal(hub.leased, 2);
	const refusal = await refusedWebSocket(port);
	assert.equal(`${refusal.status} ${refusal.headers['slime-error']}`, '503 busy');
	const waiting = openWebSocket(t, port, '/waited', { headers: { 'slime-block': '1' } });
	await eventually('it waits', () => hub.waiting === 1);
	assert.equal(service.requests.length, 2);
	first.close();
	const third = await waiting;
	assert.equal(service.requests[2]?.url, '/waited');
	assert.equal(hub.leased, 2);
	for (let i = 0; i < 2; i++) await service.next();
	(await service.next()).send('served');
	assert.equal(await message(third), 'served');
});

test('an app that leaves the queue, in order or not, is not served', async (t) => {
	const service = await webSocketService(t);
	const { port, hub } = await stack(t, [service.address]);
	await openWebSocket(t, port);
	for (const leave of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
		const client = await RawClient.open(t, port);
		client.send(handshake('Slime-Block: 1\r\n'));
		await eventually('it waits', () => hub.waiting === 1);
		leave(client.socket);
		await eventually('it has left', () => hub.waiting === 0);
	}
	const client = await RawClient.open(t, port);
	client.send(handshake('Slime-Block: 1\r\nSlime-Queue-Timeout: 0.05\r\n'));
	assert.match(await client.all(), /^HTTP\/1\.1 503 [\s\S]*slime-error: queue_timeout/i);
	assert.equal(service.requests.length, 1);
});

test('one WebSocket after another finds the one worker free at once', async (t) => {
	const service = await echoService(t);
	const { port } = await stack(t, [service.address]);
	for (let i = 0; i < 20; i++) {
		const socket = await openWebSocket(t, port);
		socket.send(String(i));
		assert.equal(await message(socket), String(i));
		socket.close();
		await once(socket, 'close');
	}
});

test('an ordinary request on another connection is served beside a WebSocket', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('ordinary'));
	service.server.on('upgrade', (_req, socket) => {
		socket.on('error', () => socket.destroy());
		socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n');
	});
	const { port } = await stack(t, [service.address], { agent: { numWorker: 2 }, hub: { upgrades: ['own'] } });
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n');
	await client.sees('101 Switching Protocols');
	assert.equal((await ask(port)).body, 'ordinary');
});

test('a hub that drains lets a WebSocket go on until its end', async (t) => {
	const service = await echoService(t);
	const { port, hub } = await stack(t, [service.address], { hub: { drainTimeout: 20_000 } });
	const socket = await openWebSocket(t, port);
	const drained = hub.drain();
	socket.send('still here');
	assert.equal(await message(socket), 'still here');
	const closed = closing(socket);
	socket.close(1000, 'done');
	assert.equal(await closed, '1000 done');
	await drained;
});

test('a WebSocket that is still open when the drain timeout has passed is cut at both ends', async (t) => {
	const service = await webSocketService(t);
	const { port, hub } = await stack(t, [service.address], { hub: { drainTimeout: 100 } });
	const socket = await openWebSocket(t, port);
	const ends = [closing(socket), closing(await service.next())];
	await hub.drain();
	assert.deepEqual(await Promise.all(ends), ['1006 ', '1006 ']);
});

/** How many connections a hub takes, all together and from one address. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually, RawClient, stack, upstream } from '../helpers/stack.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function served(t: TestContext, port: number): Promise<RawClient> {
	const client = await RawClient.open(t, port);
	client.send(GET);
	await client.sees('hello');
	return client;
}

/** Connects, asks, and hears nothing but the end of the connection. */
async function turnedAway(t: TestContext, port: number, localAddress = '127.0.0.1'): Promise<void> {
	const socket = connect({ host: '127.0.0.1', port, localAddress });
	t.after(() => socket.destroy());
	let received = '';
	socket.on('data', (chunk) => {
		received += chunk;
	});
	socket.on('error', () => undefined);
	socket.write(GET);
	await once(socket, 'close');
	assert.equal(received, '');
}

test('past maxConnections a connection is closed, and one that ends makes room', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('hello'));
	// The agent's is one of them.
	const { port, hub } = await stack(t, [service.address], { hub: { maxConnections: 3 }, agent: { numWorker: 4 } });
	const first = await served(t, port);
	const second = await served(t, port);
	for (let i = 0; i < 3; i++) await turnedAway(t, port);
	assert.equal(service.served, 2);
	// Those that are there go on.
	first.send(GET);
	await first.sees('hello', 2);
	second.socket.destroy();
	let third: RawClient | undefined;
	while (third === undefined || third.ended !== 'open') third = await attempt(t, port);
	assert.equal(hub.agents, 1);
});

/** The hub hears of a closed connection when it does, so more than one may be needed. */
async function attempt(t: TestContext, port: number): Promise<RawClient> {
	const client = await RawClient.open(t, port);
	client.send(GET);
	await eventually('an answer or an end', () => client.received.includes('hello') || client.ended !== 'open');
	return client;
}

test('past maxConnectionsPerAddress a connection is closed, those of other addresses are served', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('hello'));
	const { port, hub } = await stack(t, [service.address], {
		hub: { maxConnectionsPerAddress: 3 },
		agent: { numWorker: 4 },
	});
	const first = await served(t, port);
	const second = await served(t, port);
	for (let i = 0; i < 3; i++) await turnedAway(t, port);
	const other: Socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' });
	t.after(() => other.destroy());
	other.write(GET);
	const [answer] = await once(other, 'data');
	assert.match(String(answer), /^HTTP\/1\.1 200 [\s\S]*hello/);
	first.send(GET);
	await first.sees('hello', 2);
	second.socket.destroy();
	let third: RawClient | undefined;
	while (third === undefined || third.ended !== 'open') third = await attempt(t, port);
	assert.equal(hub.agents, 1);
});

test('a connection whose offer of an upgrade is ignored counts once', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('hello'));
	const { port } = await stack(t, [service.address], { hub: { maxConnectionsPerAddress: 2 }, agent: { numWorker: 4 } });
	const client = await RawClient.open(t, port);
	for (let i = 1; i <= 3; i++) {
		client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
		await client.sees('hello', i);
	}
	await turnedAway(t, port);
	client.socket.destroy();
	let next: RawClient | undefined;
	while (next === undefined || next.ended !== 'open') next = await attempt(t, port);
	await turnedAway(t, port);
});

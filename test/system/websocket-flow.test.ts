/** Much data through a WebSocket: all of it arrives, in both directions at once, and whoever does not read holds the other end up. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ask, eventually, type RawClient, rawUpstream, stack, upstream } from '../helpers/stack.ts';
import { message, openRaw, openWebSocket, switching, webSocketService } from '../helpers/websocket.ts';

const MiB = 1024 * 1024;

async function ends(context: TestContext): Promise<{ client: RawClient; far: Socket; port: number }> {
	const opened: Socket[] = [];
	const address = await rawUpstream(
		context,
		switching((socket) => void opened.push(socket)),
	);
	const { port } = await stack(context, [address]);
	const client = await openRaw(context, port);
	const far = opened[0];
	assert.ok(far);
	client.socket.removeAllListeners('data');
	return { client, far, port };
}

/** Writes until the socket takes no more and has taken nothing for a while; the bytes that it took. */
async function fill(from: Socket, most: number): Promise<number> {
	const chunk = Buffer.alloc(64 * 1024, 'x');
	let written = 0;
	for (;;) {
		while (!from.writableNeedDrain && written < most) {
			from.write(chunk);
			written += chunk.length;
		}
		if (written >= most) return written;
		const stalled = new Promise<'stalled'>((resolve) => setTimeout(resolve, 500, 'stalled'));
		if ((await Promise.race([once(from, 'drain'), stalled])) === 'stalled') return written;
	}
}

for (const [reader, pick] of [
	['an app', ({ client, far }: { client: RawClient; far: Socket }) => [far, client.socket] as const],
	['an upstream', ({ client, far }: { client: RawClient; far: Socket }) => [client.socket, far] as const],
] as const) {
	test(`${reader} that does not read stalls the other end, which goes on when it reads`, async (t) => {
		const [from, to] = pick(await ends(t));
		to.pause();
		const written = await fill(from, 256 * MiB);
		assert.ok(written < 64 * MiB, `${written} bytes went nowhere`);
		let received = 0;
		to.on('data', (chunk: Buffer) => {
			received += chunk.length;
		});
		to.resume();
		from.end();
		await once(to, 'end');
		assert.equal(received, written);
	});
}

test('100 MiB pass each way at once, unchanged', { timeout: 60_000 }, async (t) => {
	const { client, far } = await ends(t);
	const total = 100 * MiB;
	const send = async (socket: Socket, seed: number): Promise<string> => {
		const hash = createHash('sha256');
		for (let sent = 0; sent < total; sent += MiB) {
			const chunk = Buffer.alloc(MiB, Buffer.from([seed, sent / MiB, 3, 5, 7]));
			hash.update(chunk);
			if (!socket.write(chunk)) await once(socket, 'drain');
		}
		socket.end();
		return hash.digest('hex');
	};
	const receive = async (socket: Socket): Promise<string> => {
		const hash = createHash('sha256');
		socket.on('data', (chunk) => hash.update(chunk));
		socket.resume();
		await once(socket, 'end');
		return hash.digest('hex');
	};
	const [sentUp, sentDown, atFar, atApp] = await Promise.all([
		send(client.socket, 1),
		send(far, 2),
		receive(far),
		receive(client.socket),
	]);
	assert.equal(atFar, sentUp);
	assert.equal(atApp, sentDown);
});

test('ws gets a message of 32 MiB in one piece, each way', { timeout: 60_000 }, async (t) => {
	const service = await webSocketService(t, { maxPayload: 64 * MiB });
	const { port } = await stack(t, [service.address]);
	const socket = await openWebSocket(t, port, '/', { maxPayload: 64 * MiB });
	const far = await service.next();
	const bytes = Buffer.alloc(32 * MiB, 'abcdefg');
	const up = once(far, 'message');
	const down = once(socket, 'message');
	socket.send(bytes);
	far.send(bytes);
	assert.ok(bytes.equals((await up)[0]));
	assert.ok(bytes.equals((await down)[0]));
});

test('a WebSocket whose app does not read holds up no other request of its agent', async (t) => {
	const opened: Socket[] = [];
	const service = await upstream(t, (_req, res) => res.end('served'));
	service.server.on('upgrade', (req, socket: Socket) => {
		socket.on('error', () => socket.destroy());
		switching((far) => void opened.push(far))(socket);
		const fields = req.rawHeaders.map((part, i) => (i % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join('');
		socket.emit('data', Buffer.from(`${fields}\r\n\r\n`));
	});
	const { port } = await stack(t, [service.address], { agent: { numWorker: 3 } });
	const stalled = await openRaw(t, port);
	stalled.socket.pause();
	assert.ok(opened[0]);
	await fill(opened[0], 256 * MiB);
	assert.equal((await ask(port)).body, 'served');
	const other = await openRaw(t, port);
	opened[1]?.write('passes');
	await other.sees('passes');
});

test('small messages that follow each other arrive in their order', async (t) => {
	const service = await webSocketService(t);
	const { port } = await stack(t, [service.address]);
	const socket = await openWebSocket(t, port);
	const far = await service.next();
	const got: string[] = [];
	far.on('message', (data) => got.push(String(data)));
	const sent = Array.from({ length: 5000 }, (_, i) => `message ${i}`);
	for (const text of sent) socket.send(text);
	await eventually('all arrived', () => got.length === sent.length);
	assert.deepEqual(got, sent);
	far.send('done');
	assert.equal(await message(socket), 'done');
});

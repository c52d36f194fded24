/** Tunnels whose bytes travel in messages of a WebSocket, chosen, or because nothing else gets through. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { ask, eventually, LogSink, listenOn, RawClient, readAnswer, stack, token, upstream } from '../helpers/stack.ts';

/** A reverse proxy that passes WebSocket on and answers every other upgrade by itself, or closes it. */
async function onlyWebSocket(context: TestContext, port: number, otherwise: 'answer' | 'close'): Promise<number> {
	const open = new Set<Socket>();
	const proxy = createHttpServer((_req, res) => {
		res.statusCode = 400;
		res.end('no upgrade here');
	});
	proxy.on('upgrade', (req, socket: Socket, head) => {
		open.add(socket);
		socket.on('error', () => socket.destroy());
		if (req.headers.upgrade?.toLowerCase() !== 'websocket') {
			if (otherwise === 'answer')
				socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
			else socket.destroy();
			return;
		}
		const far = connect(port, '127.0.0.1');
		open.add(far);
		far.on('error', () => socket.destroy());
		let text = `${req.method} ${req.url} HTTP/1.1\r\n`;
		for (let i = 0; i < req.rawHeaders.length; i += 2) text += `${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\r\n`;
		far.write(`${text}\r\n`);
		far.write(head);
		socket.pipe(far).pipe(socket);
	});
	context.after(() => {
		for (const socket of open) socket.destroy();
	});
	return listenOn(context, proxy);
}

test('a tunnel of WebSocket messages carries bodies both ways, cancels and settings', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/hang') return;
		req.pipe(res);
	});
	const { port, hub, join, log } = await stack(t);
	await join(service.address, { transport: 'websocket', numWorker: 2 });
	assert.ok(log.lines.some((line) => line.msg === 'connected' && line.transport === 'websocket'));
	const body = randomBytes(8 * 1024 * 1024);
	const req = request({ host: '127.0.0.1', port, method: 'POST', path: '/', agent: false });
	req.end(body);
	const [res] = await once(req, 'response');
	const hash = createHash('sha256');
	for await (const chunk of res) hash.update(chunk);
	assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
	for (let i = 0; i < 4; i++) {
		const leaving = await RawClient.open(t, port);
		leaving.send('GET /hang HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n\r\n');
		await eventually('it arrived', () => service.active > 0);
		leaving.socket.destroy();
		await eventually('it was stopped', () => service.active === 0 && hub.leased === 0);
	}
	const answers = await Promise.all(
		Array.from({ length: 30 }, (_, i) =>
			ask(port, '/', { method: 'POST', body: `${i}`, headers: { 'slime-block': '1' } }),
		),
	);
	assert.deepEqual(
		answers.map((answer) => answer.body),
		answers.map((_, i) => `${i}`),
	);
	assert.ok(service.peak <= 2);
});

for (const otherwise of ['answer', 'close'] as const) {
	test(`auto falls back to WebSocket where a proxy ${otherwise}s every other upgrade`, async (t) => {
		const service = await upstream(t, (_req, res) => res.end('served'));
		const { hub, port } = await stack(t);
		const proxy = await onlyWebSocket(t, hub.address.port, otherwise);
		const log = new LogSink();
		const given = {
			token: await token(),
			hubs: [`http://127.0.0.1:${proxy}`],
			upstreams: [service.address],
			agentID: 'behind-a-proxy',
			reportHardware: false,
			logger: log.logger,
		};
		const agent = await createAgent(given);
		t.after(() => agent.close());
		await eventually('the agent joined', () => hub.agents === 1);
		assert.ok(log.lines.some((line) => line.transport === 'websocket'));
		assert.equal((await ask(port)).body, 'served');
		const strict = new LogSink();
		const other = await createAgent({ ...given, agentID: 'strict', transport: 'upgrade', logger: strict.logger });
		t.after(() => other.close());
		await eventually('it says that it cannot', () => strict.has('not connected'));
		assert.equal(hub.agents, 1);
	});
}

test("a hub's own refusal is final, and told the same way over WebSocket", async (t) => {
	const { hub } = await stack(t);
	let asked = 0;
	const proxy = createHttpServer();
	proxy.on('upgrade', (req, socket) => {
		asked++;
		const far = connect(hub.address.port, '127.0.0.1');
		let text = `${req.method} ${req.url} HTTP/1.1\r\n`;
		for (let i = 0; i < req.rawHeaders.length; i += 2) text += `${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}\r\n`;
		far.write(`${text}\r\n`);
		socket.pipe(far).pipe(socket);
	});
	const port = await listenOn(t, proxy);
	for (const transport of ['auto', 'websocket'] as const) {
		const log = new LogSink();
		const agent = await createAgent({
			token: 'v3.local.wrong',
			hubs: [`http://127.0.0.1:${port}`],
			upstreams: ['127.0.0.1:1'],
			agentID: 'stranger',
			reportHardware: false,
			transport,
			logger: log.logger,
		});
		await eventually('it was refused', () => log.has('answered 401'));
		await agent.close();
	}
	assert.equal(asked, 2, 'one try each');
});

test('a WebSocket without the subprotocol, or with a bad key, gets no tunnel', async (t) => {
	const { port, hub } = await stack(t);
	const authorized = `Authorization: Bearer ${await token()}\r\nSlime-Agent-Id: a\r\n`;
	const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
	for (const rest of [
		`${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`,
		`${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: other\r\n`,
		`${upgrade}Sec-WebSocket-Key: short\r\nSec-WebSocket-Protocol: h2c-reverse\r\n`,
	]) {
		const client = await RawClient.open(t, port);
		client.send(`GET /.slime/tunnel HTTP/1.1\r\nHost: a\r\n${authorized}${rest}\r\n`);
		assert.match(await client.all(), /^HTTP\/1\.1 [45]/);
	}
	assert.equal(hub.agents, 0);
	const req = request({ host: '127.0.0.1', port, path: '/.slime/x', agent: false }).end();
	const [res] = await once(req, 'response');
	assert.equal((await readAnswer(res)).status, 404);
});

/** Every kind of upstream an agent can stand beside. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { createServer as createHttp2Server, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificates, writeCertificates } from '../helpers/certificates.ts';
import { closedPort } from '../helpers/ports.ts';
import {
	ask,
	assertError,
	eventually,
	listenOn,
	rawUpstream,
	readAnswer,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

async function folder(t: TestContext): Promise<string> {
	const dir = await mkdtemp(joinPath(tmpdir(), 'slime-'));
	t.after(() => rm(dir, { recursive: true, force: true }));
	return dir;
}

async function assertEchoes(port: number, version: string): Promise<void> {
	for (const body of ['', 'small', 'x'.repeat(300_000)]) {
		const answer = await ask(port, '/path?q', { method: 'POST', body });
		assert.equal(answer.headers['x-version'], `${version} /path?q`, answer.body.slice(0, 300));
		assert.equal(answer.body, body);
	}
}

for (const protocol of ['http/1.1', 'h2'] as const) {
	test(`an https upstream that speaks ${protocol}`, async (t) => {
		const dir = await folder(t);
		const certificates = makeCertificates();
		const { ca } = await writeCertificates(dir, certificates);
		const { cert, key } = certificates;
		const version = protocol === 'h2' ? '2.0' : '1.1';
		const server =
			protocol === 'h2'
				? createSecureServer({ cert, key }, (req, res) => {
						res.setHeader('x-version', `${req.httpVersion} ${req.url}`);
						req.pipe(res);
					})
				: createHttpsServer({ cert, key }, (req, res) => {
						res.setHeader('x-version', `${req.httpVersion} ${req.url}`);
						req.pipe(res);
					});
		const { port } = await stack(t, [`https://127.0.0.1:${await listenOn(t, server)}`], { agent: { ca } });
		await assertEchoes(port, version);
	});
}

test('an https upstream whose certificate is not trusted is unreachable', async (t) => {
	const server = createHttpsServer({ ...makeCertificates(), ca: undefined }, (_req, res) => res.end('secret'));
	const { port } = await stack(t, [`https://127.0.0.1:${await listenOn(t, server)}`]);
	assertError(await ask(port), 502, 'upstream_unreachable');
});

test('an h2c upstream', async (t) => {
	const server = createHttp2Server((req, res) => {
		res.setHeader('x-version', `${req.httpVersion} ${req.url}`);
		req.pipe(res);
	});
	const { port } = await stack(t, [`h2c://127.0.0.1:${await listenOn(t, server)}`]);
	await assertEchoes(port, '2.0');
});

test('a body that comes in pieces while the connection to an HTTP/2 upstream is made arrives whole', async (t) => {
	// The connection is there, but the upstream says nothing on it until all pieces have come that may come before.
	const held: Socket[] = [];
	const server = createHttp2Server();
	server.on('stream', async (stream) => {
		let body = '';
		for await (const chunk of stream) body += chunk;
		stream.respond();
		stream.end(body);
	});
	const gate = createTcpServer((socket) => void held.push(socket));
	const { port, hub } = await stack(t, [`h2c://127.0.0.1:${await listenOn(t, gate)}`]);
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	const pieces = Array.from({ length: 5 }, (_, i) => String(i).repeat(1000));
	req.write(pieces[0]);
	await eventually('the agent connects', () => held.length === 1);
	for (const piece of pieces.slice(1)) req.write(piece);
	req.end();
	await once(req, 'finish');
	await eventually('the request is at the agent', () => hub.leased === 1);
	server.emit('connection', held[0]);
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	assert.equal((await readAnswer(res)).body, pieces.join(''));
});

test('an upstream on a Unix domain socket', async (t) => {
	const path = joinPath(await folder(t), 'service.sock');
	const server = createServer((req, res) => {
		res.setHeader('x-version', `${req.httpVersion} ${req.url}`);
		req.pipe(res);
	});
	await listenOn(t, server, path);
	t.after(() => server.closeAllConnections());
	const { port } = await stack(t, [`unix:${path}`]);
	await assertEchoes(port, '1.1');
});

test('a path is a prefix that no target leaves, and userinfo becomes Basic authorization', async (t) => {
	const service = await upstream(t, (req, res) => res.end(`${req.url} ${req.headers.authorization}`));
	const { port } = await stack(t, [`http://me:pass@${service.address}/base/`]);
	const basic = `Basic ${Buffer.from('me:pass').toString('base64')}`;
	const headers = { authorization: 'Bearer of the app' };
	assert.equal((await ask(port, '/v1?q=1', { headers })).body, `/base/v1?q=1 ${basic}`);
	for (const path of ['/../x', '/%2e%2e/x', '/a/..%2f../x']) assertError(await ask(port, path), 400, 'bad_request');
});

test('upstreamToken is sent as Bearer in place of what the app sent', async (t) => {
	const service = await upstream(t, (req, res) => res.end(req.headers.authorization));
	const { port } = await stack(t, [service.address], { agent: { upstreamToken: 'of-the-agent' } });
	assert.equal((await ask(port)).body, 'Bearer of-the-agent');
	assert.equal((await ask(port, '/', { headers: { authorization: 'Bearer x' } })).body, 'Bearer of-the-agent');
});

test('several upstreams of one agent are agents of their own', async (t) => {
	const make = (name: string) => upstream(t, (_req, res) => res.end(name));
	const [a, b] = [await make('a'), await make('b')];
	const { port, join } = await stack(t);
	const { ids } = await join([a.address, b.address], { agentID: 'twin' });
	assert.deepEqual(ids, ['twin', 'twin-2']);
	const seen = new Set<string>();
	for (let i = 0; i < 4; i++) {
		const { body, headers } = await ask(port);
		seen.add(`${body} ${headers['slime-agent-id']}`);
	}
	assert.deepEqual([...seen].sort(), ['a twin', 'b twin-2']);
});

test('an upstream that closes its connections after each answer is never seen to fail', async (t) => {
	const address = await rawUpstream(t, (socket) => {
		let head = '';
		socket.on('data', (chunk) => {
			head += chunk.toString('latin1');
			if (!head.includes('\r\n\r\n')) return;
			// No Connection: close: the client has to find out.
			socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
		});
	});
	const { port } = await stack(t, [address]);
	for (let i = 0; i < 100; i++) {
		const answer = await ask(port, '/', { headers: { 'slime-block': '1' } });
		assert.equal(`${answer.status} ${answer.body}`, '200 ok', `request ${i}`);
	}
});

test('a request whose first agent has an unreachable upstream is served by another', async (t) => {
	const service = await upstream(t, (req, res) => void req.pipe(res));
	const { port, hub } = await stack(t, [`127.0.0.1:${await closedPort()}`, service.address]);
	for (const body of ['', 'small', 'y'.repeat(200_000), 'z']) {
		const answer = await ask(port, '/', { method: 'POST', body, headers: { 'slime-block': '1' } });
		assert.equal(answer.status, 200, answer.body.slice(0, 200));
		assert.equal(answer.body, body);
	}
	await workerFree(hub);
});

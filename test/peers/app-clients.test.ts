/** Common clients of HTTP/2 and of WebSocket at the port for apps, with and without TLS. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { Agent, fetch as fetchOverHttp2, request } from 'undici';
import { findProgram, RunningPeer } from '../helpers/peer-process.ts';
import { listenOn, stack } from '../helpers/stack.ts';
import { tlsFiles } from '../helpers/tls-clients.ts';
import { echoService } from '../helpers/websocket.ts';

const BODY = 'x'.repeat(200_000);

async function hubBefore(context: TestContext, upstream: string, tls: boolean) {
	const { files } = await tlsFiles(context);
	const hub = tls ? { tls: { cert: files.cert, key: files.key } } : {};
	const { port } = await stack(context, [upstream], { hub, agent: tls ? { ca: files.ca } : {} });
	return { port, ca: files.ca };
}

/** Answers with method, path, and the number of bytes that came, then with a body. */
async function counting(context: TestContext): Promise<string> {
	const server = createServer((req, res) => {
		let bytes = 0;
		req.on('data', (chunk: Buffer) => {
			bytes += chunk.length;
		});
		req.on('end', () => res.end(`${req.method} ${req.url} ${bytes}\n${BODY}`));
	});
	return `127.0.0.1:${await listenOn(context, server)}`;
}

async function output(context: TestContext, program: string, args: string[]): Promise<string> {
	const { code, stdout, stderr } = await new RunningPeer(context, program, args).done;
	assert.equal(code, 0, stderr);
	return stdout;
}

for (const tls of [false, true]) {
	const how = tls ? 'by ALPN' : 'by prior knowledge';

	test(`curl speaks HTTP/2 with the hub ${how}`, async (context) => {
		const { port } = await hubBefore(context, await counting(context), tls);
		const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/a%20b?c`;
		const args = [
			'-q',
			'-sS',
			'--noproxy',
			'*',
			'--max-time',
			'20',
			'-w',
			'\n%{http_version}',
			'--data-binary',
			BODY.slice(0, 90_000),
		];
		args.push(...(tls ? ['--http2', '--insecure'] : ['--http2-prior-knowledge']), url);
		const said = await output(context, findProgram('curl', 'curl'), args);
		assert.ok(said === `POST /a%20b?c 90000\n${BODY}\n2`, said.slice(0, 200));
	});

	test(`nghttp speaks HTTP/2 with the hub ${how}`, async (context) => {
		const { port } = await hubBefore(context, await counting(context), tls);
		const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/one`;
		const said = await output(context, findProgram('nghttp', 'nghttp2-client'), [
			'--no-dep',
			'-H',
			'slime-block: 1',
			'-t',
			'20',
			url,
			`${url}?two`,
		]);
		assert.equal(said.length, `GET /one 0\n${BODY}GET /one?two 0\n${BODY}`.length);
		// It prints what comes as it comes, of both.
		for (const head of ['GET /one 0\n', 'GET /one?two 0\n']) assert.ok(said.includes(head), said.slice(0, 200));
		assert.equal(said.match(/x/g)?.length, 2 * BODY.length);
	});

	test(`Python's websockets talks through the hub${tls ? ' over TLS' : ''}`, async (context) => {
		const { address } = await echoService(context, { handleProtocols: () => 'chat' });
		const { port, ca } = await hubBefore(context, address, tls);
		const program = join(import.meta.dirname, 'programs', 'python', 'websocket_client.py');
		const url = `${tls ? 'wss' : 'ws'}://127.0.0.1:${port}/talk`;
		const said: unknown = JSON.parse(await output(context, '/usr/bin/python3', [program, url, tls ? ca : '']));
		const expected = { first: 'hello', large: true, pieces: 'in two pieces', subprotocol: 'chat', closed: 1000 };
		assert.deepEqual(said, expected);
	});

	test(`undici and Node's fetch upload and download at once, ${tls ? 'by HTTP/2 over TLS' : 'by HTTP/1.1'}`, async (context) => {
		const { port, ca } = await hubBefore(context, await counting(context), tls);
		const connect = tls ? { ca: await readFile(ca), servername: 'localhost' } : {};
		const dispatcher = new Agent({ allowH2: tls, connect });
		context.after(() => dispatcher.destroy());
		const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}/both`;
		const body = () => Readable.from([Buffer.from(BODY), Buffer.from(BODY)]);
		const plain = await request(url, { method: 'POST', body: body(), dispatcher });
		assert.equal(plain.statusCode, 200);
		assert.ok((await plain.body.text()) === `POST /both ${2 * BODY.length}\n${BODY}`);
		const streamed = { method: 'PUT', body: Readable.toWeb(body()), duplex: 'half' } as const;
		const fetched = tls
			? await fetchOverHttp2(url, { ...streamed, dispatcher })
			: await fetch(url, streamed as RequestInit);
		assert.equal(fetched.status, 200);
		assert.ok((await fetched.text()) === `PUT /both ${2 * BODY.length}\n${BODY}`);
	});
}

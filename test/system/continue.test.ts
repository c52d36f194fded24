/** Expect: 100-continue, which is between an app and its upstream: the hub and the agent only pass it on (RFC 9110 section 10.1.1). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { h2Answer, h2Connect } from '../helpers/h2-app.ts';
import { closedPort } from '../helpers/ports.ts';
import { KINDS, type Kind, protocolUpstream, type Req, type Res } from '../helpers/protocol-upstream.ts';
import { Arrivals, ask, eventually, listenOn, RawClient, rawUpstream, stack } from '../helpers/stack.ts';

type Asked = (req: Req, res: Res) => void;

interface Service {
	readonly address: string;
	readonly ca?: string | undefined;
}

/** @param asked what the upstream does with a request that waits for 100 */
async function serve(t: TestContext, kind: Kind | 'http', asked: Asked): Promise<Service> {
	const plain: Asked = (req, res) => {
		req.resume();
		(res as ServerResponse).end('not asked');
	};
	if (kind !== 'http') return protocolUpstream(t, kind, plain, asked);
	const server = createServer(plain);
	server.on('checkContinue', asked);
	const port = await listenOn(t, server);
	t.after(() => server.closeAllConnections());
	return { address: `127.0.0.1:${port}` };
}

/** An app that waits: what it is told, and what it sends then. */
interface Waiting {
	readonly continued: boolean;
	readonly status: () => string;
	send(body: string): void;
	/** What the whole answer is. */
	answer(): Promise<string>;
}

const APPS = {
	async 'HTTP/1.1'(t: TestContext, port: number, length: number): Promise<Waiting> {
		const client = await RawClient.open(t, port);
		const head = `POST /up HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nConnection: close\r\nExpect: 100-continue\r\n`;
		client.send(`${head}Content-Length: ${length}\r\n\r\n`);
		return {
			get continued() {
				return client.received.startsWith('HTTP/1.1 100 Continue\r\n\r\n');
			},
			status: () => /HTTP\/1\.1 ([2-9]\d\d)/.exec(client.received)?.[1] ?? '',
			send: (body) => client.send(body),
			answer: async () => {
				const text = await client.all();
				return text.slice(text.indexOf('\r\n\r\n', text.search(/HTTP\/1\.1 [2-9]/)) + 4);
			},
		};
	},
	async 'HTTP/2'(t: TestContext, port: number, length: number): Promise<Waiting> {
		const session = await h2Connect(t, `http://127.0.0.1:${port}`);
		const fields = { ':method': 'POST', ':path': '/up', expect: '100-continue', 'slime-block': '1' };
		const stream = session.request({ ...fields, 'content-length': length });
		const whole = h2Answer(stream);
		let continued = false;
		let status = '';
		stream.on('continue', () => {
			continued = true;
		});
		stream.on('response', (section) => {
			status = String(section[':status']);
		});
		return {
			get continued() {
				return continued;
			},
			status: () => status,
			send: (body) => void stream.end(body),
			answer: async () => (await whole).body,
		};
	},
} as const;

for (const kind of ['http', ...KINDS] as const) {
	test(`an app sends its body when its upstream says so, and none if that refuses, ${kind}`, async (t) => {
		const arrived: Array<[Req, Res]> = [];
		const service = await serve(t, kind, (req, res) => void arrived.push([req, res]));
		const { port, hub, join } = await stack(t);
		await join(service.address, { ca: service.ca });
		for (const [version, open] of Object.entries(APPS)) {
			const app = await open(t, port, 5);
			const [req, res] = await next(arrived);
			assert.equal(req.headers.expect, '100-continue', version);
			assert.equal(req.headers['content-length'], '5', version);
			assert.equal(app.continued, false, version);
			res.writeContinue();
			await eventually('it is told', () => app.continued);
			app.send('hello');
			let body = '';
			for await (const chunk of req) body += chunk;
			res.end(body.toUpperCase());
			// In chunks or with a length.
			assert.match(await app.answer(), /HELLO/, version);

			const refused = await open(t, port, 1_000_000);
			const [unread, refusal] = await next(arrived);
			let bytes = 0;
			unread.on('data', (chunk: Buffer) => {
				bytes += chunk.length;
			});
			refusal.writeHead(413);
			refusal.end('too large');
			await eventually('it is refused', () => refused.status() !== '');
			assert.deepEqual([refused.status(), refused.continued], ['413', false], version);
			await eventually('the worker is free', () => hub.leased === 0);
			// The next one finds an upstream that has no rest of it to take for a request.
			assert.equal((await ask(port)).body, 'not asked', version);
			assert.equal(bytes, 0, version);
		}
	});
}

async function next(arrived: Array<[Req, Res]>): Promise<[Req, ServerResponse]> {
	await eventually('it arrived', () => arrived.length === 1);
	const [req, res] = arrived.pop() as [Req, Res];
	return [req, res as ServerResponse];
}

test('an upstream that knows nothing of 100 gets the body all the same', async (t) => {
	let received = '';
	const address = await rawUpstream(t, (socket) => {
		socket.on('data', (chunk) => {
			received += chunk.toString('latin1');
			if (received.endsWith('hello')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
		});
	});
	const { port } = await stack(t, [address]);
	const app = await APPS['HTTP/1.1'](t, port, 5);
	await eventually('it is told', () => app.continued);
	assert.match(received, /expect: 100-continue\r\n/i);
	app.send('hello');
	assert.equal(await app.answer(), 'done');
});

test('an app that waits in the queue is not told to go on, and one that does not wait for 100 is taken at its word', async (t) => {
	const arrivals = new Arrivals();
	const arrived: Req[] = [];
	const server = createServer(arrivals.handler);
	server.on('checkContinue', (req, res) => {
		arrived.push(req);
		res.writeContinue();
		req.on('data', (chunk) => res.end(chunk));
	});
	const address = `127.0.0.1:${await listenOn(t, server)}`;
	t.after(() => server.closeAllConnections());
	const { port, hub } = await stack(t, [address]);
	const first = ask(port, '/first');
	const [, res] = await arrivals.next();
	const patient = await APPS['HTTP/1.1'](t, port, 5);
	const hasty = await RawClient.open(t, port);
	await eventually('one waits', () => hub.waiting === 1);
	hasty.send('POST / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody');
	await eventually('two wait', () => hub.waiting === 2);
	assert.equal(patient.continued, false);
	res.end('first');
	await first;
	await eventually('the first is told', () => patient.continued);
	// Without a worker one that does not wait for it is refused before it has sent anything.
	const refused = await RawClient.open(t, port);
	refused.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
	await refused.sees('HTTP/1.1 503 ');
	assert.doesNotMatch(refused.received, /100 Continue/);
	patient.send('hello');
	assert.equal(await patient.answer(), 'hello');
	const [req, answer] = await arrivals.next();
	assert.equal(req.headers.expect, undefined);
	assert.equal(String((await once(req, 'data'))[0]), 'body');
	answer.end('served');
	await hasty.sees('served');
	assert.doesNotMatch(hasty.received, /100 Continue/);
	assert.equal(arrived.length, 1);
});

test('an app that waits is told by the agent that serves it, where another has no upstream', async (t) => {
	const service = await serve(t, 'http', (req, res) => {
		(res as ServerResponse).writeContinue();
		req.on('data', (chunk) => (res as ServerResponse).end(chunk));
	});
	const { port, join } = await stack(t);
	await join(`127.0.0.1:${await closedPort()}`, { numWorker: 8 });
	await join(service.address);
	const app = await APPS['HTTP/1.1'](t, port, 5);
	await eventually('it is told', () => app.continued);
	app.send('hello');
	assert.equal(await app.answer(), 'hello');
});

test('other expectations, an expectation without a body, and one in HTTP/1.0 reach no upstream', async (t) => {
	const seen: Array<string | undefined> = [];
	const server = createServer((req, res) => {
		seen.push(req.headers.expect);
		req.resume();
		req.on('end', () => res.end('served'));
	});
	const address = `127.0.0.1:${await listenOn(t, server)}`;
	t.after(() => server.closeAllConnections());
	const { port } = await stack(t, [address]);
	for (const text of [
		'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: x\r\nContent-Length: 1\r\n\r\na',
		'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n',
		'POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na',
	]) {
		const client = await RawClient.open(t, port);
		client.send(text);
		assert.match(await client.all(), /^HTTP\/1\.1 200 .*served/s);
	}
	assert.deepEqual(seen, [undefined, undefined, undefined]);
});

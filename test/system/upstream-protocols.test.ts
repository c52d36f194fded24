/** What passes to and from upstreams that speak HTTP/2 or HTTPS, and how their requests end: as with those of plain HTTP/1.1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { constants } from 'node:http2';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { KINDS, protocolUpstream, type Req, type Res } from '../helpers/protocol-upstream.ts';
import {
	ask,
	assertError,
	eventually,
	listenOn,
	RawClient,
	readAnswer,
	stack,
	upstream,
	workerFree,
} from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };

/** Requests as they arrive, in their order. */
function arrivals(): { handler: (req: Req, res: Res) => void; next: () => Promise<[Req, Res]> } {
	const arrived: Array<[Req, Res]> = [];
	const waiting: Array<(pair: [Req, Res]) => void> = [];
	return {
		handler: (req, res) => {
			const next = waiting.shift();
			if (next) next([req, res]);
			else arrived.push([req, res]);
		},
		next: async () => arrived.shift() ?? new Promise((resolve) => waiting.push(resolve)),
	};
}

async function text(req: Req): Promise<string> {
	let body = '';
	req.setEncoding('utf8');
	for await (const chunk of req) body += chunk;
	return body;
}

for (const kind of KINDS) {
	test(`${kind}: trailers pass both ways`, { timeout: 20_000 }, async (t) => {
		const service = await protocolUpstream(t, kind, async (req, res) => {
			const body = await text(req);
			res.setHeader('trailer', 'x-sum');
			(res as { write(text: string): void }).write(body);
			res.addTrailers({ 'x-sum': `got ${req.trailers['x-app']}`, 'slime-error': 'busy' });
			res.end();
		});
		const { port } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const headers = { trailer: 'x-app', te: 'trailers', ...BLOCK };
		// Nothing of one request is left in the next.
		for (const sum of ['one', 'two']) {
			const req = request({ host: '127.0.0.1', port, method: 'POST', headers, agent: false });
			req.write('some');
			req.addTrailers({ 'x-app': sum });
			req.end();
			const [res] = (await once(req, 'response')) as [IncomingMessage];
			const answer = await readAnswer(res);
			assert.equal(answer.body, 'some');
			assert.deepEqual({ ...answer.trailers }, { 'x-sum': `got ${sum}` });
		}
	});

	test(`${kind}: 103 Early Hints pass before the response`, { timeout: 20_000 }, async (t) => {
		const { handler, next } = arrivals();
		const service = await protocolUpstream(t, kind, handler);
		const { port } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const req = request({ host: '127.0.0.1', port, agent: false });
		req.end();
		const hinted = once(req, 'information');
		const [, res] = await next();
		res.writeEarlyHints({ link: '</style.css>; rel=preload' });
		const [info] = await hinted;
		assert.deepEqual([info.statusCode, info.headers.link], [103, '</style.css>; rel=preload']);
		res.end('ok');
		const [answered] = (await once(req, 'response')) as [IncomingMessage];
		assert.equal((await readAnswer(answered)).body, 'ok');
	});

	test(`${kind}: HEAD, 204 and 304 have no body, and say what they would have`, { timeout: 20_000 }, async (t) => {
		const service = await protocolUpstream(t, kind, (req, res) => {
			if (req.method === 'HEAD') res.writeHead(200, { 'content-length': '1234' });
			else if (req.url === '/none') res.writeHead(204);
			else res.writeHead(304, { etag: '"x"', 'content-length': '77' });
			res.end();
		});
		const { port } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const head = await ask(port, '/', { method: 'HEAD', headers: BLOCK });
		assert.deepEqual([head.status, head.headers['content-length'], head.complete], [200, '1234', true]);
		const none = await ask(port, '/none', { headers: BLOCK });
		assert.deepEqual(
			[none.status, none.headers['content-length'], none.body, none.complete],
			[204, undefined, '', true],
		);
		const same = await ask(port, '/same', { headers: BLOCK });
		assert.deepEqual([same.status, same.headers.etag, same.headers['content-length']], [304, '"x"', '77']);
		assert.deepEqual([same.body, same.complete], ['', true]);
	});

	for (const when of ['before the response', 'in the middle of the response', 'while it sends its body'] as const) {
		test(`${kind}: an app that leaves ${when} stops the upstream and frees the slot`, {
			timeout: 20_000,
		}, async (t) => {
			const { handler, next } = arrivals();
			const service = await protocolUpstream(t, kind, handler);
			const { port, hub } = await stack(t, [service.address], { agent: { ca: service.ca } });
			const client = await RawClient.open(t, port);
			const upload = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
			client.send(when === 'while it sends its body' ? upload : 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
			const [req, res] = await next();
			req.resume();
			if (when === 'in the middle of the response') {
				(res as { write(text: string): void }).write('part');
				await client.sees('part');
			}
			client.socket.destroy();
			await eventually('the upstream saw the end', () => service.active === 0);
			await workerFree(hub);
			const answer = ask(port, '/', { headers: BLOCK });
			(await next())[1].end('next');
			assert.equal((await answer).body, 'next');
			assert.equal(service.peak, 1);
		});
	}

	test(`${kind}: an upstream that breaks off in the middle of a response cuts it`, { timeout: 20_000 }, async (t) => {
		const { handler, next } = arrivals();
		const service = await protocolUpstream(t, kind, handler);
		const { port, hub } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const client = await RawClient.open(t, port);
		client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
		const [, res] = await next();
		(res as { write(text: string): void }).write('half');
		await client.sees('half');
		if ('stream' in res) res.stream.close(8);
		else res.destroy();
		assert.match(await client.all(), /\r\n4\r\nhalf\r\n$/);
		await workerFree(hub);
	});

	test(`${kind}: an upstream whose connection is cut in the middle of a response cuts it`, {
		timeout: 20_000,
	}, async (t) => {
		const { handler, next } = arrivals();
		const service = await protocolUpstream(t, kind, handler);
		const { port, hub } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const client = await RawClient.open(t, port);
		client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
		const [req, res] = await next();
		(res as { write(text: string): void }).write('half');
		await client.sees('half');
		if ('stream' in req) req.stream.session?.destroy();
		else req.socket.destroy();
		assert.match(await client.all(), /\r\n4\r\nhalf\r\n$/);
		await workerFree(hub);
		const answer = ask(port, '/', { headers: BLOCK });
		(await next())[1].end('next');
		assert.equal((await answer).body, 'next');
	});

	test(`${kind}: an answer to a large upload comes before all of the upload was read`, {
		timeout: 20_000,
	}, async (t) => {
		const service = await protocolUpstream(t, kind, (_req, res) => {
			res.writeHead(413, { 'content-type': 'text/plain' });
			res.end('too large');
		});
		const { port, hub } = await stack(t, [service.address], { agent: { ca: service.ca } });
		const client = await RawClient.open(t, port);
		// The rest never comes.
		client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`);
		await client.sees('too large');
		assert.match(client.received, /^HTTP\/1\.1 413 /);
		await workerFree(hub);
		assert.equal((await ask(port, '/', { headers: BLOCK })).body, 'too large');
	});

	test(`${kind}: an upstream later than the limit is 504 upstream_timeout, and stops`, {
		timeout: 20_000,
	}, async (t) => {
		const { handler } = arrivals();
		const service = await protocolUpstream(t, kind, handler);
		const { port, hub } = await stack(t, [service.address], { agent: { ca: service.ca, firstByteTimeout: 500 } });
		assertError(await ask(port), 504, 'upstream_timeout');
		await eventually('the upstream saw the end', () => service.active === 0);
		await workerFree(hub);
	});
}

/** Accepts connections and says nothing. */
async function silentUpstream(t: TestContext, scheme: string): Promise<{ server: TcpServer; address: string }> {
	const server = createTcpServer((socket) => {
		socket.on('error', () => undefined);
		t.after(() => socket.destroy());
	});
	return { server, address: `${scheme}://127.0.0.1:${await listenOn(t, server)}` };
}

for (const scheme of ['h2c', 'https'] as const) {
	test(`an ${scheme} upstream that accepts and stays silent is 502 upstream_unreachable`, {
		timeout: 20_000,
	}, async (t) => {
		const { address } = await silentUpstream(t, scheme);
		const { port, hub } = await stack(t, [address], { agent: { connectTimeout: 300 } });
		const began = performance.now();
		assertError(await ask(port), 502, 'upstream_unreachable');
		// Its heartbeat would find out in 15 s.
		assert.ok(performance.now() - began < 8000);
		await workerFree(hub);
	});
}

for (const scheme of ['h2c', 'https'] as const) {
	test(`an app that leaves while its ${scheme} upstream is still being connected to frees the slot at once`, {
		timeout: 20_000,
	}, async (t) => {
		const { server, address } = await silentUpstream(t, scheme);
		const { port, hub } = await stack(t, [address], { agent: { connectTimeout: 60_000 } });
		const client = await RawClient.open(t, port);
		const connected = once(server, 'connection');
		client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
		await connected;
		assert.equal(hub.leased, 1);
		client.socket.destroy();
		await eventually('the slot is free', () => hub.leased === 0, 8000);
		// And so is the worker: another request gets it.
		const next = await RawClient.open(t, port);
		next.send('GET / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n\r\n');
		await eventually('the next has a worker', () => hub.leased === 1, 8000);
	});
}

for (const kind of ['h2c', 'https with h2'] as const) {
	test(`${kind}: a request that the upstream refuses unprocessed is served by another agent`, {
		timeout: 20_000,
	}, async (t) => {
		const refusing = await protocolUpstream(t, kind, (req) => {
			// RFC 9113 section 8.7: nothing was done.
			if ('stream' in req) req.stream.close(constants.NGHTTP2_REFUSED_STREAM);
		});
		const service = await protocolUpstream(t, kind, async (req, res) => void res.end(await text(req)));
		const { port, hub, join } = await stack(t);
		for (const { address, ca } of [refusing, service]) await join(address, { ca });
		for (let i = 0; i < 6; i++) {
			const answer = await ask(port, '/', { method: 'POST', body: `request ${i}`, headers: BLOCK });
			assert.deepEqual([answer.status, answer.body], [200, `request ${i}`]);
		}
		assert.ok(refusing.served > 0);
		assert.equal(service.served, 6);
		await workerFree(hub);
	});

	test(`${kind}: a request whose stream the upstream resets may have started: 502, not sent twice`, {
		timeout: 20_000,
	}, async (t) => {
		const service = await protocolUpstream(t, kind, (req) => {
			if ('stream' in req) req.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
		});
		const { port, hub, join } = await stack(t);
		for (let i = 0; i < 2; i++) await join(service.address, { ca: service.ca });
		assertError(await ask(port, '/', { method: 'POST', body: 'x', headers: BLOCK }), 502, 'upstream_unreachable');
		assert.equal(service.served, 1);
		await workerFree(hub);
	});
}

test('an h2c upstream that speaks HTTP/1.1 is 502 upstream_unreachable', { timeout: 20_000 }, async (t) => {
	const service = await upstream(t, (_req, res) => void res.end('over HTTP/1.1'));
	const { port, hub } = await stack(t, [`h2c://${service.address}`]);
	for (let i = 0; i < 2; i++) assertError(await ask(port, '/', { headers: BLOCK }), 502, 'upstream_unreachable');
	assert.equal(service.served, 0);
	await workerFree(hub);
});

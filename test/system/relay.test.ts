/** Requests and responses pass unchanged: methods, bodies of any length both ways, early hints, trailers, framing. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { Arrivals, ask, eventually, RawClient, readAnswer, stack, upstream } from '../helpers/stack.ts';

test('any method, path, query and status pass', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.writeHead(299, 'Odd', { 'x-seen': `${req.method} ${req.url}` });
		res.end(req.method);
	});
	const { port } = await stack(t, [service.address]);
	for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT']) {
		const answer = await ask(port, '/a%2Fb//c;x?q=1&q=%20', { method });
		assert.equal(answer.status, 299);
		assert.equal(answer.headers['x-seen'], `${method} /a%2Fb//c;x?q=1&q=%20`);
		assert.equal(answer.body, method);
	}
});

test('a body of unknown length is echoed while it is still being sent', async (t) => {
	const service = await upstream(t, (req, res) => req.pipe(res));
	const { port } = await stack(t, [service.address]);
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	req.flushHeaders();
	req.write('0');
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	for (let i = 1; i < 20; i++) {
		const [chunk] = (await once(res, 'data')) as [Buffer];
		assert.equal(chunk.toString(), String(i - 1));
		req.write(String(i));
	}
	await once(res, 'data');
	req.end();
	await once(res, 'end');
	assert.equal(res.complete, true);
});

test('large bodies arrive whole both ways', async (t) => {
	const service = await upstream(t, (req, res) => req.pipe(res));
	const { port } = await stack(t, [service.address]);
	const sent = randomBytes(9 * 1024 * 1024 + 7);
	for (const framed of [true, false]) {
		const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
		if (framed) req.setHeader('content-length', sent.length);
		req.write(sent.subarray(0, 1000));
		req.end(sent.subarray(1000));
		const [res] = (await once(req, 'response')) as [IncomingMessage];
		const hash = createHash('sha256');
		for await (const chunk of res) hash.update(chunk);
		assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
	}
});

test('each event of a stream leaves at once', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
	const [, res] = await arrivals.next();
	res.writeHead(200, { 'content-type': 'text/event-stream' });
	res.flushHeaders();
	await client.sees('\r\n\r\n');
	assert.match(client.received, /x-accel-buffering: no\r\n/i);
	for (let i = 0; i < 5; i++) {
		res.write(`data: ${i}\n\n`);
		await client.sees(`data: ${i}\n\n`);
	}
	res.end();
	await client.sees('0\r\n\r\n');
});

test('an app that does not read pauses the upstream', async (t) => {
	let written = 0;
	let drained = true;
	const chunk = Buffer.alloc(64 * 1024);
	const total = 96 * 1024 * 1024;
	const service = await upstream(t, (_req, res) => {
		const more = () => {
			while (written < total) {
				written += chunk.length;
				drained = res.write(chunk);
				if (!drained) {
					res.once('drain', more);
					return;
				}
			}
			res.end();
		};
		more();
	});
	const { port } = await stack(t, [service.address]);
	const req = request({ host: '127.0.0.1', port, agent: false });
	req.end();
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	let last = -1;
	// Still when it has not moved for a good while.
	let stillSince = performance.now();
	await eventually('the producer stands still', () => {
		if (written !== last) stillSince = performance.now();
		last = written;
		return performance.now() - stillSince > 300;
	});
	assert.equal(drained, false);
	assert.ok(written < total / 2, `${written} bytes were taken from the upstream`);
	let read = 0;
	for await (const part of res) read += (part as Buffer).length;
	assert.equal(read, total);
});

test('an upstream that does not read pauses the app', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address]);
	const total = 96 * 1024 * 1024;
	const chunk = Buffer.alloc(64 * 1024);
	let written = 0;
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	const more = () => {
		while (written < total) {
			written += chunk.length;
			if (!req.write(chunk)) {
				req.once('drain', more);
				return;
			}
		}
		req.end();
	};
	more();
	const [incoming, res] = await arrivals.next();
	let last = -1;
	let stillSince = performance.now();
	await eventually('the app stands still', () => {
		if (written !== last) stillSince = performance.now();
		last = written;
		return performance.now() - stillSince > 300;
	});
	assert.ok(written < total / 2, `${written} bytes were taken from the app`);
	let read = 0;
	incoming.on('data', (part: Buffer) => {
		read += part.length;
	});
	incoming.on('end', () => res.end(String(read)));
	const [answered] = (await once(req, 'response')) as [IncomingMessage];
	assert.equal((await readAnswer(answered)).body, String(total));
});

test('trailers pass both ways', async (t) => {
	const service = await upstream(t, (req, res) => {
		req.resume();
		req.on('end', () => {
			res.writeHead(200, { trailer: 'x-sum' });
			res.write('body');
			res.addTrailers({ 'x-sum': `got ${req.trailers['x-app']}`, 'slime-error': 'busy' });
			res.end();
		});
	});
	const { port } = await stack(t, [service.address]);
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	req.setHeader('trailer', 'x-app');
	req.setHeader('te', 'trailers');
	req.write('some');
	req.addTrailers({ 'x-app': 'sum' });
	req.end();
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	const answer = await readAnswer(res);
	assert.equal(answer.body, 'body');
	assert.deepEqual({ ...answer.trailers }, { 'x-sum': 'got sum' });
});

test('103 Early Hints pass before the response', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address]);
	const req = request({ host: '127.0.0.1', port, agent: false });
	req.end();
	const hinted = once(req, 'information');
	const [, res] = await arrivals.next();
	res.writeEarlyHints({ link: '</style.css>; rel=preload' });
	const [info] = await hinted;
	assert.equal(info.statusCode, 103);
	assert.equal(info.headers.link, '</style.css>; rel=preload');
	res.end('ok');
	const [answered] = (await once(req, 'response')) as [IncomingMessage];
	assert.equal((await readAnswer(answered)).body, 'ok');
});

test('HEAD, 204 and 304 have no body and the connection goes on', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/head') res.writeHead(200, { 'content-length': '1234' });
		else if (req.url === '/none') res.writeHead(204);
		else if (req.url === '/same') res.writeHead(304, { etag: '"x"', 'content-length': '77' });
		else res.writeHead(200, { 'content-length': '4' });
		res.end(req.url === '/last' ? 'last' : undefined);
	});
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	for (const line of ['HEAD /head', 'GET /none', 'GET /same', 'GET /last']) {
		client.send(`${line} HTTP/1.1\r\nHost: a\r\n\r\n`);
		await client.sees('\r\n\r\n', ['HEAD /head', 'GET /none', 'GET /same', 'GET /last'].indexOf(line) + 1);
	}
	await client.sees('\r\n\r\nlast');
	const [head = '', none = '', same = ''] = client.received.split('\r\n\r\n');
	assert.match(head, /^HTTP\/1\.1 200 [\s\S]*content-length: 1234/i);
	assert.match(none, /^HTTP\/1\.1 204 /);
	assert.doesNotMatch(none, /content-length|transfer-encoding/i);
	assert.match(same, /^HTTP\/1\.1 304 [\s\S]*etag: "x"/i);
	assert.doesNotMatch(same, /transfer-encoding/i);
});

test('pipelined requests are answered in their order', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port } = await stack(t, [service.address], { agent: { numWorker: 4 } });
	const client = await RawClient.open(t, port);
	const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
	client.send(`${get('/1')}POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc${get('/3')}`);
	for (let i = 0; i < 3; i++) {
		const [req, res] = await arrivals.next();
		let body = '';
		for await (const chunk of req) body += chunk;
		res.end(`<${req.url}${body}>`);
	}
	await client.sees('</3>');
	assert.deepEqual(client.received.match(/<[^>]*>/g), ['</1>', '</2abc>', '</3>']);
});

test('an HTTP/1.0 app gets a body without chunks that ends with the connection', async (t) => {
	const service = await upstream(t, (_req, res) => {
		res.write('one,');
		res.end('two');
	});
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.0\r\n\r\n');
	const text = await client.all();
	assert.match(text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\none,two$/);
	assert.doesNotMatch(text, /transfer-encoding/i);
	assert.equal(client.ended, 'fin');
});

/** What the hub refuses before an agent hears of it: malformed requests, strangers, its own paths, too many fields. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { ask, assertError, RawClient, readAnswer, stack, upstream } from '../helpers/stack.ts';

test('a malformed or ambiguous request gets 400, its connection ends and nothing is sent on', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('reached'));
	const { port } = await stack(t, [service.address]);
	const wrong: Record<string, string> = {
		'no HTTP at all': 'hello\r\n\r\n',
		'no Host': 'GET / HTTP/1.1\r\n\r\n',
		'two Hosts': 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
		'a Host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
		'a Host with userinfo': 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n',
		'another host in the target': 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n',
		'a target that is no path': 'GET x HTTP/1.1\r\nHost: a\r\n\r\n',
		'a fragment': 'GET /#x HTTP/1.1\r\nHost: a\r\n\r\n',
		'length and chunks':
			'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
		'two lengths': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
		'a signed length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc',
		'another coding': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
		'chunked, not last': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
		'a space before the colon': 'GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n',
		'a folded line': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
		'a NUL': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n',
		'a bare CR': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n',
		'a bad queue timeout': 'GET / HTTP/1.1\r\nHost: a\r\nSlime-Queue-Timeout: soon\r\n\r\n',
	};
	for (const [what, bytes] of Object.entries(wrong)) {
		const client = await RawClient.open(t, port);
		client.send(bytes);
		const text = await client.all();
		assert.match(text, /^HTTP\/1\.1 400 /, `${what}: ${JSON.stringify(text.slice(0, 200))}`);
		assert.match(text, /\r\nslime-error: bad_request\r\n/i, what);
		assert.match(text, /"code":"bad_request"/, what);
		assert.equal(text.split('HTTP/1.1 ').length, 2, `${what}: more than one answer`);
	}
	assert.equal(service.served, 0);
});

test('nothing that follows a malformed request on its connection is served', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('reached'));
	const { port } = await stack(t, [service.address]);
	for (const bad of ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n']) {
		const client = await RawClient.open(t, port);
		client.send(`${bad}GET /second HTTP/1.1\r\nHost: a\r\n\r\n`);
		const text = await client.all();
		assert.equal(text.split('HTTP/1.1 ').length, 2, text);
	}
	assert.equal(service.served, 0);
});

test('a broken chunk stops the upstream too', async (t) => {
	let aborted: Promise<unknown> | undefined;
	const service = await upstream(t, (req) => {
		aborted = new Promise((resolve) => req.once('close', resolve));
		req.resume();
	});
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
	await once(service.server, 'request');
	client.send('zz\r\n');
	await client.all();
	assert.ok(aborted);
	await aborted;
	assert.doesNotMatch(client.received, /^HTTP\/1\.1 200/);
});

test('the app password is asked for before the body is read, and never reaches the upstream', async (t) => {
	const seen: string[] = [];
	const service = await upstream(t, (req, res) => {
		seen.push(req.rawHeaders.join('\n'));
		res.end();
	});
	const { port } = await stack(t, [service.address], { hub: { appPassword: 'open sesame' } });
	const wrong = [{}, { 'slime-app-password': 'x' }, { authorization: 'Bearer x' }, { authorization: 'Basic open' }];
	for (const headers of wrong) assertError(await ask(port, '/', { headers }), 401, 'unauthorized');
	const client = await RawClient.open(t, port);
	client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n');
	await client.sees('"code":"unauthorized"');
	assert.equal(service.served, 0);

	const right = [
		{ 'slime-app-password': 'open sesame', authorization: 'Bearer of the upstream' },
		{ authorization: 'Bearer open sesame' },
		{ 'slime-app-password': 'open sesame', authorization: 'bearer open sesame' },
	];
	for (const headers of right) assert.equal((await ask(port, '/', { headers })).status, 200);
	assert.equal(seen.length, 3);
	for (const headers of seen) assert.doesNotMatch(headers, /sesame|slime-app/i);
	assert.match(seen[0] ?? '', /authorization\nBearer of the upstream/);
	assert.doesNotMatch(`${seen[1]}${seen[2]}`, /authorization/i);
});

test('a refused app that still sends its body gets the answer', async (t) => {
	const { port } = await stack(t, [], { hub: { appPassword: 'x' } });
	const req = request({ host: '127.0.0.1', port, method: 'POST', agent: false });
	req.end(Buffer.alloc(4 * 1024 * 1024));
	req.on('error', () => undefined);
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	const answer = await readAnswer(res);
	assertError(answer, 401, 'unauthorized');
	assert.equal(answer.headers.connection, 'close');
});

test('other paths of its own are 404, CONNECT and TRACE 405', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port } = await stack(t, [service.address]);
	assertError(await ask(port, '/.slime/x'), 404, 'not_found');
	assertError(await ask(port, '/.slime/tunnel'), 404, 'not_found');
	assertError(await ask(port, '/', { method: 'TRACE' }), 405, 'method_not_allowed');
	const client = await RawClient.open(t, port);
	client.send('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n');
	assert.match(await client.all(), /^HTTP\/1\.1 405 [\s\S]*slime-error: method_not_allowed/i);
	assert.equal(service.served, 0);
});

test('request headers over 64 KiB or 1,000 fields get 431 and the connection ends', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port } = await stack(t, [service.address]);
	const many = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: y\r\n`).join('');
	for (const fields of [`x: ${'y'.repeat(65 * 1024)}\r\n`, many(1001)]) {
		const client = await RawClient.open(t, port);
		client.send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
		assert.match(await client.all(), /^HTTP\/1\.1 431 [\s\S]*slime-error: headers_too_large/i);
	}
	assert.equal(service.served, 0);
	const client = await RawClient.open(t, port);
	client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many(900)}\r\n`);
	assert.match(await client.all(), /^HTTP\/1\.1 200 /);
});

test('request headers that take longer than 15 s get 408', { timeout: 40_000 }, async (t) => {
	const { port } = await stack(t);
	const client = await RawClient.open(t, port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\n');
	await new Promise((resolve) => client.socket.once('end', resolve));
	assert.match(client.received, /^HTTP\/1\.1 408 [\s\S]*slime-error: request_timeout/i);
});

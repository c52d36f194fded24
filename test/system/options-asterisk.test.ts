/** OPTIONS *, which asks about the server itself: the hub answers, whoever its agents are (RFC 9110 section 9.3.7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { RawClient, type Stack, stack, upstream } from '../helpers/stack.ts';

const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** What a raw request is answered, the connection being closed behind it. */
async function answerTo(t: Parameters<typeof stack>[0], { port }: Stack, request: string): Promise<string> {
	const client = await RawClient.open(t, port);
	client.send(`${request}\r\nConnection: close\r\n\r\n`);
	return client.all();
}

test('OPTIONS * is answered by the hub alone, with and without an agent, in both forms and versions', async (t) => {
	const service = await upstream(t, (_req, res) => void res.end());
	const without = await stack(t);
	const withOne = await stack(t, [service.address]);
	for (const hub of [without, withOne]) {
		for (const target of ['*', 'http://a', 'HTTP://A']) {
			const text = await answerTo(t, hub, `OPTIONS ${target} HTTP/1.1\r\nHost: a`);
			assert.match(text, new RegExp(`^HTTP/1\\.1 204 .*\\r\\nallow: ${ALLOW}\\r\\n`, 's'));
		}
		const session = await h2Connect(t, `http://127.0.0.1:${hub.port}`);
		const { status, headers, body } = await h2Ask(session, '*', { method: 'OPTIONS' });
		assert.deepEqual([status, headers.allow, body], [204, ALLOW, '']);
	}
	assert.equal(service.served, 0);
});

test('a body that comes with OPTIONS * is no request, and the connection goes on behind it', async (t) => {
	const service = await upstream(t, (req, res) => void res.end(`served ${req.url}`));
	const { port } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	const inside = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
	client.send(`OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: ${inside.length}\r\n\r\n${inside}`);
	client.send('GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
	const text = await client.all();
	assert.match(text, /^HTTP\/1\.1 204 .*HTTP\/1\.1 200 .*served \/next$/s);
	assert.equal(service.served, 1);
});

test('OPTIONS * needs the app password, says what CORS says, and is of no other method', async (t) => {
	const cors = {
		origins: ['https://app.example'],
		methods: ['*'],
		headers: ['*'],
		exposedHeaders: [],
		credentials: false,
		maxAge: 1000,
	};
	const hub = await stack(t, [], { hub: { appPassword: 'open sesame', cors } });
	assert.match(await answerTo(t, hub, 'OPTIONS * HTTP/1.1\r\nHost: a'), /^HTTP\/1\.1 401 /);
	const asked = 'HTTP/1.1\r\nHost: a\r\nSlime-App-Password: open sesame\r\nOrigin: https://app.example';
	const text = await answerTo(t, hub, `OPTIONS * ${asked}`);
	assert.match(text, /^HTTP\/1\.1 204 .*access-control-allow-origin: https:\/\/app\.example\r\n/s);
	for (const method of ['GET', 'POST', 'HEAD', 'DELETE']) {
		assert.match(await answerTo(t, hub, `${method} * ${asked}`), /^HTTP\/1\.1 400 /, method);
	}
});

/** Which header fields reach the upstream and the app, and which end at Slime. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering, ask, RawClient, rawUpstream, stack, upstream } from '../helpers/stack.ts';

test('the upstream is told who asked, and hop-by-hop and Slime fields stay behind', async (t) => {
	let seen: NodeJS.Dict<string | string[]> = {};
	const service = await upstream(t, (req, res) => {
		seen = req.headers;
		res.end();
	});
	const { port } = await stack(t, [service.address]);
	const lies = {
		'x-forwarded-for': '6.6.6.6',
		'x-forwarded-host': 'evil',
		'x-forwarded-proto': 'gopher',
		forwarded: 'for=6.6.6.6',
		via: '1.0 before',
	};
	const hops = {
		connection: 'close, X-Hop',
		'x-hop': '1',
		te: 'gzip',
		'proxy-authorization': 'x',
		'slime-scope': '',
		'slime-anything': '1',
		'slime-started': '0',
	};
	const headers = { ...lies, ...hops, 'x-kept': 'yes', 'x-request-id': 'mine-1', cookie: 'a=1; b=2' };
	assert.equal((await ask(port, '/', { headers })).status, 200);
	assert.equal(seen['x-forwarded-for'], '127.0.0.1');
	assert.equal(seen['x-forwarded-host'], `127.0.0.1:${port}`);
	assert.equal(seen['x-forwarded-proto'], 'http');
	assert.equal(seen.forwarded, `for=127.0.0.1;host="127.0.0.1:${port}";proto=http`);
	assert.equal(seen.via, '1.0 before, 1.1 slime');
	assert.equal(seen['x-request-id'], 'mine-1');
	assert.equal(seen.host, service.address);
	assert.equal(seen['x-kept'], 'yes');
	assert.equal(seen.cookie, 'a=1; b=2');
	for (const name of ['x-hop', 'te', 'proxy-authorization']) assert.equal(seen[name], undefined, name);
	assert.deepEqual(
		Object.keys(seen).filter((name) => name.startsWith('slime-')),
		[],
	);
});

test('the app is told which agent answered, and hop-by-hop and Slime fields of the upstream stay behind', async (t) => {
	const lies = 'Slime-Error: busy\r\nSlime-Started: 0\r\nSlime-Agent-Id: liar\r\n';
	const hops = 'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\n';
	const address = await rawUpstream(
		t,
		answering(
			`HTTP/1.1 503 Down\r\n${lies}${hops}Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nno`,
		),
	);
	const { port, join } = await stack(t);
	const agent = await join(address);
	const answer = await ask(port);
	assert.equal(answer.status, 503);
	assert.equal(answer.body, 'no');
	assert.equal(answer.headers['slime-agent-id'], agent.ids[0]);
	assert.equal(answer.headers['slime-error'], undefined);
	assert.equal(answer.headers['slime-started'], undefined);
	assert.equal(answer.headers['x-hop'], undefined);
	assert.equal(answer.headers['proxy-authenticate'], undefined);
	assert.notEqual(answer.headers['keep-alive'], 'timeout=9');
	assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
	assert.equal(answer.headers['x-kept'], 'yes');
});

test('a request id is made for whoever brings none', async (t) => {
	const ids = new Set<unknown>();
	const service = await upstream(t, (req, res) => {
		ids.add(req.headers['x-request-id']);
		res.end();
	});
	const { port } = await stack(t, [service.address]);
	await ask(port);
	await ask(port);
	assert.equal(ids.size, 2);
	assert.ok(!ids.has(undefined));
});

test('a request smuggled in a body stays a body', async (t) => {
	const paths: unknown[] = [];
	const service = await upstream(t, (req, res) => {
		paths.push(req.url);
		req.resume();
		req.on('end', () => res.end('ok'));
	});
	const { port } = await stack(t, [service.address]);
	const inner = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
	const client = await RawClient.open(t, port);
	client.send(`GET /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`);
	await client.sees('\r\n\r\n');
	client.send('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
	await client.sees('HTTP/1.1 200', 2);
	assert.deepEqual(paths, ['/outer', '/after']);
});

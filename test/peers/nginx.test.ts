/** nginx in front of the hub: applications and tunnels through it, streams at once, a path prefix taken off. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { nginx } from '../helpers/proxy-programs.ts';
import { ask, type Stack, stack, upstream, WAITS } from '../helpers/stack.ts';
import { echoService, message, openWebSocket } from '../helpers/websocket.ts';

/** @returns the port of an nginx that stands in front of the hub */
function before(context: TestContext, hubPort: number): Promise<number> {
	const passing = `
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_request_buffering off;
			client_max_body_size 0;`;
	return nginx(
		context,
		(port) => `
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	server {
		listen 127.0.0.1:${port};
		location / {
			proxy_pass http://127.0.0.1:${hubPort};
			proxy_buffering off;
			proxy_read_timeout 1h;${passing}
		}
		location /gpu/ {
			proxy_pass http://127.0.0.1:${hubPort}/;
			proxy_buffering off;
			proxy_read_timeout 1h;${passing}
		}
		location /buffered/ {
			proxy_pass http://127.0.0.1:${hubPort}/;${passing}
		}
		location /impatient/ {
			proxy_pass http://127.0.0.1:${hubPort}/;
			proxy_read_timeout 3s;${passing}
		}
	}
`,
	);
}

interface Behind extends Stack {
	readonly nginxPort: number;
}

async function behindNginx(context: TestContext): Promise<Behind> {
	const hub = await stack(context);
	return { ...hub, nginxPort: await before(context, hub.port) };
}

test('requests and uploads pass nginx on both sides of the hub', async (context) => {
	const { join: joinHub, nginxPort } = await behindNginx(context);
	const { address } = await talkingUpstream(context);
	await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}`] });

	const seen = await ask(nginxPort, '/v1/models?x=1', { headers: WAITS });
	assert.equal(seen.status, 200);
	assert.equal(JSON.parse(seen.body).url, '/v1/models?x=1');

	const body = 'x'.repeat(3 * 1024 * 1024);
	const echoed = await ask(nginxPort, '/echo', { method: 'POST', headers: WAITS, body });
	assert.equal(echoed.status, 200);
	assert.ok(echoed.complete && echoed.body === body, `${echoed.body.length} bytes came back`);
});

for (const trusted of [true, false]) {
	test(`behind an nginx that is ${trusted ? '' : 'not '}trusted upstreams are told of ${trusted ? 'the app' : 'nginx'}`, async (context) => {
		const hub = { trustedProxies: trusted ? ['loopback'] : ['192.0.2.0/24'] };
		const { port, log, join: joinHub } = await stack(context, [], { hub });
		const nginxPort = await before(context, port);
		const service = await upstream(context, (req, res) => res.end(req.headers['x-forwarded-for']));
		await joinHub(service.address);
		const { body } = await ask(nginxPort, '/', { headers: { 'x-forwarded-for': '192.0.2.7' } });
		assert.equal(body, trusted ? '192.0.2.7, 127.0.0.1, 127.0.0.1' : '127.0.0.1');
		const { address } = log.lines.find((line) => line.msg === 'request' && 'address' in line) ?? {};
		assert.equal(address, trusted ? '192.0.2.7' : '127.0.0.1');
	});
}

test('a tunnel finds the hub behind a prefix that nginx takes off', async (context) => {
	const { join: joinHub, nginxPort } = await behindNginx(context);
	const { address } = await talkingUpstream(context);
	await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}/gpu`] });

	const seen = await ask(nginxPort, '/gpu/v1/models', { headers: WAITS });
	assert.equal(seen.status, 200);
	assert.equal(JSON.parse(seen.body).url, '/v1/models');
});

test('a WebSocket passes nginx in front of the hub, with a tunnel that passes it too', async (context) => {
	const { join: joinHub, nginxPort } = await behindNginx(context);
	const { address } = await echoService(context);
	await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}`] });
	const socket = await openWebSocket(context, nginxPort, '/talk');
	for (const text of ['hello', 'x'.repeat(1024 * 1024)]) {
		const answer = message(socket);
		socket.send(text);
		assert.ok((await answer) === text);
	}
	const closed = once(socket, 'close');
	socket.close(4001, 'enough');
	assert.equal((await closed)[0], 4001);
});

for (const [path, what] of [
	['/events', 'with buffering off'],
	['/buffered/events', 'although nginx buffers what does not ask it not to'],
] as const) {
	test(`events arrive one by one through nginx, ${what}`, async (context) => {
		const { join: joinHub, nginxPort } = await behindNginx(context);
		const { address, streams } = await talkingUpstream(context);
		await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}`] });

		const { app, service, read } = await eventAtOnce(context, { port: nginxPort, path, streams });
		assert.equal(await read(), 'data: first\n\n');
		service.write('data: second\n\n');
		assert.equal(await read(), 'data: second\n\n');
		service.end();
		assert.equal(await read(), '');
		assert.ok(app.complete);
	});
}

test('an application that leaves nginx stops the work of the upstream', async (context) => {
	const { hub, join: joinHub, nginxPort } = await behindNginx(context);
	const { address, streams } = await talkingUpstream(context);
	await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}`] });

	const { app, service, read } = await eventAtOnce(context, { port: nginxPort, path: '/events', streams });
	assert.equal(await read(), 'data: first\n\n');
	const stopped = once(service, 'close');
	app.destroy();
	await stopped;
	// Its worker is free again.
	assert.equal((await ask(hub.address.port, '/', { headers: WAITS })).status, 200);
});

test('a stream whose upstream breaks is cut by nginx too, not ended', async (context) => {
	const { join: joinHub, nginxPort } = await behindNginx(context);
	const { address, streams } = await talkingUpstream(context);
	await joinHub(address);

	const { app, service, read } = await eventAtOnce(context, { port: nginxPort, path: '/events', streams });
	assert.equal(await read(), 'data: first\n\n');
	service.destroy();
	await assert.rejects(read(), { code: 'ECONNRESET' });
	assert.equal(app.complete, false);
});

test('heartbeats keep a tunnel open past the read timeout of nginx', async (context) => {
	const { log, join: joinHub, nginxPort, port } = await behindNginx(context);
	const { address, streams } = await talkingUpstream(context);
	const heartbeat = { interval: 200, timeout: 2000 };
	await joinHub(address, { hubs: [`http://127.0.0.1:${nginxPort}/impatient`], heartbeat });

	const { service, read } = await eventAtOnce(context, { port, path: '/events', streams });
	assert.equal(await read(), 'data: first\n\n');
	// The one wait that is the point of a test: longer than nginx waits for a byte.
	await sleep(7000);
	service.end('data: last\n\n');
	assert.equal(await read(), 'data: last\n\n');
	assert.equal(log.lines.filter(({ msg }) => /lost|reconnect/i.test(String(msg))).length, 0);
});

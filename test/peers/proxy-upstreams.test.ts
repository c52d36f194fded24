/** nginx and HAProxy as upstreams, as where a service has a proxy of its own: in HTTP/1.1, in HTTP/2 without TLS and with. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { haproxy, nginx } from '../helpers/proxy-programs.ts';
import { ask, stack, WAITS, workerFree } from '../helpers/stack.ts';
import { tlsFiles } from '../helpers/tls-clients.ts';
import { echoService, message, openWebSocket } from '../helpers/websocket.ts';

const KINDS = ['http', 'h2c', 'https'] as const;
type Kind = (typeof KINDS)[number];

interface Behind {
	/** What the proxy serves, and below /ws. */
	readonly service: string;
	readonly webSockets: string;
	/** Files: a certificate, its key, and both. */
	readonly cert: string;
	readonly key: string;
	readonly both: string;
}

const PROXIES = {
	nginx(context: TestContext, kind: Kind, { service, webSockets, cert, key }: Behind): Promise<number> {
		const speaks = { http: '', h2c: ' http2', https: ' ssl http2' }[kind];
		const passing = `proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_buffering off;
			proxy_request_buffering off;
			client_max_body_size 0;`;
		return nginx(
			context,
			(port) => `
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	server {
		listen 127.0.0.1:${port}${speaks};
		${kind === 'https' ? `ssl_certificate ${cert}; ssl_certificate_key ${key};` : ''}
		location / {
			proxy_pass http://${service};
			${passing}
		}
		location /ws {
			proxy_pass http://${webSockets};
			${passing}
		}
	}
`,
		);
	},
	HAProxy(context: TestContext, kind: Kind, { service, webSockets, both }: Behind): Promise<number> {
		const speaks = { http: '', h2c: 'proto h2', https: `ssl crt ${both} alpn h2,http/1.1` }[kind];
		return haproxy(
			context,
			'http',
			(port) => `
frontend here
	bind 127.0.0.1:${port} ${speaks}
	use_backend web_sockets if { path_beg /ws }
	default_backend service
backend service
	server service ${service}
backend web_sockets
	server web_sockets ${webSockets}
`,
		);
	},
} as const;

/** nginx takes no WebSocket by HTTP/2; where ALPN leaves the choice it is asked by HTTP/1.1. */
const TAKES_WEBSOCKET = (proxy: string, kind: Kind) => proxy === 'HAProxy' || kind !== 'h2c';

for (const [name, start] of Object.entries(PROXIES)) {
	for (const kind of KINDS) {
		test(`${name} as an upstream (${kind}): bodies, events, leaving apps and WebSockets pass`, async (context) => {
			const { dir, pem, files } = await tlsFiles(context);
			const { cert, key, ca } = files;
			const both = join(dir, 'both.pem');
			await writeFile(both, pem.cert + pem.key);
			const { address: service, streams } = await talkingUpstream(context);
			const { address: webSockets } = await echoService(context);
			const port = await start(context, kind, { service, webSockets, cert, key, both });
			const { port: hubPort, hub, join: joinHub } = await stack(context);
			await joinHub(`${kind}://localhost:${port}`, { ca });

			const seen = await ask(hubPort, '/v1//models?x=%20', { headers: WAITS });
			assert.equal(seen.status, 200);
			assert.equal(JSON.parse(seen.body).url, '/v1//models?x=%20');

			const body = 'x'.repeat(3 * 1024 * 1024);
			const echoed = await ask(hubPort, '/echo', { method: 'POST', headers: WAITS, body });
			assert.ok(echoed.complete && echoed.body === body, `${echoed.status}, ${echoed.body.length} bytes came back`);

			const { app, service: stream, read } = await eventAtOnce(context, { port: hubPort, path: '/events', streams });
			assert.equal(await read(), 'data: first\n\n');
			stream.write('data: second\n\n');
			assert.equal(await read(), 'data: second\n\n');
			const stopped = once(stream, 'close');
			app.destroy();
			await stopped;
			await workerFree(hub);

			if (!TAKES_WEBSOCKET(name, kind)) return;
			const socket = await openWebSocket(context, hubPort, '/ws');
			const answer = message(socket);
			socket.send(body);
			assert.ok((await answer) === body);
			const closed = once(socket, 'close');
			socket.close(4001, 'enough');
			assert.equal((await closed)[0], 4001);
		});
	}
}

/**
 * nginx and HAProxy before a hub, passing TLS on as it is: the hub's certificate, ALPN and the agents' certificates are between its
 * clients and the hub.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { haproxy, nginxStream } from '../helpers/proxy-programs.ts';
import { stack, token, upstream } from '../helpers/stack.ts';
import { askTls, refusal, tlsFiles } from '../helpers/tls-clients.ts';
import { echoService, message } from '../helpers/websocket.ts';

/** Each with a port that passes bytes on to the hub's. */
const PROXIES = {
	nginx: (context: TestContext, hubPort: number) =>
		nginxStream(
			context,
			(port) => `server {
		listen 127.0.0.1:${port};
		proxy_pass 127.0.0.1:${hubPort};
		proxy_timeout 1h;
	}`,
		),
	HAProxy: (context: TestContext, hubPort: number) =>
		haproxy(
			context,
			'tcp',
			(port) => `
frontend here
	bind 127.0.0.1:${port}
	default_backend hub
backend hub
	server hub 127.0.0.1:${hubPort}
`,
		),
} as const;

for (const [name, start] of Object.entries(PROXIES)) {
	test(`through ${name} that passes TLS on, agents show their certificates and apps choose their version`, async (t) => {
		const { pem, files } = await tlsFiles(t, { clientNames: ['gpu-1'] });
		const { cert, key, ca } = files;
		const tls = { cert, key, clientCa: ca };
		const { port: hubPort, hub, join } = await stack(t, [], { hub: { tls, bindIdentity: true } });
		const port = await start(t, hubPort);
		const hubs = [`https://localhost:${port}`];
		const service = await upstream(t, (req, res) =>
			res.end(`${req.method} ${req.url} ${req.headers['x-forwarded-proto']}`),
		);
		const own = { ca, tlsCert: files.clientCert, tlsKey: files.clientKey };
		await join(service.address, { hubs, ...own, token: await token({ name: 'gpu-1', scopes: ['http'] }) });
		const sockets = await echoService(t);
		await join(sockets.address, { hubs, ...own, token: await token({ name: 'gpu-1', scopes: ['sockets'] }) });
		assert.equal(hub.agents, 2);
		// A token of another name, and no certificate at all.
		const stolen = await refusal(t, { hubs, ...own, token: await token({ name: 'gpu-2' }) });
		assert.match(stolen.text, /the token is for gpu-2/);
		const bare = await refusal(t, { hubs, ca });
		assert.match(bare.text, /client certificate/);

		const http1 = await askTls(port, {
			ca: pem.ca,
			servername: 'localhost',
			path: '/a',
			headers: { 'slime-scope': 'http' },
		});
		assert.deepEqual([http1.status, http1.body], [200, 'GET /a https']);
		const session = await h2Connect(t, `https://localhost:${port}`, { ca: pem.ca });
		assert.equal(session.alpnProtocol, 'h2');
		const http2 = await h2Ask(session, '/b', { headers: { 'slime-scope': 'http', 'slime-block': '1' } });
		assert.deepEqual([http2.status, http2.body], [200, 'GET /b https']);

		const socket = new WebSocket(`wss://localhost:${port}/c`, { ca: pem.ca, headers: { 'slime-scope': 'sockets' } });
		t.after(() => socket.terminate());
		await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
		const answer = message(socket);
		socket.send('through');
		assert.equal(await answer, 'through');
	});
}

/** Proxies before the hub where it is no ordinary request that comes through them: a switch of protocols, and the port for agents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, RawClient, rawUpstream, stack } from '../helpers/stack.ts';
import { handshake, switching } from '../helpers/websocket.ts';

/** Trusted in these tests; agents come from 127.0.0.1, which is not. */
const PROXY = '127.0.0.2';

test('a WebSocket that comes through a trusted proxy is of the client that the proxy names, and of an origin that CORS knows', async (t) => {
	let request = '';
	const address = await rawUpstream(
		t,
		switching((socket, text) => {
			request = text;
			socket.pipe(socket);
		}),
	);
	const { port, log } = await stack(t, [address], {
		hub: {
			trustedProxies: [PROXY],
			proxyProtocol: true,
			cors: {
				origins: ['https://app.example'],
				methods: ['*'],
				headers: ['*'],
				exposedHeaders: ['*'],
				credentials: false,
				maxAge: 0,
			},
		},
	});
	const client = await RawClient.open(t, port, false, PROXY);
	client.send('PROXY UNKNOWN\r\n');
	const said = 'Origin: https://app.example\r\nX-Forwarded-For: 8.8.8.8\r\n';
	client.send(handshake().replace('Connection: Upgrade\r\n', `Connection: Upgrade\r\n${said}`));
	await client.sees('101 Switching Protocols');
	assert.match(client.received, /\r\naccess-control-allow-origin: https:\/\/app\.example\r\n/i);
	assert.match(request, new RegExp(`\\r\\nx-forwarded-for: 8\\.8\\.8\\.8, ${PROXY.replaceAll('.', '\\.')}\\r\\n`, 'i'));
	client.socket.end();
	await eventually('it was logged', () => log.lines.some((line) => line.msg === 'request'));
	assert.equal(log.lines.find((line) => line.msg === 'request')?.address, '8.8.8.8');
});

test('the port for agents believes the same proxies, and connections that are ended are counted for both ports', async (t) => {
	const { hub, port, log } = await stack(t, [], {
		hub: { agentPort: 0, trustedProxies: [PROXY], proxyProtocol: true },
	});
	const agentPort = hub.agentAddress?.port ?? 0;
	const agent = await RawClient.open(t, agentPort, false, PROXY);
	agent.send('PROXY TCP4 192.0.2.1 192.0.2.9 1234 80\r\n');
	agent.send(
		'GET /.slime/tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\nAuthorization: Bearer no\r\nSlime-Agent-Id: a\r\n\r\n',
	);
	await agent.sees(' 401 ');
	assert.equal(log.lines.find((line) => line.msg === 'agent refused')?.address, '192.0.2.1');
	for (const each of [port, agentPort]) {
		const stranger = await RawClient.open(t, each, false, PROXY);
		stranger.send('GET / HTTP/1.1\r\n\r\n');
		assert.equal(await stranger.all(), '');
	}
	assert.equal(hub.ended.proxy_header, 2);
});

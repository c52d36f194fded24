import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { parseHubAddress } from '../../../src/tunnel/address.ts';
import { type DialOptions, dialTunnel } from '../../../src/tunnel/dial.ts';
import { acceptUpgrade } from '../../../src/tunnel/handshake.ts';
import { HandshakeError } from '../../../src/tunnel/handshake-error.ts';
import { makeCertificates } from '../../helpers/certificates.ts';

const pem = makeCertificates();
const secureContext = tls.createSecureContext({ ca: pem.ca });
const TOKEN = 'v3.local.secret-token';

function dial(address: string, env: NodeJS.ProcessEnv, more: Partial<DialOptions> = {}) {
	return dialTunnel({
		hub: parseHubAddress(address),
		token: TOKEN,
		agentId: 'gpu-1',
		info: {},
		secureContext,
		connectTimeout: 10_000,
		env,
		...more,
	});
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
	const sockets = new Set<net.Socket>();
	server.on('connection', (socket: net.Socket) => sockets.add(socket));
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return (server.address() as net.AddressInfo).port;
}

/** A hub which greets each tunnel behind its 101 and sends back what it gets. */
function hub(t: TestContext, secure: boolean): Promise<number> {
	const server = secure ? https.createServer({ cert: pem.cert, key: pem.key }) : http.createServer();
	server.on('upgrade', (_req, socket) => {
		acceptUpgrade(socket);
		socket.write('hello');
		socket.pipe(socket);
	});
	return listen(t, server);
}

interface Proxy {
	readonly port: number;
	/** What was asked of it: the target, and the Proxy-Authorization. */
	readonly asked: [string | undefined, string | undefined][];
}

/** A proxy that knows CONNECT and nothing else. It believes every name to be on loopback. */
async function connectProxy(t: TestContext, secure: boolean): Promise<Proxy> {
	const server = secure ? https.createServer({ cert: pem.cert, key: pem.key }) : http.createServer();
	const asked: Proxy['asked'] = [];
	server.on('connect', (req: http.IncomingMessage, socket: net.Socket) => {
		asked.push([req.url, req.headers['proxy-authorization']]);
		const target = net.connect(Number(req.url?.split(':').at(-1)), '127.0.0.1', () => {
			socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
			socket.pipe(target).pipe(socket);
		});
		for (const [one, other] of [
			[socket, target],
			[target, socket],
		] as const) {
			one.on('error', () => other.destroy());
			one.on('close', () => other.destroy());
		}
	});
	return { port: await listen(t, server), asked };
}

for (const secureProxy of [false, true]) {
	for (const secureHub of [false, true]) {
		const scheme = (secure: boolean) => (secure ? 'https' : 'http');
		test(`an ${scheme(secureHub)} hub is reached through an ${scheme(secureProxy)} proxy with CONNECT`, async (t) => {
			const port = await hub(t, secureHub);
			const proxy = await connectProxy(t, secureProxy);
			const variable = secureHub ? 'HTTPS_PROXY' : 'http_proxy';
			const env = { [variable]: `${scheme(secureProxy)}://user:hunter2@localhost:${proxy.port}` };
			const { socket, head } = await dial(`${scheme(secureHub)}://localhost:${port}`, env);
			t.after(() => socket.destroy());
			const basic = `Basic ${Buffer.from('user:hunter2').toString('base64')}`;
			assert.deepEqual(proxy.asked, [[`localhost:${port}`, basic]]);
			socket.write(' tunnel');
			let text = head.toString();
			while (text !== 'hello tunnel') text += (await once(socket, 'data'))[0];
		});
	}
}

test('a hub in no_proxy is reached without the proxy', async (t) => {
	const port = await hub(t, false);
	const proxy = await connectProxy(t, false);
	const { socket } = await dial(`127.0.0.1:${port}`, {
		http_proxy: `localhost:${proxy.port}`,
		no_proxy: '127.0.0.0/8',
	});
	socket.destroy();
	assert.deepEqual(proxy.asked, []);
});

test('an IPv6 hub is asked for in brackets', async (t) => {
	const proxy = await connectProxy(t, false);
	const port = await hub(t, false);
	const { socket } = await dial(`http://[2001:db8::1]:${port}`, { http_proxy: `localhost:${proxy.port}` });
	socket.destroy();
	assert.equal(proxy.asked[0]?.[0], `[2001:db8::1]:${port}`);
});

async function failure(tunnel: Promise<unknown>): Promise<HandshakeError> {
	const error = await tunnel.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	assert.ok(error instanceof HandshakeError, String(error));
	assert.ok(!/hunter2|secret/.test(error.message), error.message);
	return error;
}

/** A proxy that answers the same to everything. */
function canned(t: TestContext, answer: string): Promise<number> {
	return listen(
		t,
		net.createServer((socket) => {
			socket.on('error', () => socket.destroy());
			socket.once('data', () => socket.write(answer));
		}),
	);
}

const refusals: [string, string, HandshakeError['kind'], RegExp][] = [
	[
		'credentials',
		'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n',
		'unreachable',
		/answered 407 to CONNECT.*credentials/,
	],
	[
		'a ban',
		'HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nbanned',
		'unreachable',
		/answered 403 to CONNECT hub\.invalid:443/,
	],
	['garbage', '\u0005\u0000', 'protocol', /proxy http:\/\/localhost:\d+ did not answer with HTTP/],
	['chatter', 'HTTP/1.1 200 OK\r\n\r\nhello', 'protocol', /sent bytes before anything was asked/],
];
for (const [name, answer, kind, message] of refusals) {
	test(`a proxy that lets nobody through is named: ${name}`, async (t) => {
		const https_proxy = `http://user:hunter2@localhost:${await canned(t, answer)}`;
		const error = await failure(dial('https://hub.invalid', { https_proxy }));
		assert.equal(error.kind, kind);
		assert.match(error.message, message);
	});
}

test('a proxy that never answers is given up in time', async (t) => {
	const server = net.createServer();
	const https_proxy = `http://localhost:${await listen(t, server)}`;
	const asked = once(server, 'connection').then(([socket]) => once(socket, 'data'));
	const error = await failure(dial('https://hub.invalid', { https_proxy }, { connectTimeout: 100, countFrom: asked }));
	assert.match(
		error.message,
		/gave up after 0\.1 s waiting for proxy http:\/\/localhost:\d+ to connect to https:\/\/hub\.invalid/,
	);
});

test('a hub that is not trusted is not trusted through a proxy either', async (t) => {
	const others = makeCertificates();
	const server = https.createServer({ cert: others.cert, key: others.key });
	const port = await listen(t, server);
	const proxy = await connectProxy(t, false);
	const error = await failure(dial(`https://localhost:${port}`, { https_proxy: `http://localhost:${proxy.port}` }));
	assert.match(error.message, /hub https:\/\/localhost:\d+ has a certificate that is not trusted/);
});

test('a proxy that is not there, or cannot be used, is named instead of the hub', async (t) => {
	const server = net.createServer();
	const port = await listen(t, server);
	server.close();
	const down = await failure(dial('https://hub.invalid', { https_proxy: `http://localhost:${port}` }));
	assert.match(down.message, /^proxy http:\/\/localhost:\d+ refused the connection/);
	const socks = await failure(dial('https://hub.invalid', { ALL_PROXY: 'socks5://user:hunter2@localhost:1080' }));
	assert.match(socks.message, /has the scheme socks5/);
});

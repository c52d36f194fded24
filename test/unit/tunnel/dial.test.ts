import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { SlimeError } from '../../../src/shared/errors.ts';
import { parseHubAddress } from '../../../src/tunnel/address.ts';
import { type DialOptions, dialTunnel } from '../../../src/tunnel/dial.ts';
import { acceptUpgrade, readTunnelRequest, refuseUpgrade, type TunnelRequest } from '../../../src/tunnel/handshake.ts';
import { HandshakeError } from '../../../src/tunnel/handshake-error.ts';
import { makeCertificates } from '../../helpers/certificates.ts';

const TOKEN = 'v3.local.secret-token';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\n';

function dial(address: string, more: Partial<DialOptions> = {}) {
	const hub = parseHubAddress(address);
	return dialTunnel({
		hub,
		token: TOKEN,
		agentId: 'gpu-1',
		info: { numWorker: 2 },
		connectTimeout: 10_000,
		env: {},
		...more,
	});
}

/** Listens until the test is over. @returns the port */
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

/** A server that waits for a request's end and answers with these bytes; it stays open if `open` says so. */
function canned(t: TestContext, answer: string | Buffer, open = false): Promise<number> {
	const server = net.createServer((socket) => {
		socket.on('error', () => socket.destroy());
		socket.once('data', () => (open ? socket.write(answer) : socket.end(answer)));
	});
	return listen(t, server);
}

/** Settles when a server that never answers has heard something. */
async function heard(server: net.Server): Promise<void> {
	const [socket] = (await once(server, 'connection')) as [net.Socket];
	await once(socket, 'data');
}

interface Asked extends TunnelRequest {
	readonly url: string;
	readonly headers: http.IncomingHttpHeaders;
}

/** A hub that takes every agent and sends `first` in the packet of the 101. */
function acceptAll(server: http.Server, first = ''): Promise<Asked> {
	return new Promise((resolve) => {
		server.on('upgrade', (req, socket) => {
			resolve({ ...readTunnelRequest(req), url: req.url ?? '', headers: req.headers });
			socket.cork();
			acceptUpgrade(socket, { 'Slime-Hub-Version': '9.9.9' });
			socket.write(first);
			socket.uncork();
		});
	});
}

/** The error of a try that must fail. */
async function failure(tunnel: Promise<unknown>): Promise<HandshakeError> {
	const error = await tunnel.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	assert.ok(error instanceof HandshakeError, String(error));
	assert.ok(!error.message.includes(TOKEN) && !error.message.includes('hunter2'), error.message);
	return error;
}

test('a hub gets token, id and description, and bytes behind the 101 are handed over', async (t) => {
	const server = http.createServer();
	const asked = acceptAll(server, 'PRI * HTTP/2.0');
	const port = await listen(t, server);
	const { socket, head, hubInfo } = await dial(`127.0.0.1:${port}`);
	t.after(() => socket.destroy());
	const { token, agentId, info, url, headers } = await asked;
	assert.deepEqual(
		{ token, agentId, info, url },
		{ token: TOKEN, agentId: 'gpu-1', info: { numWorker: 2 }, url: '/.slime/tunnel' },
	);
	assert.equal(headers.host, `127.0.0.1:${port}`);
	assert.equal(head.toString(), 'PRI * HTTP/2.0');
	assert.equal(hubInfo.version, '9.9.9');
});

test('after the 101 bytes pass both ways, and none is lost before someone listens', async (t) => {
	const server = http.createServer();
	server.on('upgrade', (_req, socket: net.Socket) => {
		acceptUpgrade(socket);
		socket.write('early');
		socket.pipe(socket);
	});
	const { socket, head } = await dial(`127.0.0.1:${await listen(t, server)}`);
	socket.write(' and late');
	let text = head.toString();
	while (text !== 'early and late') text += (await once(socket, 'data'))[0];
	socket.destroy();
});

test('the path of the address is a prefix, and its userinfo is for a proxy before the hub', async (t) => {
	const server = http.createServer();
	const asked = acceptAll(server);
	const { socket } = await dial(`http://user:hunter2@127.0.0.1:${await listen(t, server)}/gpu/`);
	t.after(() => socket.destroy());
	const { url, token, headers } = await asked;
	assert.equal(url, '/gpu/.slime/tunnel');
	assert.equal(headers.authorization, `Basic ${Buffer.from('user:hunter2').toString('base64')}`);
	assert.equal(token, TOKEN);
});

test('early hints before the 101 are passed over', async (t) => {
	const port = await canned(t, `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${SWITCH}\r\nrest`, true);
	const { socket, head } = await dial(`127.0.0.1:${port}`);
	assert.equal(head.toString(), 'rest');
	socket.destroy();
});

const pem = makeCertificates();

function secureHub(options: tls.TlsOptions = {}) {
	return https.createServer({ cert: pem.cert, key: pem.key, ...options });
}

test('a TLS hub is trusted through the CA given, asked by name, for HTTP/1.1', async (t) => {
	const server = secureHub({ ALPNProtocols: ['h2', 'http/1.1'] });
	const asked = acceptAll(server);
	const secured = once(server, 'secureConnection') as Promise<[tls.TLSSocket & { servername?: string }]>;
	const port = await listen(t, server);
	const { socket } = await dial(`https://localhost:${port}`, {
		secureContext: tls.createSecureContext({ ca: pem.ca }),
	});
	t.after(() => socket.destroy());
	const [peer] = await secured;
	assert.deepEqual([peer.alpnProtocol, peer.servername], ['http/1.1', 'localhost']);
	assert.equal((await asked).token, TOKEN);
});

test('an address has no server name and is checked against the certificate all the same', async (t) => {
	const server = secureHub();
	void acceptAll(server);
	const secured = once(server, 'secureConnection') as Promise<[tls.TLSSocket & { servername?: string | false }]>;
	const secureContext = tls.createSecureContext({ ca: pem.ca });
	const { socket } = await dial(`https://127.0.0.1:${await listen(t, server)}`, { secureContext });
	assert.equal((await secured)[0].servername, false);
	socket.destroy();
});

test('a certificate that nobody here trusts is refused, and --ca is named', async (t) => {
	const port = await listen(t, secureHub());
	const error = await failure(dial(`https://127.0.0.1:${port}`));
	assert.equal(error.kind, 'unreachable');
	assert.match(error.message, /not trusted here.*--ca/);
});

test('a certificate for another name, or one that has expired, is refused', async (t) => {
	const other = makeCertificates({ hosts: ['other.example'] });
	const port = await listen(t, secureHub(other));
	const secureContext = tls.createSecureContext({ ca: other.ca });
	assert.match((await failure(dial(`https://127.0.0.1:${port}`, { secureContext }))).message, /for another name/);

	const old = makeCertificates({ validDays: -1 });
	const oldPort = await listen(t, secureHub(old));
	// The CA is as old, so the chain is judged by the first of them that is looked at.
	const oldContext = tls.createSecureContext({ ca: old.ca });
	const error = await failure(dial(`https://127.0.0.1:${oldPort}`, { secureContext: oldContext }));
	assert.match(error.message, /expired certificate/);
});

test('a hub that wants a client certificate says so, and takes one that its CA signed', async (t) => {
	for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
		const server = secureHub({ requestCert: true, rejectUnauthorized: true, ca: pem.ca, maxVersion });
		void acceptAll(server);
		const address = `https://127.0.0.1:${await listen(t, server)}`;
		// An openssl server cuts the connection as it alerts, so the alert may be lost; with a certificate it must work.
		const error = await failure(dial(address, { secureContext: tls.createSecureContext({ ca: pem.ca }) }));
		assert.match(error.message, /--tlsCert|closed the connection/);
		const own = { ca: pem.ca, cert: pem.clientCert, key: pem.clientKey };
		const { socket } = await dial(address, { secureContext: tls.createSecureContext(own) });
		socket.destroy();
	}
});

test('https to a plain hub, and http to a TLS hub, are told apart from a hub that is down', async (t) => {
	const plain = http.createServer();
	const toPlain = await failure(dial(`https://127.0.0.1:${await listen(t, plain)}`));
	assert.equal(toPlain.kind, 'protocol');
	assert.match(toPlain.message, /does not speak TLS/);
	const toTls = await failure(dial(`http://127.0.0.1:${await listen(t, secureHub())}`));
	assert.match(toTls.message, /did not answer with HTTP|closed the connection without an answer/);
});

test('a hub that closes during the TLS handshake is unreachable', async (t) => {
	const port = await canned(t, '');
	const error = await failure(dial(`https://127.0.0.1:${port}`));
	assert.equal(error.kind, 'unreachable');
	assert.match(error.message, /closed the connection/);
});

test("a hub's refusal is told in its own words", async (t) => {
	const server = http.createServer();
	server.on('upgrade', (_req, socket) =>
		refuseUpgrade(socket, new SlimeError('unauthorized', 'The token has expired.')),
	);
	const error = await failure(dial(`127.0.0.1:${await listen(t, server)}`));
	assert.deepEqual([error.kind, error.status, error.retryAfterMs], ['unauthorized', 401, undefined]);
	assert.match(error.message, /^hub http:\/\/127\.0\.0\.1:\d+ answered 401: The token has expired\.$/);
});

test('a draining hub says when to come back', async (t) => {
	const server = http.createServer();
	server.on('upgrade', (_req, socket) => refuseUpgrade(socket, new SlimeError('draining'), { 'Retry-After': '7' }));
	const error = await failure(dial(`127.0.0.1:${await listen(t, server)}`));
	assert.deepEqual([error.kind, error.status, error.retryAfterMs], ['refused', 503, 7000]);
});

test('what a hub quotes of the request never reaches the error', async (t) => {
	const basic = Buffer.from('user:hunter2').toString('base64');
	const message = `${'x'.repeat(290)} ${TOKEN} ${basic}\r\n\u001b[31m`;
	const body = JSON.stringify({ error: { message } });
	const answer = `HTTP/1.1 400 Bad Request\r\nSlime-Error: bad_request\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
	const error = await failure(dial(`http://user:hunter2@127.0.0.1:${await canned(t, answer)}`));
	assert.equal(error.kind, 'refused');
	assert.ok(!error.message.includes(basic) && !error.message.includes('v3.local') && !/\p{Cc}/u.test(error.message));
});

const answers: [string, string, HandshakeError['kind'], RegExp][] = [
	['200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'protocol', /answered 200: not a Slime hub/],
	[
		'404',
		'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
		'protocol',
		/answered 404: there is no hub at \/\.slime\/tunnel/,
	],
	['502', 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n', 'refused', /a proxy before the hub cannot reach it/],
	['403', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'refused', /answered 403: not a Slime hub/],
	[
		'401 of a proxy',
		'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n',
		'unauthorized',
		/before the hub asks for a user/,
	],
	[
		'a redirect',
		'HTTP/1.1 301 Moved\r\nLocation: https://user:hunter2@hub.example/gpu/.slime/tunnel?x=1\r\nContent-Length: 0\r\n\r\n',
		'protocol',
		/a redirect to https:\/\/hub\.example\/gpu; give --hub/,
	],
	['garbage', 'SSH-2.0-OpenSSH_9.2\r\n', 'protocol', /did not answer with HTTP/],
	['nothing', '', 'unreachable', /closed the connection without an answer/],
	[
		'huge headers',
		`HTTP/1.1 101 Switching\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
		'protocol',
		/headers that are too large/,
	],
	['101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\nPRI', 'protocol', /answered 101: not a Slime hub/],
	[
		'101 to another protocol',
		'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
		'protocol',
		/another protocol than h2c-reverse/,
	],
];
for (const [name, answer, kind, message] of answers) {
	test(`an answer that is no tunnel is explained: ${name}`, async (t) => {
		const error = await failure(dial(`127.0.0.1:${await canned(t, answer)}`));
		assert.equal(error.kind, kind);
		assert.match(error.message, message);
	});
}

test('the connection to what is no hub is closed', { timeout: 20_000 }, async (t) => {
	const server = http.createServer();
	const gone = new Promise((resolve) => {
		server.on('upgrade', (_req, socket: net.Socket) => {
			socket.resume().once('end', resolve);
			socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
		});
	});
	await failure(dial(`127.0.0.1:${await listen(t, server)}`));
	await gone;
});

test('Retry-After may be a date, and is bounded', async (t) => {
	const unavailable = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: ';
	const wait = async (value: string) =>
		(await failure(dial(`127.0.0.1:${await canned(t, `${unavailable}${value}\r\n\r\n`)}`))).retryAfterMs;
	assert.equal(await wait('2'), 2000);
	assert.equal(await wait('99999999'), 300_000);
	assert.equal(await wait('Wed, 21 Oct 2015 07:28:00 GMT'), 0);
	const soon = (await wait(new Date(Date.now() + 60_000).toUTCString())) ?? 0;
	assert.ok(soon > 30_000 && soon <= 60_000);
	assert.equal(await wait('soon'), undefined);
});

test('a status counts even if its body never ends', async (t) => {
	const server = net.createServer();
	const answered = new Promise((resolve) => {
		server.on('connection', async (socket: net.Socket) => {
			await once(socket, 'data');
			socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{"error"', resolve);
		});
	});
	const port = await listen(t, server);
	const error = await failure(dial(`127.0.0.1:${port}`, { connectTimeout: 1000, countFrom: answered }));
	assert.deepEqual([error.kind, error.status], ['unauthorized', 401]);
});

test('a hub that never answers is given up in time, and its connection closed', async (t) => {
	const server = net.createServer();
	const port = await listen(t, server);
	const asked = heard(server);
	const gone = new Promise((resolve) => {
		server.on('connection', (socket: net.Socket) => socket.once('close', resolve));
	});
	const error = await failure(dial(`127.0.0.1:${port}`, { connectTimeout: 100, countFrom: asked }));
	assert.equal(error.kind, 'unreachable');
	assert.match(error.message, /gave up after 0\.1 s waiting for an answer of hub/);
	await gone;
});

test('a TLS handshake that never ends is given up in time', async (t) => {
	const server = net.createServer();
	const port = await listen(t, server);
	const error = await failure(dial(`https://127.0.0.1:${port}`, { connectTimeout: 100, countFrom: heard(server) }));
	assert.match(error.message, /in the TLS handshake with hub/);
});

test('where nothing listens the hub is unreachable', async () => {
	const server = net.createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as net.AddressInfo;
	server.close();
	await once(server, 'close');
	const error = await failure(dial(`127.0.0.1:${port}`));
	assert.equal(error.kind, 'unreachable');
	assert.match(error.message, /refused the connection/);
});

test('a try can be called off with the reason of its signal', { timeout: 20_000 }, async (t) => {
	const server = net.createServer();
	const port = await listen(t, server);
	const reason = new Error('shutting down');
	await assert.rejects(dial(`127.0.0.1:${port}`, { signal: AbortSignal.abort(reason) }), reason);

	const ending = new AbortController();
	const tunnel = dial(`127.0.0.1:${port}`, { signal: ending.signal, connectTimeout: 600_000 });
	const [socket] = (await once(server, 'connection')) as [net.Socket];
	await once(socket, 'data');
	socket.resume();
	const gone = once(socket, 'close');
	ending.abort(reason);
	await assert.rejects(tunnel, reason);
	await gone;
});

test('a signal that is aborted after the 101 leaves the tunnel alone', async (t) => {
	const server = http.createServer();
	void acceptAll(server);
	const ending = new AbortController();
	const { socket } = await dial(`127.0.0.1:${await listen(t, server)}`, { signal: ending.signal });
	ending.abort();
	assert.equal(socket.destroyed, false);
	socket.destroy();
});

test('a token that cannot be a header is not sent', async (t) => {
	let connections = 0;
	const port = await listen(
		t,
		net.createServer(() => void connections++),
	);
	const error = await failure(dial(`127.0.0.1:${port}`, { token: `${TOKEN}\r\nX: y` }));
	assert.equal(error.kind, 'unauthorized');
	assert.equal(connections, 0);
});

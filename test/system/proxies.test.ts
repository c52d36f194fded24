/** Proxies before the hub: which are believed, what upstreams and logs are told then, and PROXY headers before HTTP and TLS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createHub, type GivenHubOptions } from '../../src/index.ts';
import { writeCertificates } from '../helpers/certificates.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { proxyV2 } from '../helpers/proxy-header.ts';
import { ask, eventually, RawClient, SECRET, type Stack, stack, type Upstream, upstream } from '../helpers/stack.ts';

/** Trusted in these tests; agents come from 127.0.0.1, which is not. */
const PROXY = '127.0.0.2';
const GET = 'GET /seen HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n';

/** An upstream that answers with what it was told of the client. */
function mirror(t: TestContext): Promise<Upstream> {
	return upstream(t, (req, res) => {
		const { headers } = req;
		const names = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded'];
		res.end(names.map((name) => headers[name] ?? '-').join('|'));
	});
}

async function scene(t: TestContext, hub: Partial<GivenHubOptions>): Promise<Stack> {
	return stack(t, [(await mirror(t)).address], { hub: { trustedProxies: [PROXY], ...hub } });
}

/** Everything that comes back to these bytes from the given address. */
async function exchange(t: TestContext, port: number, from: string, ...bytes: (string | Buffer)[]): Promise<string> {
	const client = await RawClient.open(t, port, false, from);
	for (const piece of bytes) client.socket.write(piece as string, 'latin1');
	return client.all();
}

const addressesOf = ({ log }: Stack) =>
	log.lines.filter((line) => line.msg === 'request' && 'address' in line).map((line) => line.address);

test('what a trusted proxy says is extended, what a stranger says is replaced', async (t) => {
	const served = await scene(t, {});
	const said =
		'X-Forwarded-For: 6.6.6.6, 8.8.8.8\r\nX-Forwarded-Host: first.example\r\nX-Forwarded-Proto: https\r\nForwarded: for=8.8.8.8\r\n\r\n';
	assert.match(
		await exchange(t, served.port, PROXY, GET, said),
		/6\.6\.6\.6, 8\.8\.8\.8, 127\.0\.0\.2\|first\.example\|https\|for=8\.8\.8\.8, for=127\.0\.0\.2;host="app\.example";proto=http$/,
	);
	assert.match(
		await exchange(t, served.port, '127.0.0.3', GET, said),
		/\r\n127\.0\.0\.3\|app\.example\|http\|for=127\.0\.0\.3;host="app\.example";proto=http$/,
	);
	await eventually('both were logged', () => addressesOf(served).length === 2);
	assert.deepEqual(addressesOf(served), ['8.8.8.8', '127.0.0.3']);
});

test('an HTTP/2 connection of a trusted proxy carries requests of many clients', async (t) => {
	const served = await scene(t, {});
	const socket = connect({ host: '127.0.0.1', port: served.port, localAddress: PROXY });
	const session = connectHttp2(`http://127.0.0.1:${served.port}`, { createConnection: () => socket });
	t.after(() => session.destroy());
	for (const client of ['8.8.8.8', '2001:db8::7']) {
		const { body } = await h2Ask(session, '/', { headers: { 'x-forwarded-for': client, ':authority': 'a.example' } });
		assert.equal(body, `${client}, ${PROXY}|a.example|http|-`);
	}
	await eventually('both were logged', () => addressesOf(served).length === 2);
	assert.deepEqual(addressesOf(served), ['8.8.8.8', '2001:db8::7']);
});

test('an agent that comes through a trusted proxy is logged under its own address', async (t) => {
	const { port, log } = await scene(t, {});
	const client = await RawClient.open(t, port, false, PROXY);
	client.send(
		'GET /.slime/tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\nX-Forwarded-For: 8.8.8.8\r\nAuthorization: Bearer no\r\nSlime-Agent-Id: a\r\n\r\n',
	);
	await client.sees(' 401 ');
	assert.equal(log.lines.find((line) => line.msg === 'agent refused')?.address, '8.8.8.8');
});

test('a PROXY header of either version says whose a connection is, in one piece or byte by byte', async (t) => {
	const served = await scene(t, { proxyProtocol: true });
	const headers = [
		[Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.9 1234 80\r\n'), '192.0.2.1'],
		[proxyV2({ source: '192.0.2.2', tlvs: Buffer.from([0xee, 0, 1, 7]) }), '192.0.2.2'],
		[proxyV2({ source: '2001:db8:0:0:0:0:0:3' }), '2001:db8::3'],
		[Buffer.from('PROXY UNKNOWN\r\n'), PROXY],
		[proxyV2({ source: '192.0.2.4', local: true }), PROXY],
	] as const;
	for (const [header, source] of headers) {
		const whole = await exchange(t, served.port, PROXY, Buffer.concat([header, Buffer.from(`${GET}\r\n`)]));
		assert.equal(whole.slice(whole.indexOf('\r\n\r\n') + 4).split('|')[0], source);
	}
	const client = await RawClient.open(t, served.port, false, PROXY);
	client.socket.setNoDelay(true);
	for (const byte of Buffer.concat([headers[1][0], Buffer.from(`${GET}\r\n`)])) {
		client.socket.write(Buffer.from([byte]));
		await new Promise((resolve) => setImmediate(resolve));
	}
	assert.match(await client.all(), /\r\n192\.0\.2\.2\|app\.example/);
});

test('a client behind PROXY headers is a stranger: its own X-Forwarded-For is replaced', async (t) => {
	const { port } = await scene(t, { proxyProtocol: true });
	const answer = await exchange(
		t,
		port,
		PROXY,
		`PROXY TCP4 192.0.2.1 192.0.2.9 1 80\r\n${GET}X-Forwarded-For: 6.6.6.6\r\n\r\n`,
	);
	assert.match(answer, /\r\n192\.0\.2\.1\|/);
});

test('PROXY headers go before TLS: HTTP/1.1 and HTTP/2 apps keep their addresses', async (t) => {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-proxy-'));
	t.after(() => rm(folder, { recursive: true }));
	const { cert, key, ca } = await writeCertificates(folder);
	const pem = await readFile(ca);
	const service = await mirror(t);
	const served = await stack(t, [service.address], {
		hub: { tls: { cert, key }, trustedProxies: [PROXY], proxyProtocol: true },
		agent: { ca },
	});
	const begin = async (header: Buffer, protocol: string, pieces: 'apart' | 'together') => {
		const socket = connect({ host: '127.0.0.1', port: served.port, localAddress: PROXY });
		t.after(() => socket.destroy());
		await once(socket, 'connect');
		// Together, the client's first TLS record is in the same segment.
		if (pieces === 'together') socket.cork();
		socket.write(header);
		const secure = connectTls({ socket, ca: pem, servername: 'localhost', ALPNProtocols: [protocol] });
		if (pieces === 'together') setImmediate(() => socket.uncork());
		await once(secure, 'secureConnect');
		return secure;
	};
	for (const pieces of ['apart', 'together'] as const) {
		const first = await begin(Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.9 1 443\r\n'), 'http/1.1', pieces);
		first.write(`${GET}\r\n`);
		let text = '';
		for await (const chunk of first) text += chunk;
		assert.match(text, /\r\n192\.0\.2\.1\|app\.example\|https\|-$/);
		const second = await begin(proxyV2({ source: '192.0.2.2' }), 'h2', pieces);
		const session = connectHttp2('https://localhost', { createConnection: () => second });
		t.after(() => session.destroy());
		assert.match((await h2Ask(session)).body, /^192\.0\.2\.2\|/);
		session.destroy();
	}
	// Without a header, from somebody else, TLS is served as ever.
	const direct = await h2Connect(t, `https://localhost:${served.port}`, { ca: pem });
	assert.match((await h2Ask(direct)).body, /^127\.0\.0\.1\|/);
});

test('a stranger that sends a PROXY header is answered 400', async (t) => {
	const { port, hub } = await scene(t, { proxyProtocol: true });
	for (const header of [Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.9 1 80\r\n'), proxyV2({ source: '192.0.2.1' })]) {
		const answer = await exchange(t, port, '127.0.0.3', Buffer.concat([header, Buffer.from(`${GET}\r\n`)]));
		assert.match(answer, /^HTTP\/1\.1 400 /);
	}
	assert.equal(hub.ended.proxy_header, 0);
});

test('a PROXY header that is malformed, missing or late ends the connection without an answer', async (t) => {
	const { port, hub, log } = await scene(t, { proxyProtocol: true, headersTimeout: 1500 });
	assert.equal(await exchange(t, port, PROXY, `${GET}\r\n`), '');
	assert.equal(await exchange(t, port, PROXY, `PROXY TCP4 1.1.1.1 x 1 1\r\n${GET}\r\n`), '');
	assert.equal(await exchange(t, port, PROXY, proxyV2({ source: '192.0.2.1', tlvs: Buffer.alloc(600) })), '');
	assert.equal(await exchange(t, port, PROXY, 'PROXY TCP4 1.1'), '');
	assert.equal(await exchange(t, port, PROXY), '');
	assert.equal(hub.ended.proxy_header, 5);
	const reasons = log.lines.filter((line) => line.phase === 'proxy_header').map((line) => line.reason);
	assert.deepEqual(reasons, ['malformed', 'malformed', 'malformed', 'unfinished', 'silent']);
	assert.equal((await ask(port)).status, 200);
});

test('connections are counted for the client that a PROXY header names, and for no trusted proxy', async (t) => {
	const { port, hub } = await scene(t, { proxyProtocol: true, maxConnectionsPerAddress: 2 });
	const open = async (source: string, from = PROXY) => {
		const client = await RawClient.open(t, port, false, from);
		client.send(
			from === PROXY ? `PROXY ${source}\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n` : 'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
		);
		return client;
	};
	const first = await open('TCP4 192.0.2.1 192.0.2.9 1 80');
	await first.sees('200 OK');
	await (await open('TCP4 192.0.2.1 192.0.2.9 2 80')).sees('200 OK');
	assert.equal(await (await open('TCP4 192.0.2.1 192.0.2.9 3 80')).all(), '');
	assert.equal(hub.ended.per_address, 1);
	await (await open('TCP4 192.0.2.2 192.0.2.9 4 80')).sees('200 OK');
	for (let i = 0; i < 3; i++) await (await open('UNKNOWN')).sees('200 OK');
	for (let i = 0; i < 2; i++) await (await open('', '127.0.0.3')).sees('200 OK');
	assert.equal(await (await open('', '127.0.0.3')).all(), '');
	first.socket.destroy();
	// Its place is free as soon as the hub has seen it close.
	let answer = '';
	while (answer === '') {
		const client = await open('TCP4 192.0.2.1 192.0.2.9 5 80');
		await eventually('an answer or an end', () => client.received !== '' || client.ended !== 'open');
		answer = client.received;
	}
	assert.match(answer, /200 OK/);
});

test('a PROXY header needs somebody to believe', async () => {
	const given = { secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 'off' } as const;
	await assert.rejects(createHub({ ...given, proxyProtocol: true }), /trustedProxies/);
	await assert.rejects(createHub({ ...given, trustedProxies: ['nonsense'] }), /"nonsense" is no network/);
});

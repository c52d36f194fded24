/** A listener for agents alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { closedPort } from '../helpers/ports.ts';
import { ask, assertError, RawClient, stack, upstream } from '../helpers/stack.ts';
import { askTls, refusal, tlsFiles } from '../helpers/tls-clients.ts';

test('agents join at the port for agents, applications are served at theirs, and neither at the other', async (t) => {
	const service = await upstream(t, (_req, res) => res.end('served'));
	const { hub, port } = await stack(t, [service.address], { hub: { agentPort: 0 } });
	const { agentAddress } = hub;
	assert.ok(agentAddress && agentAddress.port !== port);
	assert.equal(agentAddress.host, '127.0.0.1');
	assert.equal(hub.agentUrl, `http://127.0.0.1:${agentAddress.port}`);
	assert.equal((await ask(port)).body, 'served');
	assertError(await ask(agentAddress.port, '/v1/models'), 404, 'not_found');
	assertError(await ask(agentAddress.port, '/.slime/tunnel'), 404, 'not_found');
	assertError(await ask(port, '/.slime/tunnel'), 404, 'not_found');
	assert.equal(service.served, 1);
	const { text } = await refusal(t, { hubs: [hub.url] });
	assert.match(text, /answered 404: Agents connect to another address of this hub\.$/);
	const session = await h2Connect(t, hub.agentUrl);
	assert.equal((await h2Ask(session)).status, 404);
});

test('the two listeners have hosts of their own, and close together', async (t) => {
	const { hub, port } = await stack(t, [], { hub: { host: '127.0.0.1', agentHost: 'localhost', agentPort: 0 } });
	assert.equal(hub.agentAddress?.host, 'localhost');
	const agentPort = hub.agentAddress?.port ?? 0;
	await hub.drain();
	for (const closed of [port, agentPort]) await assert.rejects(ask(closed), { code: 'ECONNREFUSED' });
});

test('an address for agents means nothing without a port', async (t) => {
	await assert.rejects(stack(t, [], { hub: { agentHost: '127.0.0.1' } }), /agentHost needs an agentPort/);
});

test('a port for agents that is taken leaves nothing open', async (t) => {
	const { port: taken } = await stack(t);
	const free = await closedPort();
	await assert.rejects(stack(t, [], { hub: { port: free, agentPort: taken } }), { code: 'EADDRINUSE' });
	await assert.rejects(RawClient.open(t, free), { code: 'ECONNREFUSED' });
});

test('both listeners have the same certificate, and applications are not asked for one that only agents need', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const service = await upstream(t, (_req, res) => res.end('served'));
	const { hub, port } = await stack(t, [service.address], {
		hub: { agentPort: 0, tls: { cert: files.cert, key: files.key, clientCa: files.ca } },
		agent: { ca: files.ca, tlsCert: files.clientCert, tlsKey: files.clientKey },
	});
	const { body, fingerprint } = await askTls(port, { ca: pem.ca });
	assert.equal(body, 'served');
	const agentPort = hub.agentAddress?.port ?? 0;
	assert.equal((await askTls(agentPort, { ca: pem.ca })).fingerprint, fingerprint);
	assert.equal(await asksForCertificate(t, agentPort, pem.ca), true);
	assert.equal(await asksForCertificate(t, port, pem.ca), false);
	assert.match((await refusal(t, { hubs: [hub.agentUrl], ca: files.ca })).text, /wants a client certificate/);
});

/** Whether a server's part of a handshake has a CertificateRequest (RFC 5246 section 7.4.4), which only TLS 1.2 sends in clear. */
async function asksForCertificate(t: TestContext, port: number, ca: string): Promise<boolean> {
	const received: Buffer[] = [];
	const tcp = connectTcp(port, '127.0.0.1');
	const wire = new Duplex({ read: () => undefined, write: (chunk, _encoding, done) => void tcp.write(chunk, done) });
	tcp.on('data', (chunk) => {
		received.push(chunk);
		wire.push(chunk);
	});
	const socket = connect({ socket: wire, ca, host: '127.0.0.1', maxVersion: 'TLSv1.2' });
	t.after(() => tcp.destroy());
	await once(socket, 'secureConnect');
	const bytes = Buffer.concat(received);
	const messages: number[] = [];
	// Records: type, version, length. OpenSSL puts each of these messages at the start of a record, or behind another one.
	for (let at = 0; at < bytes.length && bytes[at] === 22; at += 5 + bytes.readUInt16BE(at + 3)) {
		const end = at + 5 + bytes.readUInt16BE(at + 3);
		for (let message = at + 5; message < end; message += 4 + bytes.readUIntBE(message + 1, 3)) {
			messages.push(bytes[message] ?? 0);
		}
	}
	assert.ok(messages.includes(2) && messages.includes(14), 'a ServerHello and a ServerHelloDone were seen');
	return messages.includes(13);
}

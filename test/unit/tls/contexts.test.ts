import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { UsageError } from '../../../src/shared/errors.ts';
import { type ClientTls, clientSecureContext, loadClientTls, loadServerTls } from '../../../src/tls/contexts.ts';
import { type Certificates, makeCertificates, writeCertificates } from '../../helpers/certificates.ts';

let dir: string;
let files: Certificates;

before(async () => {
	dir = await mkdtemp(join(tmpdir(), 'slime-tls-'));
	files = await writeCertificates(dir);
});
after(() => rm(dir, { recursive: true }));

/** Connects once and tells what each side thought of the other. */
async function meet(options: tls.TlsOptions, client: ClientTls): Promise<{ authorized: boolean; peer: string }> {
	const server = tls.createServer(options);
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
	const socket = tls.connect({ host: '127.0.0.1', port, secureContext: clientSecureContext(client) });
	try {
		await once(socket, 'secureConnect');
		const [peer] = await accepted;
		const seen = { authorized: peer.authorized, peer: String(peer.getPeerCertificate().subject?.CN) };
		peer.destroy();
		return seen;
	} finally {
		socket.destroy();
		server.close();
	}
}

test('a client trusts the CA that it was given and shows its certificate', async () => {
	const server = loadServerTls({ cert: files.cert, key: files.key, clientCa: files.ca });
	const client = loadClientTls({ ca: files.ca, cert: files.clientCert, key: files.clientKey });
	assert.deepEqual(await meet(server, client), { authorized: true, peer: 'Slime test client' });
});

test('a server with a client CA lets a client without a certificate connect, unauthorized', async () => {
	const server = loadServerTls({ cert: files.cert, key: files.key, clientCa: files.ca });
	const client = loadClientTls({ ca: files.ca });
	assert.deepEqual(await meet(server, client), { authorized: false, peer: 'undefined' });
});

test('a client certificate of another CA is unauthorized', async () => {
	const others = await writeCertificates(join(dir, 'others'));
	const server = loadServerTls({ cert: files.cert, key: files.key, clientCa: files.ca });
	const client = loadClientTls({ ca: files.ca, cert: others.clientCert, key: others.clientKey });
	assert.equal((await meet(server, client)).authorized, false);
});

test('without a client CA no certificate is asked for', async () => {
	const server = loadServerTls({ cert: files.cert, key: files.key });
	assert.equal(server.requestCert, false);
	assert.equal(server.ca, undefined);
	const client = loadClientTls({ ca: files.ca, cert: files.clientCert, key: files.clientKey });
	assert.equal((await meet(server, client)).peer, 'undefined');
});

test('a server whose CA the client was not given is not trusted', async () => {
	const server = loadServerTls({ cert: files.cert, key: files.key });
	const client = loadClientTls({});
	await assert.rejects(meet(server, client), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
});

test('the CA given is trusted beside the roots, not instead of them', async () => {
	const plain = loadClientTls({});
	const withCa = loadClientTls({ ca: files.ca });
	const roots = (client: ClientTls) => new Set(client.ca.map((pem) => pem.replace(/\s+/g, '')));
	assert.ok(tls.rootCertificates.every((root) => roots(plain).has(root.replace(/\s+/g, ''))));
	assert.equal(withCa.ca.length, plain.ca.length + 1);
	assert.equal(roots(withCa).size, withCa.ca.length);
});

test('NODE_EXTRA_CA_CERTS stays trusted', async () => {
	const server = loadServerTls({ cert: files.cert, key: files.key });
	const client = loadClientTls({}, { NODE_EXTRA_CA_CERTS: files.ca });
	assert.equal((await meet(server, client)).peer, 'undefined');
	loadClientTls({}, { NODE_EXTRA_CA_CERTS: join(dir, 'missing.pem') });
});

test('nothing below TLS 1.2 is spoken, whatever the process allows', async (t) => {
	const defaults = { DEFAULT_MIN_VERSION: tls.DEFAULT_MIN_VERSION, DEFAULT_CIPHERS: tls.DEFAULT_CIPHERS };
	t.after(() => Object.assign(tls, defaults));
	// Signatures of TLS 1.1 are too weak for OpenSSL's usual level.
	Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_CIPHERS: 'DEFAULT@SECLEVEL=0' });
	const speaks = async (options: tls.TlsOptions, client: tls.ConnectionOptions) => {
		const server = tls.createServer(options).on('tlsClientError', () => undefined);
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		const { port } = server.address() as AddressInfo;
		const socket = tls.connect({ host: '127.0.0.1', port, ...client });
		try {
			await once(socket, 'secureConnect');
			return socket.getProtocol();
		} catch (error) {
			return (error as NodeJS.ErrnoException).code;
		} finally {
			socket.destroy();
			server.close();
		}
	};
	const { minVersion: _, ...without } = loadServerTls({ cert: files.cert, key: files.key });
	const ca = loadClientTls({ ca: files.ca }).ca;
	const old = { ca, maxVersion: 'TLSv1.1' } as const;
	assert.equal(await speaks(without, old), 'TLSv1.1');
	assert.match(String(await speaks(loadServerTls({ cert: files.cert, key: files.key }), old)), /PROTOCOL_VERSION/);
	const client = { secureContext: clientSecureContext(loadClientTls({ ca: files.ca })) };
	assert.equal(await speaks({ ...without, maxVersion: 'TLSv1.2' }, client), 'TLSv1.2');
	assert.match(String(await speaks({ ...without, maxVersion: 'TLSv1.1' }, client)), /PROTOCOL|VERSION/);
});

test('a file may hold several certificates', async () => {
	const other = makeCertificates();
	const both = join(dir, 'both.pem');
	await writeFile(both, `# a comment\n${other.ca}\n${makeCertificates().ca}`);
	assert.equal(loadServerTls({ cert: files.cert, key: files.key, clientCa: both }).ca?.length, 2);
});

test('what is wrong with a file is told with its name', async () => {
	const garbage = join(dir, 'garbage.pem');
	await writeFile(garbage, 'not a certificate');
	const broken = join(dir, 'broken.pem');
	await writeFile(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
	const brokenKey = join(dir, 'broken-key.pem');
	await writeFile(brokenKey, '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
	const encrypted = join(dir, 'encrypted.pem');
	await writeFile(encrypted, '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n');
	const { cert, key } = files;
	const missing = join(dir, 'missing.pem');
	const cases: [() => unknown, string, string][] = [
		[() => loadServerTls({ cert: missing, key }), missing, 'there is no such file'],
		[() => loadServerTls({ cert: dir, key }), dir, 'is a folder'],
		[() => loadServerTls({ cert: garbage, key }), garbage, 'holds no certificate in PEM'],
		[() => loadServerTls({ cert: broken, key }), broken, 'certificate 1 cannot be read'],
		[() => loadServerTls({ cert: key, key }), key, 'holds no certificate in PEM'],
		[() => loadServerTls({ cert, key: cert }), cert, 'holds no private key in PEM'],
		[() => loadServerTls({ cert, key: brokenKey }), brokenKey, 'the private key cannot be read'],
		[() => loadServerTls({ cert, key: encrypted }), encrypted, 'has a passphrase'],
		[
			() => loadServerTls({ cert, key: files.clientKey }),
			files.clientKey,
			'is not the key of the first certificate in',
		],
		[() => loadServerTls({ cert, key, clientCa: garbage }), garbage, 'holds no certificate in PEM'],
		[() => loadClientTls({ ca: missing }), missing, 'there is no such file'],
		[() => loadClientTls({ cert }), 'a client certificate', 'without its key'],
		[() => loadClientTls({ key }), 'a client key', 'without its certificate'],
	];
	for (const [load, file, what] of cases) {
		assert.throws(
			load,
			(error) => error instanceof UsageError && error.message.startsWith(file) && error.message.includes(what),
			what,
		);
	}
});

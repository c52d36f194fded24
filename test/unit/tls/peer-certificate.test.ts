/** What a client's certificate proves to a server, with real handshakes. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { identitiesOf, type PeerCertificate, peerCertificate } from '../../../src/tls/peer-certificate.ts';
import { type Certificates, makeCertificates } from '../../helpers/certificates.ts';

const own = makeCertificates();
const others = makeCertificates();

interface Server {
	/** Connects, and resumes that session in a second connection with other options; what the server thought of both. */
	twice(
		first: tls.ConnectionOptions,
		second: tls.ConnectionOptions,
	): Promise<(PeerCertificate | undefined | 'resumed')[]>;
}

async function serve(t: TestContext, certificates: Certificates): Promise<Server> {
	const { cert, key, ca } = certificates;
	const server = tls.createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false });
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => server.close());
	const { port } = server.address() as AddressInfo;
	const meet = async (options: tls.ConnectionOptions) => {
		const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
		const socket = tls.connect({ host: '127.0.0.1', port, ca, ...options });
		const session = once(socket, 'session') as Promise<[Buffer]>;
		socket.resume();
		const [peer] = await accepted;
		peer.on('error', () => peer.destroy());
		const seen: (PeerCertificate | undefined | 'resumed')[] = [peerCertificate(peer)];
		if (peer.isSessionReused()) seen.push('resumed');
		// Whoever resumes gets no new session.
		const [ticket] = options.session ? [undefined] : await session;
		socket.destroy();
		return { seen, ticket };
	};
	return {
		async twice(first, second) {
			const { seen, ticket } = await meet(first);
			return [...seen, ...(await meet({ ...second, ...(ticket && { session: ticket }) })).seen];
		},
	};
}

const shown = { cert: own.clientCert, key: own.clientKey };
const foreign = { cert: others.clientCert, key: others.clientKey };
const identities = ['Slime test client'];

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
	test(`a resumed session of ${version} proves what its first connection proved, and nothing without a certificate`, async (t) => {
		const { twice } = await serve(t, own);
		const only = { minVersion: version, maxVersion: version };
		assert.deepEqual(await twice(only, only), [undefined, undefined, 'resumed']);
		const good = { verified: true, identities };
		assert.deepEqual(await twice({ ...only, ...shown }, only), [good, good, 'resumed']);
		const bad = { verified: false, identities };
		assert.deepEqual(await twice({ ...only, ...foreign }, only), [bad, bad, 'resumed']);
	});
}

test('a socket without TLS has no certificate', () => {
	assert.equal(peerCertificate(connectTcp({ host: '127.0.0.1', port: 1 }).on('error', () => undefined)), undefined);
});

test('a certificate is for its DNS names and URIs, and for its common name only without any', () => {
	const of = (options: Parameters<typeof makeCertificates>[0]) =>
		identitiesOf(new X509Certificate(makeCertificates(options).clientCert));
	assert.deepEqual(of({ clientName: 'gpu-1' }), ['gpu-1']);
	assert.deepEqual(of({ clientName: 'gpu-1', clientNames: ['10.0.0.1'] }), ['gpu-1']);
	assert.deepEqual(of({ clientName: 'cn', clientNames: ['gpu-1', 'spiffe://slime.test/gpu-1'] }), [
		'gpu-1',
		'spiffe://slime.test/gpu-1',
	]);
});

test('a name that looks like several stays one', () => {
	const clientNames = ['a, DNS:gpu-1', 'b"quoted", URI:gpu-2', 'gpu\\3'];
	const { clientCert } = makeCertificates({ clientName: 'cn', clientNames });
	assert.deepEqual(identitiesOf(new X509Certificate(clientCert)), clientNames);
	const slashes = makeCertificates({ clientName: 'gpu-1\nCN=gpu-2' });
	assert.ok(!identitiesOf(new X509Certificate(slashes.clientCert)).includes('gpu-2'));
});

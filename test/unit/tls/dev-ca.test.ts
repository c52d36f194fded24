/** Certificates of the development CA, read with Node's own X509Certificate. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { issue, makeAuthority } from '../../../src/tls/dev-ca.ts';

const DAY = 86_400_000;
const authority = await makeAuthority();
const ca = new X509Certificate(authority.cert);

function lifetime(certificate: X509Certificate): { days: number; begun: boolean } {
	const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
	return { days: (to - from) / DAY, begun: from <= Date.now() - 60_000 };
}

/** The value of an extension, in hex: its OID is looked for in the certificate's DER. */
function extension(certificate: X509Certificate, oid: string): string | undefined {
	const hex = certificate.raw.toString('hex');
	const at = hex.indexOf(`0603${oid}`);
	return at < 0 ? undefined : hex.slice(at + 10, at + 60);
}

const KEY_USAGE = '551d0f';
const CRITICAL = '0101ff';

test('the CA is one, may sign certificates and nothing else, and lasts ten years', () => {
	assert.equal(ca.ca, true);
	assert.ok(ca.verify(ca.publicKey));
	assert.ok(ca.checkIssued(ca));
	assert.deepEqual(lifetime(ca), { days: 3650, begun: true });
	// keyCertSign and cRLSign: the bits 5 and 6 of a BIT STRING with one unused bit.
	assert.ok(extension(ca, KEY_USAGE)?.startsWith(`${CRITICAL}040403020106`), extension(ca, KEY_USAGE));
	assert.equal(ca.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

test('a server certificate is for the given names and addresses, signed by the CA, no CA itself, of at most 397 days', async () => {
	const hosts = ['hub.test', '*.gpu.test', '10.1.2.3', '::1'];
	const pair = await issue(authority, { kind: 'server', hosts });
	const leaf = new X509Certificate(pair.cert);
	assert.ok(leaf.verify(ca.publicKey));
	assert.ok(leaf.checkIssued(ca));
	assert.equal(leaf.ca, false);
	assert.ok(leaf.checkPrivateKey(createPrivateKey(pair.key)));
	assert.deepEqual(lifetime(leaf), { days: 397, begun: true });
	assert.ok(
		leaf.checkHost('hub.test') && leaf.checkHost('a.gpu.test') && leaf.checkIP('10.1.2.3') && leaf.checkIP('::1'),
	);
	assert.equal(leaf.checkHost('localhost'), undefined);
	// digitalSignature: bit 0 of a BIT STRING with seven unused bits.
	assert.ok(extension(leaf, KEY_USAGE)?.startsWith(`${CRITICAL}040403020780`), extension(leaf, KEY_USAGE));
	assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
});

test('a client certificate is for clients alone, and has its name twice', async () => {
	const leaf = new X509Certificate((await issue(authority, { kind: 'client', name: 'gpu-1' })).cert);
	assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.2']);
	assert.equal(leaf.subject, 'CN=gpu-1');
	assert.equal(leaf.subjectAltName, 'DNS:gpu-1');
	assert.ok(leaf.verify(ca.publicKey));
});

test('every certificate has a serial number and a key of its own', async () => {
	const make = async () => new X509Certificate((await issue(authority, { kind: 'client', name: 'same' })).cert);
	const [a, b] = [await make(), await make()];
	assert.notEqual(a.serialNumber, b.serialNumber);
	assert.match(a.serialNumber, /^[4-7][0-9A-F]{31}$/);
	assert.ok(!a.publicKey.equals(b.publicKey));
});

test('what is no CA, is over, or has another key signs nothing', async () => {
	const purpose = { kind: 'client', name: 'x' } as const;
	const leaf = await issue(authority, purpose);
	await assert.rejects(issue(leaf, purpose), /not that of a CA/);
	await assert.rejects(issue({ ...authority, key: leaf.key }, purpose), /key is not that of the CA/);
	await assert.rejects(issue({ ...authority, key: 'no PEM' }, purpose), /the key of the CA cannot be read/);
	await assert.rejects(issue({ ...authority, cert: 'no PEM' }, purpose), /the certificate of the CA cannot be read/);
});

test('no certificate outlives its CA, and a CA that is over signs nothing', async (t) => {
	const purpose = { kind: 'client', name: 'x' } as const;
	t.mock.timers.enable({ apis: ['Date'], now: Date.parse(ca.validTo) - 10 * DAY });
	const leaf = new X509Certificate((await issue(authority, purpose)).cert);
	assert.equal(leaf.validTo, ca.validTo);
	t.mock.timers.setTime(Date.parse(ca.validTo) + 1000);
	await assert.rejects(issue(authority, purpose), /the CA has expired on/);
});

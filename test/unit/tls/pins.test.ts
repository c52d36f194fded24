/** Pins of public keys. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { UsageError } from '../../../src/shared/errors.ts';
import { parsePin, pinOf } from '../../../src/tls/pins.ts';
import { makeCertificates } from '../../helpers/certificates.ts';

test('the pin of a certificate is the hash of its public key', () => {
	const { cert, key, clientKey } = makeCertificates();
	const ofKey = (pem: string) => {
		const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
		return `sha256/${createHash('sha256').update(der).digest('base64')}`;
	};
	assert.equal(pinOf(cert), ofKey(key));
	assert.notEqual(pinOf(cert), ofKey(clientKey));
	assert.equal(parsePin(pinOf(cert)), pinOf(cert));
});

test('what is no pin is refused', () => {
	const hash = Buffer.alloc(32, 7).toString('base64');
	const url = Buffer.alloc(32, 255).toString('base64url');
	const long = `sha256/${Buffer.alloc(33).toString('base64')}`;
	for (const text of ['', hash, `sha1/${hash}`, `sha256/${hash.slice(0, -1)}`, `sha256/${url}`, long, 'sha256/']) {
		assert.throws(() => parsePin(text), UsageError, text);
	}
});

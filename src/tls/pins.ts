/** Pins of public keys: the SHA-256 of a certificate's SubjectPublicKeyInfo, as RFC 7469 section 2.4 has it. */
import { createHash, X509Certificate } from 'node:crypto';
import { UsageError } from '../shared/errors.ts';

const PREFIX = 'sha256/';

/** `sha256/` and 44 characters of base64. */
export function pinOf(certificate: X509Certificate | string): string {
	const { publicKey } = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate;
	const spki = publicKey.export({ type: 'spki', format: 'der' });
	return PREFIX + createHash('sha256').update(spki).digest('base64');
}

/** @returns the pin as `pinOf` writes it @throws UsageError */
export function parsePin(text: string): string {
	const bytes = text.startsWith(PREFIX) ? Buffer.from(text.slice(PREFIX.length), 'base64') : Buffer.alloc(0);
	const pin = PREFIX + bytes.toString('base64');
	if (bytes.length === 32 && pin === text) return pin;
	const shown = JSON.stringify(text.slice(0, 100));
	throw new UsageError(`${shown} is not a pin: write sha256/ and the 44 characters of base64 of the key's SHA-256`);
}

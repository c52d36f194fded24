/**
 * Certificates for development and for closed installations: a CA and what it signs (RFC 5280), ECDSA with P-256. Makes PEM texts;
 * where they are kept is the caller's business. The only owner of @peculiar/x509, which it loads when the first one is made.
 */
import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { messageOf, UsageError } from '../shared/errors.ts';

type X509 = typeof import('@peculiar/x509');

/** PEM texts. */
export interface KeyPair {
	readonly cert: string;
	/** PKCS #8, without a passphrase. */
	readonly key: string;
}

export type LeafPurpose =
	/** Names and addresses that the server's certificate is for. */
	| { readonly kind: 'server'; readonly hosts: readonly string[] }
	/** The name that the client has, as its common name and as its dNSName. */
	| { readonly kind: 'client'; readonly name: string };

const DAY = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Longer ones are refused by some clients. */
const LEAF_DAYS = 397;
/** Clocks of other machines may be behind. */
const BACKDATED = 3_600_000;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A CA that may sign certificates, none of them another CA. */
export async function makeAuthority(): Promise<KeyPair> {
	const x509 = await load();
	const keys = await newKeys();
	const name = commonName(`Slime development CA ${randomBytes(4).toString('hex')}`);
	const start = Date.now() - BACKDATED;
	const certificate = await x509.X509CertificateGenerator.createSelfSigned({
		serialNumber: serialNumber(),
		name,
		notBefore: new Date(start),
		notAfter: new Date(start + AUTHORITY_DAYS * DAY),
		keys,
		signingAlgorithm: SIGNATURE,
		extensions: [
			new x509.BasicConstraintsExtension(true, 0, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
			await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
		],
	});
	return { cert: pem(certificate), key: exportKey(keys.privateKey) };
}

/**
 * A new key and its certificate, which ends with the CA's if that is sooner.
 * @throws UsageError when the CA is over, is none, or is not that of the key
 */
export async function issue(authority: KeyPair, purpose: LeafPurpose): Promise<KeyPair> {
	const end = checkAuthority(authority);
	const x509 = await load();
	const issuer = new x509.X509Certificate(authority.cert);
	const keys = await newKeys();
	const start = Date.now() - BACKDATED;
	const server = purpose.kind === 'server';
	const names = server ? purpose.hosts : [purpose.name];
	const usage = server ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
	const certificate = await x509.X509CertificateGenerator.create({
		serialNumber: serialNumber(),
		// RFC 5280 appendix A.1: at most 64 characters.
		subject: commonName((names[0] ?? '').slice(0, 64)),
		issuer: issuer.subjectName,
		notBefore: new Date(start),
		notAfter: new Date(Math.min(start + LEAF_DAYS * DAY, end)),
		publicKey: keys.publicKey,
		signingKey: await importKey(authority.key),
		signingAlgorithm: SIGNATURE,
		extensions: [
			new x509.BasicConstraintsExtension(false, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
			new x509.ExtendedKeyUsageExtension([usage]),
			new x509.SubjectAlternativeNameExtension(
				names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
			),
			await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
			await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
		],
	});
	return { cert: pem(certificate), key: exportKey(keys.privateKey) };
}

/** @returns when it ends, in milliseconds since 1970 */
function checkAuthority({ cert, key }: KeyPair): number {
	const certificate = readable('the certificate of the CA', () => new X509Certificate(cert));
	const privateKey = readable('the key of the CA', () => createPrivateKey(key));
	if (!certificate.ca) throw new UsageError('the certificate is not that of a CA');
	if (!certificate.checkPrivateKey(privateKey)) throw new UsageError('the key is not that of the CA');
	const end = Date.parse(certificate.validTo);
	if (end < Date.now()) throw new UsageError(`the CA has expired on ${certificate.validTo}`);
	return end;
}

function readable<T>(what: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		throw new UsageError(`${what} cannot be read: ${messageOf(error)}`, { cause: error });
	}
}

let loaded: Promise<X509> | undefined;

function load(): Promise<X509> {
	loaded ??= (async () => {
		// The library asks for this polyfill to be there before it.
		await import('reflect-metadata');
		const x509 = await import('@peculiar/x509');
		x509.cryptoProvider.set(webcrypto);
		return x509;
	})();
	return loaded;
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
	return webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
	const key = createPrivateKey(text);
	if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new UsageError("the CA's key is not one of P-256");
	return webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), ECDSA, false, ['sign']);
}

function exportKey(key: webcrypto.CryptoKey): string {
	return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

function pem(certificate: { toString(format: 'pem'): string }): string {
	return `${certificate.toString('pem')}\n`;
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 bytes. */
function serialNumber(): string {
	const bytes = randomBytes(16);
	bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
	return bytes.toString('hex');
}

function commonName(name: string): { CN: string[] }[] {
	return [{ CN: [name] }];
}

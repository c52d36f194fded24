/** Throw-away certificates for tests: a CA, a server and a client, written in DER by hand so that tests need nothing but Node. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';

export interface Certificates {
	readonly ca: string;
	readonly cert: string;
	readonly key: string;
	readonly clientCert: string;
	readonly clientKey: string;
}

export interface CertificateOptions {
	/** Names and addresses that the server's certificate is for. */
	readonly hosts?: readonly string[];
	/** The client's common name. */
	readonly clientName?: string;
	/** Names that the client's certificate is for: DNS names, and URIs with their scheme. */
	readonly clientNames?: readonly string[];
	/** Negative for certificates that are no longer valid. */
	readonly validDays?: number;
}

/** PEM texts. Each call makes a CA of its own, with the same name and other keys. */
export function makeCertificates(options: CertificateOptions = {}): Certificates {
	const { hosts = ['localhost', '127.0.0.1', '::1'], validDays = 2, clientName = 'Slime test client' } = options;
	const authority = { name: 'Slime test CA', keys: newKeys() };
	const issue = (name: string, keys: Keys, ...extensions: Buffer[]) =>
		certificate({ name, keys, authority, validDays, extensions });
	const server = newKeys();
	const client = newKeys();
	return {
		ca: issue(authority.name, authority.keys, isAuthority),
		cert: issue('Slime test server', server, alternativeNames(hosts)),
		key: server.pem,
		clientCert: issue(clientName, client, ...(options.clientNames ? [alternativeNames(options.clientNames)] : [])),
		clientKey: client.pem,
	};
}

/** Writes them as PEM files and returns the files' paths. */
export async function writeCertificates(dir: string, certificates = makeCertificates()): Promise<Certificates> {
	await mkdir(dir, { recursive: true });
	const write = async (name: string, text: string) => {
		const file = join(dir, name);
		await writeFile(file, text, { mode: 0o600 });
		return file;
	};
	return {
		ca: await write('ca.pem', certificates.ca),
		cert: await write('cert.pem', certificates.cert),
		key: await write('key.pem', certificates.key),
		clientCert: await write('client-cert.pem', certificates.clientCert),
		clientKey: await write('client-key.pem', certificates.clientKey),
	};
}

interface Keys {
	readonly publicKey: KeyObject;
	readonly privateKey: KeyObject;
	readonly pem: string;
}

function newKeys(): Keys {
	const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	return { publicKey, privateKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

interface Subject {
	readonly name: string;
	readonly keys: Keys;
	readonly authority: { readonly name: string; readonly keys: Keys };
	readonly validDays: number;
	readonly extensions: readonly Buffer[];
}

/** RFC 5280 section 4.1. */
function certificate({ name, keys, authority, validDays, extensions }: Subject): string {
	const day = 86_400_000;
	const start = Date.now() - (validDays < 0 ? 1 - validDays : 1) * day;
	const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
	const body = sequence(
		der(0xa0, der(0x02, Buffer.from([2]))),
		der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
		ecdsaWithSha256,
		commonName(authority.name),
		sequence(utcTime(start), utcTime(Date.now() + validDays * day)),
		commonName(name),
		spki(keys),
		der(0xa3, sequence(...extensions, keyId(keys), authorityKeyId(authority.keys))),
	);
	const signature = der(0x03, Buffer.from([0]), sign('sha256', body, authority.keys.privateKey));
	const base64 = sequence(body, ecdsaWithSha256, signature).toString('base64');
	return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

const isAuthority = extension('551d13', true, sequence(der(0x01, Buffer.from([0xff]))));
const spki = (keys: Keys) => keys.publicKey.export({ type: 'spki', format: 'der' });
const keyHash = (keys: Keys) => createHash('sha1').update(spki(keys)).digest();
const keyId = (keys: Keys) => extension('551d0e', false, der(0x04, keyHash(keys)));
const authorityKeyId = (keys: Keys) => extension('551d23', false, sequence(der(0x80, keyHash(keys))));

function alternativeNames(hosts: readonly string[]): Buffer {
	return extension('551d11', false, sequence(...hosts.map(generalName)));
}

/** RFC 5280 section 4.2.1.6: iPAddress, uniformResourceIdentifier or dNSName. */
function generalName(name: string): Buffer {
	if (isIP(name)) return der(0x87, addressBytes(name));
	return der(name.includes('://') ? 0x86 : 0x82, Buffer.from(name));
}

function addressBytes(address: string): Buffer {
	if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
	const [head = '', tail] = address.split('::');
	const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => group.padStart(4, '0')));
	const before = groups(head);
	const after = groups(tail ?? '');
	const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0000');
	return Buffer.from([...before, ...zeros, ...after].join(''), 'hex');
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
	const flag = critical ? [der(0x01, Buffer.from([0xff]))] : [];
	return sequence(oid(id), ...flag, der(0x04, value));
}

function der(tag: number, ...parts: Buffer[]): Buffer {
	const content = Buffer.concat(parts);
	const { length } = content;
	const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
	return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
	return der(0x30, ...parts);
}

function oid(hex: string): Buffer {
	return der(0x06, Buffer.from(hex, 'hex'));
}

function commonName(name: string): Buffer {
	return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

function utcTime(at: number): Buffer {
	const digits = new Date(at).toISOString().replace(/[-:T]/g, '').slice(2, 14);
	return der(0x17, Buffer.from(`${digits}Z`));
}

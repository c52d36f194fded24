/** PEM files into what node:tls takes, for servers and for clients. Knows nothing of hubs and agents, and watches no files. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext, type SecureVersion } from 'node:tls';
import { messageOf, UsageError } from '../shared/errors.ts';

/** Paths of PEM files. */
export interface ServerTlsFiles {
	/** The server's certificate, then those between it and its CA. */
	readonly cert: string;
	readonly key: string;
	/** Clients are asked for a certificate, and one that this CA signed is authorized. */
	readonly clientCa?: string | undefined;
	/** With `clientCa`: connections of clients without such a certificate fail. */
	readonly requireClient?: boolean | undefined;
}

const MIN_VERSION = 'TLSv1.2' satisfies SecureVersion;

/** Options for tls.createServer and for setSecureContext. */
export interface ServerTls {
	readonly cert: string;
	readonly key: string;
	readonly ca?: string[];
	readonly requestCert: boolean;
	/** When false, who must have a certificate depends on what is asked for, and is judged by `peerCertificate`. */
	readonly rejectUnauthorized: boolean;
	readonly minVersion: SecureVersion;
}

/** Paths of PEM files. */
export interface ClientTlsFiles {
	/** Trusted beside the roots. */
	readonly ca?: string | undefined;
	readonly cert?: string | undefined;
	readonly key?: string | undefined;
}

export interface ClientTls {
	/** Everything that is trusted, one certificate each. */
	readonly ca: string[];
	readonly cert?: string;
	readonly key?: string;
}

/** @throws UsageError naming the file and what is wrong with it */
export function loadServerTls({ cert, key, clientCa, requireClient = false }: ServerTlsFiles): ServerTls {
	const pair = loadPair(cert, key);
	const ca = clientCa === undefined ? undefined : loadCertificates(clientCa);
	return {
		...pair,
		...(ca && { ca }),
		requestCert: ca !== undefined,
		rejectUnauthorized: ca !== undefined && requireClient,
		minVersion: MIN_VERSION,
	};
}

/**
 * What a client trusts: its own CA, Node's roots, the distribution's bundle and NODE_EXTRA_CA_CERTS.
 * @throws UsageError naming the file and what is wrong with it
 */
export function loadClientTls({ ca, cert, key }: ClientTlsFiles, env = process.env): ClientTls {
	if ((cert === undefined) !== (key === undefined)) {
		const [given, missing] = cert === undefined ? ['key', 'certificate'] : ['certificate', 'key'];
		throw new UsageError(`a client ${given} is given without its ${missing}`);
	}
	const own = ca === undefined ? [] : loadCertificates(ca);
	// A list of CAs replaces what Node would trust by itself, this variable with it.
	const extra = env.NODE_EXTRA_CA_CERTS ? bundle(env.NODE_EXTRA_CA_CERTS) : [];
	systemRoots ??= loadSystemRoots();
	const trusted = unique([...own, ...extra, ...systemRoots]);
	if (cert === undefined || key === undefined) return { ca: trusted };
	return { ca: trusted, ...loadPair(cert, key) };
}

/** Reading some 150 roots takes tens of milliseconds: make one and give it to every connection. */
export function clientSecureContext(client: ClientTls): SecureContext {
	return createSecureContext({ ...client, minVersion: MIN_VERSION });
}

/** Debian and Alpine, Fedora and RHEL, macOS and the BSDs. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

let systemRoots: string[] | undefined;

function loadSystemRoots(): string[] {
	return unique([...rootCertificates, ...BUNDLES.flatMap(bundle)]);
}

/** The certificates of a bundle that is the machine's rather than the user's choice: none where it cannot be read. */
function bundle(file: string): string[] {
	try {
		return certificatesIn(readFileSync(file, 'utf8'));
	} catch (error) {
		if (codeOf(error) in reasons) return [];
		throw error;
	}
}

function loadPair(certFile: string, keyFile: string): { cert: string; key: string } {
	const certificates = loadCertificates(certFile);
	const key = loadPem(keyFile);
	if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) throw new UsageError(`${keyFile}: holds no private key in PEM`);
	if (/ENCRYPTED/.test(key)) throw new UsageError(`${keyFile}: the key has a passphrase; store it without one`);
	const privateKey = attempt(keyFile, 'the private key cannot be read', () => createPrivateKey(key));
	const [leaf = ''] = certificates;
	if (!new X509Certificate(leaf).checkPrivateKey(privateKey)) {
		throw new UsageError(`${keyFile}: is not the key of the first certificate in ${certFile}`);
	}
	const pair = { cert: certificates.join('\n'), key };
	// OpenSSL refuses some that can be read, such as those with keys that are too short.
	attempt(certFile, 'the certificate cannot be used', () => createSecureContext(pair));
	return pair;
}

function loadCertificates(file: string): string[] {
	const certificates = certificatesIn(loadPem(file));
	if (certificates.length === 0) throw new UsageError(`${file}: holds no certificate in PEM`);
	for (const [index, pem] of certificates.entries()) {
		attempt(file, `certificate ${index + 1} cannot be read`, () => new X509Certificate(pem));
	}
	return certificates;
}

function loadPem(file: string): string {
	try {
		return readFileSync(file, 'utf8');
	} catch (error) {
		throw new UsageError(`${file}: ${reasons[codeOf(error)] ?? messageOf(error)}`, { cause: error });
	}
}

const reasons: Readonly<Record<string, string>> = {
	ENOENT: 'there is no such file',
	ENOTDIR: 'there is no such file',
	EACCES: 'may not be read by this user',
	EPERM: 'may not be read by this user',
	EISDIR: 'is a folder',
};

function codeOf(error: unknown): string {
	return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function attempt<T>(file: string, what: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		throw new UsageError(`${file}: ${what}: ${messageOf(error)}`, { cause: error });
	}
}

function certificatesIn(text: string): string[] {
	return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** Node's roots and a distribution's are mostly the same, with other line breaks. */
function unique(certificates: readonly string[]): string[] {
	return [...new Map(certificates.map((pem) => [pem.replace(/\s+/g, ''), pem])).values()];
}

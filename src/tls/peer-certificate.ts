/** What the certificate of a TLS peer proves. Judges no tokens. */
import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';

export interface PeerCertificate {
	/** A CA that we know for clients signed it, and it was valid when the connection was made. */
	readonly verified: boolean;
	/** Whom it is for, see `identitiesOf`; empty when it says so in no way that can be trusted. */
	readonly identities: readonly string[];
}

/** The certificate that the other end of a server's connection showed; undefined without TLS and without one. */
export function peerCertificate(socket: unknown): PeerCertificate | undefined {
	if (!(socket instanceof TLSSocket)) return undefined;
	const certificate = socket.getPeerX509Certificate();
	// `authorized` alone proves nothing: Node also says true of a TLS 1.3 session that was resumed and never had a certificate.
	if (certificate === undefined) return undefined;
	return { verified: socket.authorized, identities: identitiesOf(certificate) };
}

/** The names (dNSName) and URIs of its subjectAltName (RFC 5280 section 4.2.1.6), or without any of them its one common name. */
export function identitiesOf(certificate: X509Certificate): readonly string[] {
	const names = alternativeNames(certificate.subjectAltName ?? '');
	if (names === undefined) return [];
	if (names.length > 0) return names;
	const commonName: unknown = certificate.toLegacyObject().subject?.CN;
	// Several common names are a list, of which no one can say which one counts.
	return typeof commonName === 'string' && commonName !== '' ? [commonName] : [];
}

/** One entry as Node writes it: quoted, as JSON is, if it holds what could be taken for another entry. */
const ENTRY = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** @returns undefined for a text that cannot be read with certainty */
function alternativeNames(text: string): string[] | undefined {
	const names: string[] = [];
	ENTRY.lastIndex = 0;
	while (ENTRY.lastIndex < text.length) {
		const [, kind, value = ''] = ENTRY.exec(text) ?? [];
		if (kind === undefined) return undefined;
		if (kind !== 'DNS' && kind !== 'URI') continue;
		names.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
	}
	return names;
}

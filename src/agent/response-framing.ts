/** What makes the length of an upstream's response doubtful: parsers differ about it, so it goes no further (RFC 9112 section 6). Pure. */

const LENGTH = /^[0-9]{1,15}$/;

/**
 * @param raw name, value, name, value … as they came, in any case
 * @returns what the upstream did, to come after "The upstream"; null if its response has one length
 */
export function framingFault(status: number, raw: readonly string[]): string | null {
	let length: string | undefined;
	let coding: string | undefined;
	for (let i = 0; i < raw.length; i += 2) {
		const name = raw[i] as string;
		// Most names are of other lengths.
		if (name.length === 14 && name.toLowerCase() === 'content-length') {
			if (length !== undefined) return 'sent more than one Content-Length';
			length = raw[i + 1] as string;
			if (!LENGTH.test(length)) return 'sent a Content-Length that is no number';
		} else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
			if (coding !== undefined) return 'sent more than one Transfer-Encoding';
			coding = raw[i + 1] as string;
			if (coding.toLowerCase() !== 'chunked') return 'sent a Transfer-Encoding other than chunked';
		}
	}
	if (length !== undefined && coding !== undefined) return 'sent both Content-Length and Transfer-Encoding';
	// RFC 9110 section 8.6, RFC 9112 section 6.1. A length of zero leaves nobody in doubt.
	if (status === 204 && (coding !== undefined || (length !== undefined && Number(length) > 0)))
		return 'announced a body in a 204 response';
	return null;
}

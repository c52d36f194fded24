/** Whether an application may come in. Knows one password and two header values; nothing of requests. */
import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * `open`: no password is set. `header`: Slime-App-Password was right. `bearer`: Authorization was right, and being the
 * hub's own it must not travel on.
 */
export type AppVerdict = 'open' | 'header' | 'bearer' | 'refused';

const BEARER = /^bearer +/i;

export class AppAuth {
	readonly #expected: Buffer | undefined;

	/** @param appPassword none lets everyone in */
	constructor(appPassword: string | undefined) {
		this.#expected = appPassword === undefined ? undefined : digest(Buffer.from(appPassword, 'utf8'));
	}

	/**
	 * Both values as the HTTP parser gave them; either will do. When both are right the answer is `bearer`: the
	 * password would otherwise go on to the upstream.
	 */
	check(slimeAppPassword: string | undefined, authorization: string | undefined): AppVerdict {
		const expected = this.#expected;
		if (expected === undefined) return 'open';
		if (authorization !== undefined && BEARER.test(authorization)) {
			if (matches(expected, authorization.replace(BEARER, ''))) return 'bearer';
		}
		return slimeAppPassword !== undefined && matches(expected, slimeAppPassword) ? 'header' : 'refused';
	}
}

/** Digests make both sides equally long, so the time it takes says nothing of the password, not even its length. */
function matches(expected: Buffer, given: string): boolean {
	return timingSafeEqual(expected, digest(fieldBytes(given)));
}

/** HTTP parsers hand over a field's bytes as Latin-1; text beyond it was decoded by someone and is encoded again. */
function fieldBytes(value: string): Buffer {
	const bytes = Buffer.from(value, 'latin1');
	return bytes.toString('latin1') === value ? bytes : Buffer.from(value, 'utf8');
}

function digest(bytes: Buffer): Buffer {
	return createHash('sha256').update(bytes).digest();
}

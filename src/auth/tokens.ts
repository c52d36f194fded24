/** Agents' tokens: made and verified. Knows secrets, never files or connections; whether a token was revoked is another's question. */
import { createHash, randomBytes, scrypt } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { ClaimValidationError, InspectFooter, InvalidTokenError, LocalProtocol } from 'paseto';
import { DecryptFactory, EncryptFactory, ImportKeyFactory, type LocalKey } from 'paseto/v3/local';
import { SlimeError, UsageError } from '../shared/errors.ts';

export interface TokenClaims {
	/** Unique, random: what a revocation can name. */
	readonly tokenId: string;
	readonly name: string;
	/** Requests that name a scope come only to tokens that list it. */
	readonly scopes: readonly string[];
	/** Paths it serves, `/x/*` being a prefix; none lets it serve every path. */
	readonly scopePaths: readonly string[];
	readonly issuedAt: Date;
	readonly expiresAt?: Date;
}

export interface TokenRequest {
	readonly name: string;
	/** Milliseconds until it expires; none is never. */
	readonly ageMs?: number | undefined;
	readonly scopes?: readonly string[] | undefined;
	readonly scopePaths?: readonly string[] | undefined;
}

export interface Tokens {
	/** @throws UsageError when the name, a scope, a path or the age is not one */
	issue(request: TokenRequest): Promise<string>;
	/** @throws SlimeError `unauthorized`, whose sentence says why and never holds the token */
	verify(token: string): Promise<TokenClaims>;
}

export interface TokenSecrets {
	readonly secret: string;
	/** Verifies, never signs: for the time in which agents get tokens of a new secret. */
	readonly previousSecret?: string | undefined;
	/** The clock, for tests. */
	readonly now?: () => number;
}

const SALT = 'slime/v3.local/1';
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;
const CLOCK_TOLERANCE_S = 60;
const MAX_TOKEN_BYTES = 8 * 1024;
/** Reconnecting agents present the same tokens again and again; more than this many just cost a decryption each. */
const REMEMBERED = 10_000;
/** PASETO's times are RFC 3339, whose years have four digits. */
const LATEST = Date.UTC(9999, 11, 31);

const NAME = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,128}$/u;
const SCOPE = /^[A-Za-z0-9._:-]{1,64}$/;
const SCOPE_PATH = /^\/[^*?#\s\p{Cc}]{0,1023}$/u;

const paseto = new LocalProtocol(ImportKeyFactory, EncryptFactory, DecryptFactory);

interface TokenKey {
	readonly key: LocalKey;
	readonly kid: string;
	readonly footer: Uint8Array;
}

/** Derives the keys, once: about a tenth of a second and 32 MiB each, off the main thread. */
export async function createTokens({ secret, previousSecret, now = Date.now }: TokenSecrets): Promise<Tokens> {
	const signing = await tokenKey(secret);
	const keys = new Map([[signing.kid, signing]]);
	if (previousSecret !== undefined) {
		const previous = await tokenKey(previousSecret);
		keys.set(previous.kid, previous);
	}
	const remembered = new LRUCache<string, TokenClaims>({ max: REMEMBERED });

	return {
		issue: (request) => issue(signing, request, now()),
		async verify(token) {
			if (token.length > MAX_TOKEN_BYTES) throw refused('The token is malformed: it is longer than any token.');
			// By digest, so that a memory dump of the hub holds no tokens.
			const id = createHash('sha256').update(token).digest('base64');
			const known = remembered.get(id);
			if (known) {
				if (!expired(known, now())) return known;
				remembered.delete(id);
				throw refused(EXPIRED);
			}
			const claims = await decrypt(keys, token, now());
			remembered.set(id, claims);
			return claims;
		},
	};
}

async function tokenKey(secret: string): Promise<TokenKey> {
	const material = await new Promise<Buffer>((resolve, reject) => {
		scrypt(secret, SALT, KEY_BYTES, SCRYPT, (error, key) => (error ? reject(error) : resolve(key)));
	});
	const kid = createHash('sha256').update(material).digest().subarray(0, 8).toString('hex');
	return {
		key: await paseto.ImportKey(`k3.local.${material.toString('base64url')}`),
		kid,
		footer: new TextEncoder().encode(JSON.stringify({ kid })),
	};
}

async function issue(signing: TokenKey, request: TokenRequest, now: number): Promise<string> {
	const { name, ageMs, scopes = [], scopePaths = [] } = checked(request, now);
	const claims = {
		sub: name,
		jti: randomBytes(12).toString('hex'),
		iat: new Date(now).toISOString(),
		...(ageMs === undefined ? {} : { exp: new Date(now + ageMs).toISOString() }),
		scopes,
		scopePaths,
	};
	// Without nonExpiring a token lasts an hour.
	const token = await paseto.Encrypt(signing.key, claims, {
		footer: signing.footer,
		nonExpiring: ageMs === undefined,
	});
	if (token.length > MAX_TOKEN_BYTES) throw new UsageError('that many scopes and scope paths do not fit into a token');
	return token;
}

function checked(request: TokenRequest, now: number): TokenRequest {
	const { name, ageMs, scopes = [], scopePaths = [] } = request;
	if (!NAME.test(name)) throw new UsageError('the name of a token is 1 to 128 printable characters');
	if (ageMs !== undefined && !(ageMs > 0 && now + ageMs < LATEST)) {
		throw new UsageError('the age of a token is more than 0 and ends before the year 9999; leave it out for no end');
	}
	for (const scope of scopes) {
		if (SCOPE.test(scope)) continue;
		throw new UsageError(`scope ${JSON.stringify(scope)} is not 1 to 64 of A-Z a-z 0-9 . _ : -`);
	}
	for (const path of scopePaths) {
		if (SCOPE_PATH.test(path.endsWith('/*') ? path.slice(0, -1) : path)) continue;
		const form = 'it begins with /, has no query, and a * only as a final /*';
		throw new UsageError(`scope path ${JSON.stringify(path)} is not a path: ${form}`);
	}
	return request;
}

const EXPIRED = 'The token has expired; make another with slime hub register.';
const FOREIGN = "The token was not made with this hub's secret.";
const MALFORMED = 'The token is malformed; copy it whole, as slime hub register printed it.';

async function decrypt(keys: ReadonlyMap<string, TokenKey>, token: string, now: number): Promise<TokenClaims> {
	try {
		const key = keys.get(keyId(token));
		if (!key) throw refused(FOREIGN);
		const { claims } = await paseto.Decrypt(key.key, token, {
			footer: key.footer,
			now: new Date(now),
			clockTolerance: CLOCK_TOLERANCE_S,
			allowNonExpiring: true,
		});
		return tokenClaims(claims);
	} catch (error) {
		if (error instanceof ClaimValidationError) throw refused(claimFault(error.claim), error);
		// Its key is this hub's, so what does not decrypt was cut or changed.
		if (error instanceof InvalidTokenError) throw refused(MALFORMED, error);
		throw error;
	}
}

function keyId(token: string): string {
	const footer = new TextDecoder().decode(InspectFooter(token));
	return /^\{"kid":"([0-9a-f]{16})"\}$/.exec(footer)?.[1] ?? '';
}

function claimFault(claim: string | undefined): string {
	if (claim === 'exp') return EXPIRED;
	if (claim === 'iat') return 'The token was issued in the future: the clock of this hub or of its maker is wrong.';
	return MALFORMED;
}

function tokenClaims(claims: Readonly<Record<string, unknown>>): TokenClaims {
	const { sub, jti, iat, exp, scopes, scopePaths } = claims;
	if (typeof sub !== 'string' || typeof jti !== 'string' || typeof iat !== 'string') throw refused(MALFORMED);
	if (!isTexts(scopes) || !isTexts(scopePaths)) throw refused(MALFORMED);
	return Object.freeze({
		tokenId: jti,
		name: sub,
		scopes: Object.freeze(scopes),
		scopePaths: Object.freeze(scopePaths),
		issuedAt: new Date(iat),
		...(typeof exp === 'string' ? { expiresAt: new Date(exp) } : {}),
	});
}

function isTexts(value: unknown): value is string[] {
	return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function expired({ expiresAt }: TokenClaims, now: number): boolean {
	return expiresAt !== undefined && now > lastMoment(expiresAt);
}

/** Until when a token is let in, in milliseconds as Date.now() tells them: whoever made it may have a clock that is fast. */
export function lastMoment(expiresAt: Date): number {
	return expiresAt.getTime() + CLOCK_TOLERANCE_S * 1000;
}

function refused(reason: string, cause?: unknown): SlimeError {
	return new SlimeError('unauthorized', reason, { cause });
}

/** Agents' tokens: what is in them, how long they last, what is refused; the format as others would make it. */
import assert from 'node:assert/strict';
import { createHash, scryptSync } from 'node:crypto';
import { test } from 'node:test';
import { InspectFooter, LocalProtocol } from 'paseto';
import { DecryptFactory, EncryptFactory, ImportKeyFactory } from 'paseto/v3/local';
import { createTokens, type TokenRequest } from '../../../src/auth/tokens.ts';
import { SlimeError, UsageError } from '../../../src/shared/errors.ts';

const SECRET = 'a secret that is long enough';
const HOUR = 3_600_000;

/** A clock that tests move. */
function clock(start = Date.UTC(2026, 0, 1)) {
	const now = { at: start };
	const pass = (milliseconds: number) => {
		now.at += milliseconds;
	};
	return { now: () => now.at, pass };
}

function refusal(pattern: RegExp) {
	return (error: unknown) => {
		assert.ok(error instanceof SlimeError);
		assert.equal(error.code, 'unauthorized');
		assert.match(error.message, pattern);
		assert.doesNotMatch(error.message, /v3\.local\./);
		return true;
	};
}

test('a token says who it is for and what it may serve', async () => {
	const tokens = await createTokens({ secret: SECRET });
	const request = {
		name: 'gpu box 7',
		scopes: ['team-a', 'b:c.d_e'],
		scopePaths: ['/v1/chat/completions', '/v1/images/*'],
	};
	const claims = await tokens.verify(await tokens.issue(request));
	assert.equal(claims.name, 'gpu box 7');
	assert.deepEqual(claims.scopes, request.scopes);
	assert.deepEqual(claims.scopePaths, request.scopePaths);
	assert.equal(claims.expiresAt, undefined);
	assert.ok(Math.abs(claims.issuedAt.getTime() - Date.now()) < 60_000);
});

test('two tokens of one name have ids of their own', async () => {
	const tokens = await createTokens({ secret: SECRET });
	const [first, second] = await Promise.all([tokens.issue({ name: 'same' }), tokens.issue({ name: 'same' })]);
	const ids = await Promise.all([tokens.verify(first), tokens.verify(second)]);
	assert.notEqual(ids[0].tokenId, ids[1].tokenId);
	assert.match(ids[0].tokenId, /^[0-9a-f]{24}$/);
});

test('a token without an age is good after years', async () => {
	const { now, pass } = clock();
	const tokens = await createTokens({ secret: SECRET, now });
	const token = await tokens.issue({ name: 'a' });
	pass(20 * 365 * 24 * HOUR);
	assert.equal((await tokens.verify(token)).expiresAt, undefined);
});

test('a token with an age ends a minute after it, known to the hub or not', async () => {
	const { now, pass } = clock();
	const tokens = await createTokens({ secret: SECRET, now });
	const known = await tokens.issue({ name: 'known', ageMs: 2 * HOUR });
	const unseen = await tokens.issue({ name: 'unseen', ageMs: 2 * HOUR });
	pass(2 * HOUR + 59_000);
	assert.equal((await tokens.verify(known)).expiresAt?.toISOString(), '2026-01-01T02:00:00.000Z');
	pass(2_000);
	await assert.rejects(tokens.verify(known), refusal(/has expired/));
	await assert.rejects(tokens.verify(unseen), refusal(/has expired/));
});

test('a token of more than an hour is not cut to one', async () => {
	const { now, pass } = clock();
	const tokens = await createTokens({ secret: SECRET, now });
	const token = await tokens.issue({ name: 'a', ageMs: 30 * 24 * HOUR });
	pass(29 * 24 * HOUR);
	assert.equal((await tokens.verify(token)).name, 'a');
});

test('a maker whose clock is a minute ahead is believed, one further ahead is not', async () => {
	const { now, pass } = clock();
	const tokens = await createTokens({ secret: SECRET, now });
	pass(59_000);
	const near = await tokens.issue({ name: 'a' });
	pass(60_000);
	const far = await tokens.issue({ name: 'a' });
	pass(-119_000);
	assert.equal((await tokens.verify(near)).name, 'a');
	await assert.rejects(tokens.verify(far), refusal(/issued in the future/));
});

test('a token of another secret is refused as such', async () => {
	const [ours, theirs] = await Promise.all([
		createTokens({ secret: SECRET }),
		createTokens({ secret: 'another secret, also long' }),
	]);
	const token = await theirs.issue({ name: 'a' });
	await assert.rejects(ours.verify(token), refusal(/was not made with this hub's secret/));
});

test('the previous secret verifies and never signs', async () => {
	const [before, after, alone] = await Promise.all([
		createTokens({ secret: 'the old secret' }),
		createTokens({ secret: SECRET, previousSecret: 'the old secret' }),
		createTokens({ secret: SECRET }),
	]);
	assert.equal((await after.verify(await before.issue({ name: 'old' }))).name, 'old');
	assert.equal((await alone.verify(await after.issue({ name: 'new' }))).name, 'new');
});

test('what was cut, changed or never a token is refused as malformed or foreign', async () => {
	const tokens = await createTokens({ secret: SECRET });
	const token = await tokens.issue({ name: 'a' });
	const [, , payload = '', footer = ''] = token.split('.');
	const flipped = `${payload.slice(0, 40)}${payload[40] === 'A' ? 'B' : 'A'}${payload.slice(41)}`;
	const wrong = [
		'',
		'x',
		'Bearer',
		token.slice(0, -1),
		token.slice(1),
		`${token} `,
		`v3.local.${flipped}.${footer}`,
		`v3.local.${payload}`,
		`v4.local.${payload}.${footer}`,
		`v3.public.${payload}.${footer}`,
		`v3.local.AAAA.${footer}`,
		`v3.local..${footer}`,
		`${token}.${footer}`,
		`v3.local.${payload}.${Buffer.from('{"kid":"__proto__"}').toString('base64url')}`,
	];
	for (const text of wrong) await assert.rejects(tokens.verify(text), refusal(/malformed|was not made with/), text);
});

test('a text longer than any token is refused before anything is decoded', async () => {
	const tokens = await createTokens({ secret: SECRET });
	const token = await tokens.issue({ name: 'a' });
	await assert.rejects(tokens.verify(`${token}${'A'.repeat(8192)}`), refusal(/longer than any token/));
});

test('the format is PASETO v3.local under the documented key, as another program would make it', async () => {
	const key = scryptSync(SECRET, 'slime/v3.local/1', 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 });
	const paseto = new LocalProtocol(ImportKeyFactory, EncryptFactory, DecryptFactory);
	const imported = await paseto.ImportKey(`k3.local.${key.toString('base64url')}`);
	const tokens = await createTokens({ secret: SECRET });

	const ours = await tokens.issue({ name: 'ours', scopes: ['s'] });
	const kid = createHash('sha256').update(key).digest('hex').slice(0, 16);
	assert.deepEqual(JSON.parse(new TextDecoder().decode(InspectFooter(ours))), { kid });
	const { claims } = await paseto.Decrypt(imported, ours, { allowNonExpiring: true });
	assert.deepEqual(Object.keys(claims).sort(), ['iat', 'jti', 'scopePaths', 'scopes', 'sub']);

	const footer = new TextEncoder().encode(`{"kid":"${kid}"}`);
	const theirs = { sub: 'theirs', jti: 'id-1', scopes: [], scopePaths: ['/v1/*'] };
	const verified = await tokens.verify(await paseto.Encrypt(imported, theirs, { footer, expiresIn: 60 }));
	assert.equal(verified.name, 'theirs');
	assert.equal(verified.tokenId, 'id-1');
	assert.ok(verified.expiresAt);
	const incomplete = await paseto.Encrypt(imported, { sub: 'x', jti: 'y', scopes: [1], scopePaths: [] }, { footer });
	await assert.rejects(tokens.verify(incomplete), refusal(/malformed/));
});

test('names, scopes, paths and ages that are none are refused when a token is made', async () => {
	const { now } = clock();
	const tokens = await createTokens({ secret: SECRET, now });
	const wrong: [TokenRequest, RegExp][] = [
		[{ name: '' }, /the name of a token/],
		[{ name: 'x'.repeat(129) }, /the name of a token/],
		[{ name: 'a\nb' }, /the name of a token/],
		[{ name: 'a', scopes: ['a b'] }, /scope "a b" is not/],
		[{ name: 'a', scopes: [''] }, /scope "" is not/],
		[{ name: 'a', scopes: ['x'.repeat(65)] }, /is not 1 to 64/],
		[{ name: 'a', scopePaths: ['v1'] }, /scope path "v1"/],
		[{ name: 'a', scopePaths: ['/v1*'] }, /scope path/],
		[{ name: 'a', scopePaths: ['/*/x'] }, /scope path/],
		[{ name: 'a', scopePaths: ['/x?y'] }, /scope path/],
		[{ name: 'a', ageMs: 0 }, /the age/],
		[{ name: 'a', ageMs: -1 }, /the age/],
		[{ name: 'a', ageMs: Number.NaN }, /the age/],
		[{ name: 'a', ageMs: 9_000 * 365 * 24 * HOUR }, /the age/],
		[{ name: 'a', scopes: Array.from({ length: 200 }, (_, i) => `${'s'.repeat(50)}${i}`) }, /do not fit/],
	];
	for (const [request, message] of wrong) {
		await assert.rejects(tokens.issue(request), { name: UsageError.name, message }, JSON.stringify(request));
	}
	for (const scopePaths of [['/'], ['/*'], ['/a/b/*'], ['/a%20b']]) {
		assert.deepEqual((await tokens.verify(await tokens.issue({ name: 'ä 1', scopePaths }))).scopePaths, scopePaths);
	}
});

test('what was verified is remembered, and cannot be changed by who gets it', async () => {
	const tokens = await createTokens({ secret: SECRET });
	const token = await tokens.issue({ name: 'a', scopes: ['s'] });
	const first = await tokens.verify(token);
	assert.equal(await tokens.verify(token), first);
	assert.throws(() => (first.scopes as string[]).push('more'), TypeError);
});

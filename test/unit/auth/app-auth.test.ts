/** Which header values let an application in, and by which key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppAuth } from '../../../src/auth/app-auth.ts';
import { UsageError } from '../../../src/shared/errors.ts';

/** With keys of these names, which are `key-` and the name. */
function withKeys(...names: string[]): AppAuth {
	return new AppAuth({ appPassword: 'sesame', keys: names.map((name) => ({ name, key: `key-${name}` })) });
}

/** `bearer b`: who came in how. */
function told(auth: AppAuth, header: string | undefined, authorization: string | undefined): string {
	const { by, key } = auth.check(header, authorization);
	return key === null ? by : `${by} ${key.name}`;
}

test('without a password everybody may come in, whatever they send', () => {
	const auth = new AppAuth({});
	assert.equal(told(auth, undefined, undefined), 'open');
	assert.equal(told(auth, 'anything', 'Bearer anything'), 'open');
});

test('Slime-App-Password lets in, and an Authorization of others is left alone', () => {
	const auth = new AppAuth({ appPassword: 'open sesame' });
	assert.equal(told(auth, 'open sesame', undefined), 'header');
	assert.equal(told(auth, 'open sesame', 'Bearer key-of-the-upstream'), 'header');
	assert.equal(told(auth, 'open sesame', 'Basic b3BlbiBzZXNhbWU='), 'header');
});

test('an Authorization equal to the password lets in, and is reported to be taken off', () => {
	const auth = new AppAuth({ appPassword: 'sesame' });
	assert.equal(told(auth, undefined, 'Bearer sesame'), 'bearer');
	assert.equal(told(auth, undefined, 'bearer sesame'), 'bearer');
	assert.equal(told(auth, undefined, 'BEARER  sesame'), 'bearer');
	assert.equal(told(auth, 'wrong', 'Bearer sesame'), 'bearer');
});

test('when both are right the Authorization is still taken off', () => {
	assert.equal(told(withKeys(), 'sesame', 'Bearer sesame'), 'bearer');
});

test('anything else is refused', () => {
	const auth = new AppAuth({ appPassword: 'sesame' });
	const wrong: [string | undefined, string | undefined][] = [
		[undefined, undefined],
		['', ''],
		['Sesame', undefined],
		['sesame ', undefined],
		['sesam', undefined],
		[undefined, 'sesame'],
		[undefined, 'Bearersesame'],
		[undefined, 'Bearer'],
		[undefined, 'Bearer '],
		[undefined, 'Basic sesame'],
		[undefined, 'Bearer sesame, Bearer sesame'],
	];
	for (const [header, authorization] of wrong) {
		assert.equal(told(auth, header, authorization), 'refused', `${header} ${authorization}`);
	}
});

test('a password beyond ASCII matches as the bytes that a parser reads', () => {
	const auth = new AppAuth({ appPassword: 'päßwörd-日本' });
	const onTheWire = Buffer.from('päßwörd-日本', 'utf8').toString('latin1');
	assert.equal(told(auth, onTheWire, undefined), 'header');
	assert.equal(told(auth, undefined, `Bearer ${onTheWire}`), 'bearer');
	assert.equal(told(auth, 'päßwörd-日本', undefined), 'header');
	assert.equal(told(auth, 'päßwörd', undefined), 'refused');
});

test('a key lets in by either header, and the app password beside it', () => {
	const auth = withKeys('a', 'b');
	assert.equal(told(auth, 'key-b', undefined), 'header b');
	assert.equal(told(auth, undefined, 'Bearer key-a'), 'bearer a');
	assert.equal(told(auth, undefined, 'Bearer sesame'), 'bearer');
	assert.equal(told(auth, 'key-c', 'Bearer key'), 'refused');
	assert.equal(told(auth, 'a', undefined), 'refused');
	assert.equal(auth.open, false);
});

test('of two that are right Slime-App-Password says who it is, and the Authorization is taken off', () => {
	const auth = withKeys('a', 'b');
	assert.equal(told(auth, 'key-a', 'Bearer key-b'), 'bearer a');
	assert.equal(told(auth, 'sesame', 'Bearer key-b'), 'bearer');
	assert.equal(told(auth, 'wrong', 'Bearer key-b'), 'bearer b');
	assert.equal(told(auth, 'key-a', 'Bearer of-the-upstream'), 'header a');
});

test('keys alone keep everybody else out', () => {
	const auth = new AppAuth({ keys: [{ name: 'a', key: 'key-a' }] });
	assert.equal(told(auth, undefined, undefined), 'refused');
	assert.equal(told(auth, 'key-a', undefined), 'header a');
});

test('keys that are replaced count at once, and those that stay keep what they have in progress', () => {
	const a = { name: 'a', key: 'old', concurrent: 1 };
	const auth = new AppAuth({ keys: [a, { name: 'b', key: 'key-b' }] });
	const { key } = auth.check('old', undefined);
	key?.enter(0);
	auth.replace({
		keys: [
			{ name: 'c', key: 'key-c' },
			{ ...a, key: 'new', concurrent: 2 },
		],
	});
	assert.equal(told(auth, 'old', undefined), 'refused');
	assert.equal(told(auth, 'key-b', undefined), 'refused');
	assert.equal(told(auth, 'key-c', undefined), 'header c');
	const again = auth.check('new', undefined).key;
	again?.enter(0);
	assert.throws(() => again?.enter(0), { code: 'key_busy' });
	key?.leave();
	again?.enter(0);
});

test('keys that are not distinct are refused, nothing is changed, and no key is in the message', () => {
	const auth = withKeys('a');
	const wrong: [string, string][][] = [
		[
			['x', 'one'],
			['x', 'two'],
		],
		[
			['x', 'the-same'],
			['y', 'the-same'],
		],
		[['x', 'sesame']],
	];
	for (const pairs of wrong) {
		const keys = pairs.map(([name, key]) => ({ name, key }));
		assert.throws(
			() => auth.replace({ appPassword: 'sesame', keys }),
			(error) => error instanceof UsageError && !/one|two|the-same|sesame/.test(error.message),
		);
	}
	assert.equal(told(auth, 'key-a', undefined), 'header a');
});

/** Which header values let an application in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppAuth } from '../../../src/auth/app-auth.ts';

test('without a password everybody may come in, whatever they send', () => {
	const auth = new AppAuth(undefined);
	assert.equal(auth.check(undefined, undefined), 'open');
	assert.equal(auth.check('anything', 'Bearer anything'), 'open');
});

test('Slime-App-Password lets in, and an Authorization of others is left alone', () => {
	const auth = new AppAuth('open sesame');
	assert.equal(auth.check('open sesame', undefined), 'header');
	assert.equal(auth.check('open sesame', 'Bearer key-of-the-upstream'), 'header');
	assert.equal(auth.check('open sesame', 'Basic b3BlbiBzZXNhbWU='), 'header');
});

test('an Authorization equal to the password lets in, and is reported to be taken off', () => {
	const auth = new AppAuth('sesame');
	assert.equal(auth.check(undefined, 'Bearer sesame'), 'bearer');
	assert.equal(auth.check(undefined, 'bearer sesame'), 'bearer');
	assert.equal(auth.check(undefined, 'BEARER  sesame'), 'bearer');
	assert.equal(auth.check('wrong', 'Bearer sesame'), 'bearer');
});

test('when both are right the Authorization is still taken off', () => {
	assert.equal(new AppAuth('sesame').check('sesame', 'Bearer sesame'), 'bearer');
});

test('anything else is refused', () => {
	const auth = new AppAuth('sesame');
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
		assert.equal(auth.check(header, authorization), 'refused', `${header} ${authorization}`);
	}
});

test('a password beyond ASCII matches as the bytes that a parser reads', () => {
	const auth = new AppAuth('päßwörd-日本');
	const onTheWire = Buffer.from('päßwörd-日本', 'utf8').toString('latin1');
	assert.equal(auth.check(onTheWire, undefined), 'header');
	assert.equal(auth.check(undefined, `Bearer ${onTheWire}`), 'bearer');
	assert.equal(auth.check('päßwörd-日本', undefined), 'header');
	assert.equal(auth.check('päßwörd', undefined), 'refused');
});

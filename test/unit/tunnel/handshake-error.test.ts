import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerError, connectError, tlsError } from '../../../src/tunnel/handshake-error.ts';

const failed = (code: string, message = 'details', more = {}) => Object.assign(new Error(message), { code, ...more });

test('a name that DNS does not know is told apart from a DNS that does not answer', () => {
	const unknown = connectError('hub http://hub', failed('ENOTFOUND'));
	assert.equal(unknown.message, 'hub http://hub has a name that DNS does not know (ENOTFOUND)');
	assert.equal(unknown.kind, 'unreachable');
	assert.match(connectError('hub http://hub', failed('EAI_AGAIN')).message, /DNS does not answer/);
});

test('a host with several addresses that all failed is explained by the code they share', () => {
	const all = Object.assign(new AggregateError([failed('ECONNREFUSED')]), { code: 'ECONNREFUSED' });
	assert.match(connectError('hub http://hub', all).message, /refused the connection/);
	assert.equal(connectError('hub http://hub', new AggregateError([])).message, 'hub http://hub: AggregateError');
});

test("OpenSSL's reason is told rather than its line of numbers", () => {
	const odd = failed('ERR_SSL_ODD', '40C7A2:error:0A00010B:SSL routines::odd', { reason: 'odd record' });
	assert.equal(tlsError('hub https://hub', odd).message, 'hub https://hub: odd record');
});

test('an alert that comes after the handshake is one of TLS all the same', () => {
	const alert = failed('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
	assert.equal(answerError('hub https://hub', alert).kind, 'refused');
	assert.match(answerError('hub https://hub', alert).message, /--tlsCert/);
});

test('what is not an error is told as it is', () => {
	assert.equal(connectError('hub http://hub', 'odd').message, 'hub http://hub: odd');
});

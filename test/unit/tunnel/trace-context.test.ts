/** Which trace a request belongs to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { traceIdOf } from '../../../src/tunnel/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

test('a traceparent names its trace, also one of a later version with more behind it', () => {
	assert.equal(traceIdOf(`00-${TRACE}-${PARENT}-01`), TRACE);
	assert.equal(traceIdOf(`00-${TRACE}-${PARENT}-00`), TRACE);
	assert.equal(traceIdOf(`cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`), TRACE);
});

test('what is no traceparent names none', () => {
	for (const wrong of [
		undefined,
		'',
		TRACE,
		`ff-${TRACE}-${PARENT}-01`,
		`00-${'0'.repeat(32)}-${PARENT}-01`,
		`00-${TRACE}-${'0'.repeat(16)}-01`,
		`00-${TRACE.toUpperCase()}-${PARENT}-01`,
		`00-${TRACE}-${PARENT}-01extra`,
		`00-${TRACE}-${PARENT}`,
		`x 00-${TRACE}-${PARENT}-01`,
	]) {
		assert.equal(traceIdOf(wrong), undefined, wrong);
	}
});

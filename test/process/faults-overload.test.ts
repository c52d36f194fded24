/** Ten times the connections and the requests that can be served, for a moment; `test/load/overload.test.ts` goes on for longer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overload, percentile } from '../helpers/overload.ts';

const SECONDS = 5;
/** As seen by apps that are in one process with all the others, on a machine that runs other tests. */
const REFUSED_WITHIN_MS = 10_000;
const BACK_WITHIN_MS = 30_000;

test('under ten times its load a hub refuses quickly, serves whom it admits, stays small, and is as before afterwards', async (context) => {
	const { refused } = await overload(context, SECONDS, BACK_WITHIN_MS);
	const p99 = percentile(refused, 0.99);
	context.diagnostic(`refused within ${p99.toFixed(0)} ms (p99)`);
	assert.ok(p99 < REFUSED_WITHIN_MS, `refused after ${p99} ms`);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Fifo } from '../../../src/h2/fifo.ts';
import { seeded } from '../../helpers/seeded.ts';

describe('first in, first out', () => {
	test('as an array does it, whatever comes and goes', () => {
		const below = seeded(7);
		const fifo = new Fifo<{ n: number }>();
		const array: { n: number }[] = [];
		for (let n = 0; n < 20_000; n++) {
			// Longer and longer for a while, then shorter.
			if (below(10) < (n % 4000 < 2000 ? 7 : 3)) {
				fifo.push({ n });
				array.push({ n });
			} else assert.deepEqual(fifo.shift(), array.shift());
			if (n === 15_000) {
				fifo.clear();
				array.length = 0;
			}
			assert.equal(fifo.length, array.length);
			assert.deepEqual(fifo.first, array[0]);
		}
	});

	test('what was taken out is not held', async () => {
		setFlagsFromString('--expose-gc');
		const gc: unknown = runInNewContext('gc');
		assert.ok(typeof gc === 'function');
		const fifo = new Fifo<object>();
		const taken = takeAllButOne(fifo, 50);
		// A WeakRef holds its target until the turn of the event loop that made it is over.
		await new Promise((resolve) => setImmediate(resolve));
		gc();
		assert.equal(taken.filter((item) => item.deref() !== undefined).length, 0);
		assert.equal(fifo.length, 1);
	});
});

function takeAllButOne(fifo: Fifo<object>, count: number): WeakRef<object>[] {
	for (let n = 0; n < count; n++) fifo.push({ n });
	return Array.from({ length: count - 1 }, () => new WeakRef(fifo.shift() ?? {}));
}

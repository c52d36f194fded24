/** Who waits, and in which order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Entry, Queue, type Waiter } from '../../../src/dispatch/queue.ts';

const nobody: Waiter<string> = { granted: () => assert.fail(), refused: () => assert.fail() };

function entry(seq: number, urgency = 3, scope?: string): Entry<string> {
	return new Entry({ scope, path: '/', affinity: undefined }, 'one', { seq, turn: 0, urgency, since: 0 }, nobody);
}

function seqs(queue: Queue<string>): number[][] {
	return [...queue.lines()].map((line) => [...line].map(({ seq }) => seq));
}

describe('the queue', () => {
	it('is first come, first served', () => {
		const queue = new Queue<string>();
		for (const seq of [1, 2, 3]) queue.add(entry(seq), []);
		assert.deepEqual(seqs(queue), [[1, 2, 3]]);
	});

	it('lets urgency 0 go first and 7 last', () => {
		const queue = new Queue<string>();
		queue.add(entry(1, 7), []);
		queue.add(entry(2, 3), []);
		queue.add(entry(3, 0), []);
		queue.add(entry(4, 3), []);
		assert.deepEqual(seqs(queue), [[3, 2, 4, 1]]);
		assert.equal(entry(9, 0).goesBefore(entry(1, 1)), true);
		assert.equal(entry(1, 3).goesBefore(entry(2, 3)), true);
		assert.equal(entry(2, 3).goesBefore(entry(1, 3)), false);
	});

	it('puts one that comes back in its original place', () => {
		for (const back of [1, 3, 5, 9]) {
			const queue = new Queue<string>();
			for (const seq of [2, 4, 6, 8]) queue.add(entry(seq), []);
			queue.add(entry(back), []);
			assert.deepEqual(seqs(queue), [[2, 4, 6, 8, back].sort((a, b) => a - b)]);
		}
	});

	it('is left from the front, the middle and the end', () => {
		const queue = new Queue<string>();
		const entries = [1, 2, 3, 4, 5].map((seq) => entry(seq));
		for (const one of entries) queue.add(one, []);
		for (const leaving of [2, 0, 4]) {
			const one = entries[leaving];
			assert.ok(one);
			assert.equal(queue.remove(one), undefined);
		}
		assert.deepEqual(seqs(queue), [[2, 4]]);
		queue.add(entry(6), []);
		queue.add(entry(3), []);
		assert.deepEqual(seqs(queue), [[2, 3, 4, 6]]);
	});

	it('is left once, however often one says so', () => {
		const queue = new Queue<string>();
		const one = entry(1);
		queue.add(one, []);
		queue.add(entry(2), []);
		queue.remove(one);
		queue.remove(one);
		assert.equal(queue.length, 1);
		assert.deepEqual(seqs(queue), [[2]]);
	});

	it('has a line for each scope and set of matching patterns', () => {
		const queue = new Queue<string>();
		queue.add(entry(1), []);
		queue.add(entry(2, 3, 's'), []);
		queue.add(entry(3), ['/a/*']);
		queue.add(entry(4, 3, ''), []);
		queue.add(entry(5), ['/a/*']);
		assert.deepEqual(seqs(queue), [[1], [2], [4], [3, 5]]);
	});

	it('says when a line begins and when it ends', () => {
		const queue = new Queue<string>();
		const first = entry(1);
		const second = entry(2);
		const line = queue.add(first, ['/a']);
		assert.deepEqual(line?.patterns, ['/a']);
		assert.equal(first.line, line);
		assert.equal(queue.add(second, ['/a']), undefined);
		assert.equal(queue.remove(first), undefined);
		assert.equal(queue.remove(second), line);
		assert.equal(second.line, undefined);
		assert.deepEqual(seqs(queue), []);
	});

	it('can be cleared, first come first', () => {
		const queue = new Queue<string>();
		queue.add(entry(3, 0), []);
		queue.add(entry(1, 7), []);
		queue.add(entry(2, 3, 's'), ['/x']);
		assert.deepEqual(
			queue.clear().map(({ seq }) => seq),
			[1, 2, 3],
		);
		assert.equal(queue.length, 0);
		assert.deepEqual(seqs(queue), []);
	});
});

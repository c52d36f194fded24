/** A heap out of which items go by a mark. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LazyHeap } from '../../../src/dispatch/lazy-heap.ts';
import { seeded } from '../../helpers/seeded.ts';

interface Item {
	readonly key: number;
	readonly tie: number;
	gone: boolean;
}

it('has the lowest of those that have not gone on top, whatever comes and goes, and keeps few of those that have', () => {
	const below = seeded(11);
	let looked = 0;
	const heap = new LazyHeap<Item>(({ gone }) => {
		looked++;
		return !gone;
	});
	const items: Item[] = [];
	for (let step = 0; step < 20_000; step++) {
		// It grows, and shrinks again.
		const most = step % 4000 < 2000 ? 400 : 10;
		if (items.length < most && below(5) > 0) {
			const item = { key: below(30), tie: step, gone: false };
			items.push(item);
			heap.put(item, item.key, item.tie);
		} else if (items.length > 0) {
			const [gone] = items.splice(below(3) === 0 ? 0 : below(items.length), 1);
			assert.ok(gone);
			gone.gone = true;
			heap.left();
		}
		items.sort((a, b) => a.key - b.key || a.tie - b.tie);
		assert.equal(heap.top, items[0]);
		assert.equal(heap.size, items.length);
		if (step % 100 > 0) continue;
		looked = 0;
		assert.deepEqual(new Set(heap), new Set(items));
		assert.ok(looked <= 2 * items.length + 33, `${looked} are kept of ${items.length}`);
	}
});

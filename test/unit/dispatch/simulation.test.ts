/** Hubs and agents in simulated time: the invariants hold, and a fault on purpose breaks one. `npm run simulate` runs more of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fault, type RunOptions, Violation, World } from '../../simulation/world.ts';

const STEPS = 20_000;

function run(options: Partial<RunOptions> & { readonly seed: number }) {
	return new World({ steps: STEPS, ...options }).run();
}

test('no invariant is broken in a few worlds, in which everything happens', () => {
	const totals = new Map<string, number>();
	for (let seed = 1; seed <= 5; seed++) {
		for (const [what, count] of Object.entries(run({ seed }).counts)) totals.set(what, (totals.get(what) ?? 0) + count);
	}
	for (const [what, count] of totals) assert.ok(count > 0, `none ${what}`);
});

test('with three hubs and five agents every worker is at work within 100 ms while somebody waits, at whichever hub', () => {
	for (let seed = 1; seed <= 3; seed++) {
		const { counts } = run({ seed, calm: true, steps: 2 * STEPS });
		assert.ok(counts.waited > 1000, `${counts.waited} waited`);
		assert.equal(counts.lost, 0);
	}
});

test('one seed is one run', () => {
	assert.deepEqual(run({ seed: 7 }), run({ seed: 7 }));
	assert.notDeepEqual(run({ seed: 7 }), run({ seed: 8 }));
});

const FAULTS: Record<Fault, RegExp> = {
	'lease dropped': /leases, \d+ held/,
	'lease doubled': /leases, \d+ held/,
	'slot dropped': /\d+ of \d+ free, \d+ at work/,
	'slot doubled': /\d+ of \d+ free, \d+ at work/,
};

for (const [fault, message] of Object.entries(FAULTS) as [Fault, RegExp][]) {
	test(`one ${fault} is found at once by what is counted`, () => {
		assert.throws(
			() => run({ seed: 3, fault }),
			(error) => error instanceof Violation && message.test(error.message),
		);
	});
}

/** What somebody sees who only watches requests: too many at an upstream, somebody who waits for what is free, what is never given back. */
const OUTSIDE: Record<Fault, RegExp> = {
	'lease dropped': /which is free|never given back/,
	'lease doubled': /which is free|never given back|given back twice|more than/,
	'slot dropped': /which is free|never given back|never ended/,
	'slot doubled': /has more than its workers/,
};

for (const [fault, message] of Object.entries(OUTSIDE) as [Fault, RegExp][]) {
	if (fault === 'lease doubled') continue;
	test(`one ${fault} is found by what it does to requests`, () => {
		assert.throws(
			() => run({ seed: 3, fault, fromOutside: true }),
			(error) => error instanceof Violation && message.test(error.message),
		);
	});
}

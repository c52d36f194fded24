/** Which of several agents gets the next request. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Affinity, Profile, Slots } from '../../../src/dispatch/choice.ts';
import { seeded } from '../../helpers/seeded.ts';

const anyone = { scopes: [], scopePaths: [] };

/** Each of them changes once, in this order. */
function profileOf(...agents: { name: string; limit: number; leased?: number }[]) {
	const profile = new Profile<string>(anyone);
	const slots = agents.map(({ name, limit, leased = 0 }, change) => {
		const one = new Slots(name, profile);
		Object.assign(one, { limit, leased });
		profile.update(one, change);
		return one;
	});
	return { profile, slots };
}

/** Members in the order in which they would be chosen. */
function order(profile: Profile<string>): string[] {
	const taken = new Set<string>();
	for (let next = profile.first(taken); next !== undefined; next = profile.first(taken)) taken.add(next.member);
	return [...taken];
}

describe('the choice among agents', () => {
	it('falls on the largest free fraction, not on the most free slots', () => {
		const { profile } = profileOf({ name: 'big', limit: 10, leased: 5 }, { name: 'small', limit: 3, leased: 1 });
		assert.deepEqual(order(profile), ['small', 'big']);
	});

	it('falls among equal fractions on the one that has been unused longest', () => {
		const { profile, slots } = profileOf(
			{ name: 'late', limit: 3, leased: 0 },
			{ name: 'early', limit: 6, leased: 2 },
			{ name: 'never', limit: 3, leased: 1 },
		);
		const [late, early] = slots;
		assert.ok(late && early);
		late.leased++;
		profile.update(late, 3);
		assert.deepEqual(order(profile), ['early', 'never', 'late']);
		// What changes nothing that counts costs nobody a place.
		profile.update(early, 4);
		assert.deepEqual(order(profile), ['early', 'never', 'late']);
	});

	it('falls among unused agents on the one that joined first', () => {
		const { profile } = profileOf({ name: 'a', limit: 1 }, { name: 'b', limit: 4 }, { name: 'c', limit: 2 });
		assert.deepEqual(order(profile), ['a', 'b', 'c']);
	});

	it('never falls on an agent without a free slot', () => {
		const { profile } = profileOf(
			{ name: 'paused', limit: 0 },
			{ name: 'full', limit: 2, leased: 2 },
			{ name: 'over', limit: 1, leased: 3 },
		);
		assert.equal(profile.hasFree, false);
		assert.equal(profile.first(), undefined);
	});

	it('passes over those that are excepted', () => {
		const { profile } = profileOf({ name: 'a', limit: 1 }, { name: 'b', limit: 1 }, { name: 'c', limit: 1 });
		assert.equal(profile.first(new Set(['a', 'b']))?.member, 'c');
		assert.equal(profile.first(new Set(['a', 'b', 'c'])), undefined);
		assert.equal(profile.first(new Set())?.member, 'a');
	});

	it('stays right under random changes', () => {
		const random = seeded(7);
		const { profile, slots } = profileOf(...Array.from({ length: 40 }, (_, i) => ({ name: `${i}`, limit: 0 })));
		const share = (s: Slots<string>) => (s.open && s.leased < s.limit ? (s.limit - s.leased) / s.limit : 0);
		const shares = new Map(slots.map((s) => [s, 0]));
		const changed = new Map<Slots<string>, number>();
		for (let step = 1; step <= 20_000; step++) {
			const one = slots[random(slots.length)];
			assert.ok(one);
			one.limit = random(5);
			one.leased = random(5);
			one.open = random(10) > 0;
			if (shares.get(one) !== share(one)) changed.set(one, step);
			shares.set(one, share(one));
			profile.update(one, step);
			const free = slots.filter((s) => share(s) > 0);
			const sorted = free.sort((a, b) => share(b) - share(a) || (changed.get(a) ?? 0) - (changed.get(b) ?? 0));
			assert.equal(profile.first(), sorted[0]);
			const except = new Set(sorted.slice(0, random(4)).map(({ member }) => member));
			assert.equal(profile.first(except), sorted[except.size]);
		}
	});
});

describe('profiles', () => {
	it('are the same for the same grants in another order', () => {
		const a = Profile.keyOf({ scopes: ['x', 'y'], scopePaths: ['/1', '/2'] });
		assert.equal(a, Profile.keyOf({ scopes: ['y', 'x', 'y'], scopePaths: ['/2', '/1'] }));
	});

	it('are others for other grants', () => {
		const keys = [
			{ scopes: ['x', 'y'], scopePaths: [] },
			{ scopes: ['x,y'], scopePaths: [] },
			{ scopes: ['x'], scopePaths: ['y'] },
			{ scopes: [], scopePaths: ['x', 'y'] },
		].map((grants) => Profile.keyOf(grants));
		assert.equal(new Set(keys).size, keys.length);
	});
});

describe('affinity', () => {
	const wanted = (affinity: string | undefined, scope?: string) => ({ scope, path: '/', affinity });

	it('remembers who served a key last, each scope for itself', () => {
		const affinity = new Affinity();
		affinity.remember(wanted('k'), 'one');
		affinity.remember(wanted('k', 's'), 'two');
		affinity.remember(wanted('k'), 'three');
		assert.equal(affinity.of(wanted('k')), 'three');
		assert.equal(affinity.of(wanted('k', 's')), 'two');
		assert.equal(affinity.of(wanted('k', 't')), undefined);
	});

	it('remembers nothing of requests without a key', () => {
		const affinity = new Affinity();
		affinity.remember(wanted(undefined), 'one');
		assert.equal(affinity.of(wanted(undefined)), undefined);
	});

	it('holds 100,000 keys and forgets the longest unused', () => {
		const affinity = new Affinity();
		for (let i = 0; i < 100_000; i++) affinity.remember(wanted(`${i}`), 'one');
		assert.equal(affinity.of(wanted('0')), 'one');
		affinity.remember(wanted('more'), 'one');
		assert.equal(affinity.of(wanted('0')), 'one');
		assert.equal(affinity.of(wanted('1')), undefined);
	});

	it('holds no more than 32 million characters of keys, however long they are', () => {
		const affinity = new Affinity();
		for (let i = 0; i < 1100; i++) affinity.remember(wanted(`${i}:${'x'.repeat(32 * 1024)}`), 'one');
		assert.equal(affinity.of(wanted(`0:${'x'.repeat(32 * 1024)}`)), undefined);
		assert.equal(affinity.of(wanted(`1099:${'x'.repeat(32 * 1024)}`)), 'one');
	});
});

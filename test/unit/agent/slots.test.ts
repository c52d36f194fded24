/** Which tunnel is offered the agent's free workers, by a clock in the test's hands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Turn } from '../../../src/agent/offers.ts';
import { type Share, type Slot, Slots } from '../../../src/agent/slots.ts';
import { seeded } from '../../helpers/seeded.ts';

class Clock {
	now = 1000;
	readonly read = () => this.now;
}

function shares(count: number, capacity = 1) {
	const clock = new Clock();
	const slots = new Slots(capacity, clock.read);
	const joined = Array.from({ length: count }, () => slots.join(() => undefined));
	return { clock, slots, joined };
}

const offers = (joined: readonly Share[]) => joined.map(({ offered }) => offered);

function take(share: Share | undefined): Slot {
	const slot = share?.take();
	assert.ok(slot, 'there was a slot to take');
	return slot;
}

/** The turn ends unused, so many milliseconds after it began. */
function pass(share: Share | undefined, clock: Clock, after: number): void {
	const turn = share?.turn;
	assert.ok(turn, 'it had a turn');
	clock.now = turn.since + after;
	share?.pass(turn);
}

test('one tunnel is offered whatever is free', () => {
	const { joined, slots } = shares(1, 2);
	const [a] = joined;
	assert.deepEqual(offers(joined), [2]);
	const held = [take(a), take(a)];
	assert.deepEqual(offers(joined), [0]);
	assert.equal(a?.take(), null);
	for (const slot of held) slot.release();
	assert.deepEqual([...offers(joined), slots.free, a?.turn], [2, 2, null]);
});

test('a slot that is released twice counts once', () => {
	const { joined, slots } = shares(1, 2);
	const slot = take(joined[0]);
	take(joined[0]);
	slot.release();
	slot.release();
	assert.equal(slots.free, 1);
});

test('tunnels hear of what others take and give back', () => {
	const slots = new Slots(1);
	let heard = 0;
	const a = slots.join(() => undefined);
	const b = slots.join(() => heard++);
	const slot = take(a);
	assert.equal(heard, 1);
	slot.release();
	assert.equal(heard, 2);
	b.leave();
	take(a);
	assert.equal(heard, 2);
});

test('a freed slot is kept for the one whose last turn is longest ago, then for all', () => {
	const { joined, clock } = shares(3);
	const [a, b, c] = joined;
	let slot = take(a);
	assert.deepEqual(offers(joined), [0, 0, 0]);
	slot.release();
	assert.deepEqual(offers(joined), [0, 1, 0]);
	assert.equal(a?.take(), null, 'the others cannot have it');
	slot = take(b);
	slot.release();
	assert.deepEqual(offers(joined), [0, 0, 1]);
	pass(c, clock, 2);
	assert.deepEqual(offers(joined), [1, 1, 1]);
	take(c).release();
	assert.deepEqual(offers(joined), [1, 0, 0]);
});

test('while one is free for all nothing is kept for anybody', () => {
	const { joined } = shares(2, 3);
	const [a] = joined;
	take(a);
	take(a).release();
	assert.deepEqual(offers(joined), [2, 2]);
});

test('each of several freed slots goes to another one', () => {
	const { joined } = shares(3, 4);
	const [a] = joined;
	const held = [take(a), take(a), take(a), take(a)];
	held[0]?.release();
	assert.deepEqual(offers(joined), [0, 1, 0]);
	held[1]?.release();
	assert.deepEqual(offers(joined), [0, 1, 1]);
	held[2]?.release();
	assert.deepEqual(offers(joined), [1, 1, 1]);
	held[3]?.release();
	assert.deepEqual(offers(joined), [2, 2, 2]);
});

test('what ends a turn that is over already has no effect', () => {
	const { joined } = shares(2);
	const [a, b] = joined;
	take(a).release();
	const old = b?.turn as Turn;
	const slot = take(b);
	b?.pass(old);
	assert.deepEqual(offers(joined), [0, 0]);
	slot.release();
	take(a).release();
	assert.notEqual(b?.turn, old);
	b?.pass(old);
	assert.deepEqual(offers(joined), [0, 1]);
});

test('one that leaves gives its turn to the next, and is offered nothing more', () => {
	const { joined } = shares(3);
	const [a, b] = joined;
	take(a).release();
	assert.deepEqual(offers(joined), [0, 1, 0]);
	b?.leave();
	b?.leave();
	assert.deepEqual(offers(joined), [0, 0, 1]);
});

test('one that leaves may take what is free for all, and gives it back', () => {
	const { joined, slots } = shares(2, 2);
	const [a, b] = joined;
	a?.leave();
	assert.deepEqual(offers(joined), [0, 2]);
	const slot = take(a);
	assert.deepEqual(offers(joined), [0, 1]);
	slot.release();
	assert.deepEqual([...offers(joined), slots.free], [0, 2, 2]);
	take(b);
	assert.deepEqual(offers(joined), [0, 1]);
});

test('one that leaves cannot take what is kept for another', () => {
	const { joined } = shares(3);
	const [a, b] = joined;
	const slot = take(a);
	a?.leave();
	slot.release();
	assert.deepEqual(offers(joined), [0, 1, 0]);
	assert.equal(a?.take(), null);
	take(b);
});

/** Milliseconds from the end of an unused turn until the next slot is kept for that one again, while another takes all. */
function restAfter(joined: readonly Share[], clock: Clock): number {
	const [a, b] = joined;
	const since = clock.now;
	for (;;) {
		const slot = take(a);
		clock.now++;
		slot.release();
		if (b?.turn) return clock.now - since;
	}
}

test('one that leaves its turns unused has them less and less often, but every 5 s', () => {
	const { joined, clock } = shares(2);
	const [a, b] = joined;
	take(a).release();
	const rests: number[] = [];
	for (let i = 0; i < 9; i++) {
		pass(b, clock, 2);
		rests.push(restAfter(joined, clock));
	}
	assert.deepEqual(rests, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('unused turns cost at most a tenth of the time, however long a round trip is', () => {
	const { joined, clock } = shares(2);
	const [a, b] = joined;
	take(a).release();
	for (let i = 0; i < 5; i++) {
		pass(b, clock, 900);
		assert.ok(restAfter(joined, clock) >= 9000);
	}
});

for (const [what, wake, wakes] of [
	['did nothing', () => undefined, false],
	['was refused a slot', (b: Share) => assert.equal(b.take(), null), true],
] as const) {
	test(`one that left its turn unused and then ${what} ${wakes ? 'has the next one' : 'rests'}`, () => {
		const { joined, clock } = shares(2);
		const [a, b] = joined as [Share, Share];
		take(a).release();
		pass(b, clock, 2);
		const slot = take(a);
		wake(b);
		slot.release();
		assert.equal(b.turn !== null, wakes);
	});
}

test('one that left its turn unused and took a slot since has its next turn when it comes', () => {
	const { joined, clock } = shares(2);
	const [a, b] = joined;
	take(a).release();
	pass(b, clock, 2);
	take(b).release();
	take(a).release();
	assert.deepEqual(offers(joined), [0, 1]);
});

test('one that left a free slot unused for a second is asked 50 ms later, not at once', () => {
	const { joined, clock } = shares(2);
	const [a, b] = joined;
	clock.now += 1000;
	let slot = take(a);
	clock.now += 49;
	slot.release();
	assert.equal(b?.turn, null);
	slot = take(a);
	clock.now += 1;
	slot.release();
	assert.ok(b?.turn);
});

test('whatever tunnels do, every free slot is offered, none twice, and whoever wants one gets it', (t) => {
	const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
	t.diagnostic(`TEST_SEED=${seed}`);
	const below = seeded(seed);
	for (let round = 0; round < 60; round++) {
		const capacity = 1 + below(4);
		const clock = new Clock();
		const slots = new Slots(capacity, clock.read);
		/** When it was first told that there is none, since it last had one. */
		const tunnels: Array<{ share: Share; wants: boolean; waitsSince: number | undefined }> = [];
		let most = 0;
		const join = () => tunnels.push({ share: slots.join(() => undefined), wants: below(3) > 0, waitsSince: undefined });
		for (let i = 0; i < 3; i++) join();
		const held: Array<{ slot: Slot; until: number }> = [];
		for (let step = 0; step < 2500; step++) {
			clock.now += 2;
			for (const one of held.filter(({ until }) => until <= clock.now)) {
				held.splice(held.indexOf(one), 1);
				one.slot.release();
			}
			// A turn is two round trips, of 10 ms together here.
			for (const { share } of tunnels) {
				if (share.turn && clock.now - share.turn.since >= 10) share.pass(share.turn);
			}
			if (below(200) === 0) join();
			if (below(200) === 0 && tunnels.length > 1) tunnels.splice(below(tunnels.length), 1)[0]?.share.leave();
			for (const tunnel of tunnels) {
				if (below(300) === 0) {
					tunnel.wants = !tunnel.wants;
					tunnel.waitsSince = undefined;
				}
				if (!tunnel.wants) continue;
				if (tunnel.share.offered === 0 && below(20) > 0) continue;
				const promised = tunnel.share.offered > 0;
				const slot = tunnel.share.take();
				assert.equal(slot !== null, promised, 'an offer holds, and nothing else is given');
				if (slot === null) {
					tunnel.waitsSince ??= clock.now;
					continue;
				}
				held.push({ slot, until: clock.now + 1 + below(30) });
				tunnel.waitsSince = undefined;
			}
			assert.equal(slots.free, capacity - held.length);
			const kept = tunnels.filter(({ share }) => share.turn !== null).length;
			for (const { share } of tunnels) {
				assert.equal(share.offered, slots.free - kept + (share.turn ? 1 : 0));
			}
			most = Math.max(most, tunnels.length);
			for (const { waitsSince = clock.now } of tunnels) {
				// Each of the others has a turn and a worker before it at most, and these steps are coarse.
				const waited = clock.now - waitsSince;
				assert.ok(waited <= 45 * (most + 1), `starved for ${waited} ms in round ${round}, step ${step}`);
			}
		}
	}
});

test('another number of workers is offered at once; of fewer, those at work are finished first', () => {
	const { joined, slots } = shares(1, 1);
	const [a] = joined;
	const first = take(a);
	slots.resize(3);
	assert.deepEqual([...offers(joined), slots.free, slots.capacity], [2, 2, 3]);
	const [second, third] = [take(a), take(a)];
	slots.resize(1);
	assert.deepEqual([...offers(joined), slots.free], [0, -2]);
	for (const slot of [first, second]) {
		assert.equal(a?.take(), null);
		slot.release();
	}
	assert.deepEqual([...offers(joined), slots.free, a?.take() ?? null], [0, 0, null]);
	third.release();
	assert.deepEqual(offers(joined), [1]);
	take(a);
	assert.equal(a?.take(), null);
});

test('a worker that was kept for a hub and is no more is not taken', () => {
	const { joined, slots } = shares(2, 1);
	const [a, b] = joined;
	const held = take(a);
	held.release();
	const turn = joined.find((share) => share.turn !== null);
	assert.ok(turn, 'the worker is kept for one of them');
	slots.resize(2);
	const other = turn === a ? b : a;
	const taken = take(other);
	slots.resize(1);
	assert.deepEqual([turn.take(), turn.offered], [null, 0]);
	taken.release();
	assert.ok(take(turn));
});

/** Turns between callers, urgency that rises with time, and how soon to try again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DrainRate } from '../../../src/dispatch/drain-rate.ts';
import { FairShare } from '../../../src/dispatch/fair-share.ts';
import { Entry, Queue, type Waiter } from '../../../src/dispatch/queue.ts';
import { dispatching, end } from '../../helpers/dispatching.ts';

const nobody: Waiter<string> = { granted: () => assert.fail(), refused: () => assert.fail() };

describe('callers in the queue', () => {
	it('take turns, whatever each of them sends', (t) => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		join('a', 1);
		let lease = acquire();
		for (let i = 1; i <= 4; i++) wait(`greedy${i}`, {}, { caller: 'greedy' });
		for (let i = 1; i <= 2; i++) wait(`modest${i}`, {}, { caller: 'modest' });
		wait('late1', {}, { caller: 'late' });
		const order = ['greedy1', 'modest1', 'late1', 'greedy2', 'modest2', 'greedy3', 'greedy4'];
		for (const name of order) {
			lease.release();
			lease = leases.get(name) ?? assert.fail(`${name} has no lease: ${told}`);
		}
		lease.release();
		assert.deepEqual(
			told,
			order.map((name) => `${name}:a`),
		);
	});

	it('do not save turns up while they are away, nor pay later for what they had alone', () => {
		const share = new FairShare();
		for (let i = 0; i < 100; i++) share.leave('alone', share.join('alone'), true);
		const [alone, other] = [share.join('alone'), share.join('other')];
		assert.equal(alone, other);
		share.leave('alone', alone, true);
		share.leave('other', other, true);
		const late = share.join('late');
		assert.ok(late >= other);
	});

	it('keep their turns in the lines of all scopes', (t) => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		join('a', 1, { scopes: ['x'] });
		let lease = acquire();
		for (const [i, scope] of [undefined, 'x', undefined].entries()) wait(`greedy${i}`, { scope }, { caller: 'greedy' });
		wait('modest0', { scope: 'x' }, { caller: 'modest' });
		for (const name of ['greedy0', 'modest0', 'greedy1', 'greedy2']) {
			lease.release();
			lease = leases.get(name) ?? assert.fail(`${name} has no lease: ${told}`);
		}
		lease.release();
	});
});

describe('those who wait', () => {
	it('find their place again after an agent refused them, aged as if they had stood there', () => {
		const queue = new Queue<string>();
		const wanted = { scope: undefined, path: '/', affinity: undefined };
		const first = queue.placeFor('one', 1, 5, 0);
		const later = new Entry(wanted, 'one', queue.placeFor('one', 2, 5, 10), nobody);
		queue.add(later, []);
		for (const now of [40, 70]) queue.age(now, 30);
		assert.equal(later.urgency, 3);
		const back = new Entry(wanted, 'one', queue.placeAgain('one', first, 30), nobody);
		queue.add(back, []);
		assert.deepEqual([back.urgency, back.since], [3, 60]);
		queue.age(95, 30);
		assert.deepEqual([back.urgency, later.urgency], [2, 3], 'it ages before the one that came later');
		assert.deepEqual(
			[...queue.lines()].flatMap((line) => [...line]),
			[back, later],
		);
	});

	it('age by when they came, not by when they are looked at: one that comes back is ahead of nobody who came earlier', () => {
		const queue = new Queue<string>();
		const wanted = { scope: undefined, path: '/', affinity: undefined };
		const earlier = new Entry(wanted, 'one', queue.placeFor('one', 1, 5, 0), nobody);
		queue.add(earlier, []);
		const away = queue.placeFor('one', 2, 5, 10);
		// Late, as a timer may be. The second comes back when its next step would be due, before the next look.
		queue.age(45, 30);
		const back = new Entry(wanted, 'one', queue.placeAgain('one', away, 30), nobody);
		queue.add(back, []);
		assert.deepEqual([earlier.urgency, back.urgency], [4, 4]);
		for (const [now, urgencies] of [
			[65, [3, 4]],
			[72, [3, 3]],
			[300, [0, 0]],
		] as const) {
			queue.age(now, 30);
			assert.deepEqual([earlier.urgency, back.urgency], urgencies, `at ${now}`);
			assert.deepEqual(
				[...queue.lines()].flatMap((line) => [...line]),
				[earlier, back],
			);
		}
	});

	it('become more urgent by one step each time, until they are as urgent as can be', () => {
		const queue = new Queue<string>();
		const add = (seq: number, urgency: number, since: number) => {
			const place = queue.placeFor('one', seq, urgency, since);
			const entry = new Entry({ scope: undefined, path: '/', affinity: undefined }, 'one', place, nobody);
			queue.add(entry, []);
			return entry;
		};
		const old = add(1, 7, 0);
		for (let now = 30; now <= 300; now += 30) queue.age(now, 30);
		assert.equal(old.urgency, 0);
		const late = add(2, 0, 300);
		assert.deepEqual(
			[...queue.lines()].flatMap((line) => [...line]),
			[old, late],
		);
		const patient = add(3, 4, 300);
		queue.age(329, 30);
		assert.equal(patient.urgency, 4);
		queue.age(330, 30);
		assert.equal(patient.urgency, 3);
		for (const entry of [old, late, patient]) queue.remove(entry);
		assert.equal(queue.length, 0);
	});

	it('are served in a bounded time, however many keep coming that are more urgent', (t) => {
		const aging = 5000;
		t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
		let time = 0;
		t.mock.method(performance, 'now', () => time);
		const { dispatcher, told, leases, join, acquire, wait } = dispatching({ aging });
		end(t, dispatcher);
		join('a', 1);
		let lease = acquire();
		wait('patient', {}, { urgency: 7, caller: 'patient' });
		// Always somebody of the highest urgency waits, and every 100 ms one is served.
		for (let i = 0; i < 3; i++) wait(`u${i}`, {}, { urgency: 0 });
		for (let next = 3; !told.includes('patient:a'); next++) {
			time += 100;
			t.mock.timers.tick(100);
			wait(`u${next}`, {}, { urgency: 0 });
			lease.release();
			lease = leases.get(told.at(-1)?.split(':')[0] ?? '') ?? assert.fail(`${told}`);
			assert.ok(time <= 7 * aging + 10_000, 'it waits for ever');
		}
		// Seven steps, each up to a second late, and then its turn.
		assert.ok(time >= 7 * aging && time <= 7 * aging + 8000, `${time} ms`);
		lease.release();
	});

	it('are told to try again by how fast slots came free', () => {
		const rate = new DrainRate(1000);
		assert.equal(rate.retryAfter(1000, 0), 1);
		assert.equal(rate.retryAfter(1000, 5), 30);
		for (let i = 0; i < 20; i++) rate.count(1000 + i / 2);
		assert.equal(rate.rate(1010), 2);
		assert.equal(rate.retryAfter(1010, 0), 1);
		assert.equal(rate.retryAfter(1010, 9), 5);
		assert.equal(rate.retryAfter(1010, 1000), 30);
		assert.equal(rate.rate(1100), 0);
	});

	it('are fewer while no agent is there that could serve them', (t) => {
		const { dispatcher, join, wait } = dispatching({ max: 6, maxWithoutAgent: 1 });
		end(t, dispatcher);
		const first = wait('1');
		assert.throws(() => wait('2'), /full/);
		first.leave();
		wait('3');
		const a = join('a', 0);
		wait('4', { path: '/x' });
		wait('5');
		// Those who wait for agents that are there do not count.
		const nobody = wait('6', { scope: 'nobody' });
		assert.throws(() => wait('7', { scope: 'another' }), /full/);
		wait('8');
		nobody.leave();
		wait('9', { scope: 'another' });
		assert.throws(() => wait('10', { scope: 'nobody' }), /full/);
		wait('11');
		assert.throws(() => wait('12'), /full/, 'all together');
		a.membership.leave();
		assert.equal(dispatcher.waiting, 6);
		// An agent with another grant divides the line.
		join('b', 0, { scopePaths: ['/x'] });
		join('c', 0, { scopes: ['another'] });
		assert.throws(() => wait('13'), /full/);
	});
});

/** Who waits for a slot: in which order waiters are woken, and how waiting ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, mock, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Lease, Refusal, Ticket } from '../../../src/dispatch/dispatcher.ts';
import { type Agent, agent, dispatching, end, wanted } from '../../helpers/dispatching.ts';

const notGranted = () => assert.fail('granted');

function activeTimers(): number {
	return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

describe('a waiter', () => {
	it('is granted the slot that becomes free, from within release', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		join('a', 1);
		const lease = acquire();
		wait('w');
		assert.equal(dispatcher.waiting, 1);
		lease.release();
		assert.deepEqual(told, ['w:a']);
		assert.equal(dispatcher.waiting, 0);
	});

	it('is alone in being woken by a freed slot', (t) => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		join('a', 1);
		const lease = acquire();
		for (const name of ['1', '2', '3']) wait(name);
		lease.release();
		assert.deepEqual(told, ['1:a']);
		leases.get('1')?.release();
		assert.deepEqual(told, ['1:a', '2:a']);
	});

	it('is woken by a limit that rises, as many as it rises by', (t) => {
		const { dispatcher, told, join, wait } = dispatching();
		end(t, dispatcher);
		const { membership } = join('a', 0);
		for (const name of ['1', '2', '3', '4']) wait(name);
		membership.setLimit(3);
		assert.deepEqual(told, ['1:a', '2:a', '3:a']);
		assert.equal(membership.leased, 3);
	});

	it('may wait though no agent is connected, and is woken when one joined and told its limit', (t) => {
		const { dispatcher, told, wait } = dispatching();
		end(t, dispatcher);
		wait('other', { scope: 'y' });
		wait('w', { scope: 'x', path: '/v1/a' });
		const membership = dispatcher.join(agent('a', { scopes: ['x'], scopePaths: ['/v1/*'] }));
		assert.deepEqual(told, []);
		membership.setLimit(2);
		assert.deepEqual(told, ['w:a']);
		assert.equal(dispatcher.waiting, 1);
	});

	it('waits through the loss of all agents and is woken by one that comes back', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		const grants = { scopes: ['x'], scopePaths: ['/v1/*'] };
		const first = join('a', 1, grants);
		const lease = acquire({ path: '/v1/a' });
		wait('w', { path: '/v1/a' });
		first.membership.leave();
		lease.release();
		assert.deepEqual(told, []);
		join('a', 1, grants);
		assert.deepEqual(told, ['w:a']);
	});

	it('goes by urgency, 0 first, then first come, first served, across scopes and paths', (t) => {
		const { dispatcher, told, join, wait } = dispatching();
		end(t, dispatcher);
		const { membership } = join('a', 0, { scopes: ['x', 'y'], scopePaths: ['/a/*', '/a/b/*'] });
		wait('1', { path: '/a/1' });
		wait('2', { path: '/a/b/2', scope: 'x' }, { urgency: 7 });
		wait('3', { path: '/a/b/3', scope: 'y' });
		wait('4', { path: '/a/4' }, { urgency: 0 });
		wait('5', { path: '/a/5', scope: 'x' });
		wait('6', { path: '/a/b/6' }, { urgency: 0 });
		wait('not served', { path: '/' }, { urgency: 0 });
		membership.setLimit(6);
		assert.deepEqual(
			told.map((line) => line.slice(0, 1)),
			['4', '6', '1', '3', '5', '2'],
		);
	});

	it('is passed by those behind it while no agent that may serve it is free', (t) => {
		const { dispatcher, told, join, wait } = dispatching();
		end(t, dispatcher);
		const image = join('image', 0, { scopePaths: ['/v1/images/*'] });
		const chat = join('chat', 0, { scopePaths: ['/v1/chat'] });
		wait('c', { path: '/v1/chat' });
		wait('i', { path: '/v1/images/1' });
		image.membership.setLimit(2);
		chat.membership.setLimit(1);
		assert.deepEqual(told, ['i:image', 'c:chat']);
	});

	it('is found by an agent with new path patterns among those it stood in line with', (t) => {
		const { dispatcher, told, join, wait } = dispatching();
		end(t, dispatcher);
		const open = join('open', 0);
		for (const name of ['1', '2', '3', '4']) wait(name, { path: Number(name) % 2 === 0 ? '/even/x' : '/odd' });
		join('even', 1, { scopePaths: ['/even/*'] });
		assert.deepEqual(told, ['2:even']);
		join('odd', 1, { scopePaths: ['/odd'] });
		assert.deepEqual(told, ['2:even', '1:odd']);
		open.membership.setLimit(2);
		assert.deepEqual(told, ['2:even', '1:odd', '3:open', '4:open']);
	});

	it('is not overtaken by a new request', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		join('a', 1);
		const lease = acquire();
		wait('w');
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		lease.release();
		assert.deepEqual(told, ['w:a']);
		assert.equal(dispatcher.acquire(wanted()), 'busy');
	});

	it('prefers the agent that served its key last when several are free at once', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching({ concurrent: 1 });
		end(t, dispatcher);
		join('a', 2);
		join('b', 2);
		acquire({ affinity: 'k' }).release();
		const lease = acquire();
		wait('w', { affinity: 'k' });
		lease.release();
		assert.deepEqual(told, ['w:a']);
	});

	it('may leave any number of times, and is then told nothing', () => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		join('a', 1);
		const lease = acquire();
		const ticket = wait('1');
		wait('2');
		ticket.leave();
		ticket.leave();
		assert.equal(dispatcher.waiting, 1);
		lease.release();
		assert.deepEqual(told, ['2:a']);
		ticket.leave();
		assert.equal(dispatcher.stats().leased, 1);
	});

	it('keeps its lease when it leaves after it was told', () => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching();
		join('a', 1);
		const lease = acquire();
		const ticket = wait('w');
		lease.release();
		ticket.leave();
		assert.deepEqual(told, ['w:a']);
		assert.equal(dispatcher.stats().leased, 1);
		leases.get('w')?.release();
		assert.equal(dispatcher.stats().leased, 0);
	});

	it('is refused when all waiting ends', () => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		join('a', 1);
		const lease = acquire();
		wait('1');
		wait('2', { scope: 'x' });
		dispatcher.refuseAll('draining');
		lease.release();
		assert.deepEqual(told, ['1:draining', '2:draining']);
		assert.equal(dispatcher.waiting, 0);
	});

	it('is never told before wait returned, also when a slot is free already', async () => {
		const { dispatcher, told, join, wait } = dispatching();
		join('a', 1);
		wait('w');
		assert.deepEqual(told, []);
		assert.equal(dispatcher.waiting, 0);
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		await nextTurn();
		assert.deepEqual(told, ['w:a']);
	});

	it('gives back what it was granted when it leaves before it was told', async () => {
		const { dispatcher, told, join, wait } = dispatching();
		join('a', 1);
		wait('w').leave();
		assert.equal(dispatcher.stats().leased, 0);
		await nextTurn();
		assert.deepEqual(told, []);
	});
});

describe('a request that comes back to the queue', () => {
	it('takes its original place', (t) => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		const { membership } = join('a', 1);
		const lease = acquire();
		const { place: seq } = wait('1');
		wait('2');
		wait('3', {}, { urgency: 2 });
		lease.release();
		leases.get('3')?.release();
		assert.deepEqual(told, ['3:a', '1:a']);
		assert.deepEqual(leases.get('1')?.place, seq);
		membership.setLimit(0);
		leases.get('1')?.release();
		assert.deepEqual(wait('1', {}, { place: seq }).place, seq);
		membership.setLimit(1);
		assert.deepEqual(told, ['3:a', '1:a', '1:a']);
	});

	it('has the place of its first lease when it had not waited', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching();
		end(t, dispatcher);
		const { membership } = join('a', 1);
		const early = acquire();
		wait('late');
		membership.setLimit(0);
		early.release();
		wait('early', {}, { place: early.place });
		membership.setLimit(1);
		assert.deepEqual(told, ['early:a']);
	});

	it('finds its place in a full queue', (t) => {
		const { dispatcher, join, acquire, wait } = dispatching({ max: 1 });
		end(t, dispatcher);
		join('a', 1);
		const { place: seq } = acquire();
		wait('w');
		wait('back', {}, { place: seq });
		assert.equal(dispatcher.waiting, 2);
	});
});

describe('the bound of the queue', () => {
	it('refuses the one too many with queue_full, and lets the next in when one left', (t) => {
		const { dispatcher, wait } = dispatching({ max: 2 });
		end(t, dispatcher);
		const waiter = { granted: notGranted, refused: (code: Refusal) => assert.equal(code, 'draining') };
		const options = { urgency: 3, timeout: 1000, caller: 'one' };
		wait('1');
		const second = wait('2', { scope: 'x' });
		assert.equal(dispatcher.wait(wanted(), options, waiter), 'queue_full');
		second.leave();
		assert.equal(typeof dispatcher.wait(wanted(), options, waiter), 'object');
		assert.equal(dispatcher.waiting, 2);
	});
});

describe('the time to wait', () => {
	function withClock(t: TestContext) {
		t.mock.timers.enable({ apis: ['setTimeout'] });
		return t.mock.timers;
	}

	it('ends with queue_timeout, told once', (t) => {
		const clock = withClock(t);
		const { dispatcher, told, join, wait } = dispatching();
		wait('short', {}, { timeout: 1000 });
		wait('long', {}, { timeout: 2000 });
		clock.tick(999);
		assert.deepEqual(told, []);
		clock.tick(1);
		assert.deepEqual(told, ['short:queue_timeout']);
		assert.equal(dispatcher.waiting, 1);
		join('a', 2);
		clock.tick(5000);
		assert.deepEqual(told, ['short:queue_timeout', 'long:a']);
	});

	it('ends for nobody who left, or was served, as another one was told that his had ended', (t) => {
		const clock = withClock(t);
		const time = t.mock.method(performance, 'now', () => 0);
		const { dispatcher, told, join, acquire, wait } = dispatching();
		join('a', 1);
		const lease = acquire();
		const tickets: Ticket[] = [];
		const options = { urgency: 3, timeout: 1000, caller: 'one' };
		dispatcher.wait(wanted(), options, {
			granted: notGranted,
			refused: () => {
				tickets[0]?.leave();
				lease.release();
			},
		});
		tickets.push(wait('left', {}, { timeout: 1000 }));
		wait('served', {}, { timeout: 1000 });
		time.mock.mockImplementation(() => 1000);
		clock.tick(1000);
		// What was decided meanwhile is told in a later turn, or with the next thing that happens.
		dispatcher.refuseAll('draining');
		assert.deepEqual(told, ['served:a']);
	});

	it('is never longer than the queue allows, nor than a timer can be', (t) => {
		const clock = withClock(t);
		const { told, wait } = dispatching({ timeout: 5000 });
		wait('w', {}, { timeout: Number.POSITIVE_INFINITY });
		clock.tick(5000);
		assert.deepEqual(told, ['w:queue_timeout']);
		const patient = dispatching({ timeout: 1e12 });
		patient.wait('w', {}, { timeout: 1e12 });
		clock.tick(1e6);
		assert.deepEqual(patient.told, []);
		patient.dispatcher.refuseAll('draining');
	});

	it('leaves no timer behind, however the waiting ended', async () => {
		const before = activeTimers();
		const { dispatcher, told, join, wait } = dispatching();
		wait('left').leave();
		wait('granted');
		join('a', 1);
		wait('free already').leave();
		wait('refused');
		assert.equal(activeTimers(), before + 1);
		dispatcher.refuseAll('draining');
		assert.equal(activeTimers(), before);
		const timedOut = new EventTarget();
		dispatcher.wait(
			wanted(),
			{ urgency: 3, timeout: 1, caller: 'one' },
			{ granted: notGranted, refused: (code) => timedOut.dispatchEvent(new Event(code)) },
		);
		await once(timedOut, 'queue_timeout');
		assert.equal(activeTimers(), before);
		assert.deepEqual(told, ['granted:a', 'refused:draining']);
	});
});

describe('a waiter that calls the dispatcher while it is told', () => {
	it('may release, wait, acquire and leave, and finds everything settled', async (t) => {
		const { dispatcher, told, leases, join, wait } = dispatching();
		end(t, dispatcher);
		const { membership } = join('a', 0);
		wait('1', {}, { onGranted: () => assert.equal(dispatcher.acquire(wanted()), 'busy') });
		wait(
			'2',
			{},
			{
				onGranted: (lease) => {
					third.leave();
					assert.equal(membership.leased, 3);
					lease.release();
					wait('5');
				},
			},
		);
		const third = wait('3');
		wait('4');
		wait('6');
		membership.setLimit(3);
		assert.deepEqual(told, ['1:a', '2:a']);
		await nextTurn();
		assert.deepEqual(told, ['1:a', '2:a', '4:a', '6:a']);
		leases.get('6')?.release();
		assert.deepEqual(told, ['1:a', '2:a', '4:a', '6:a', '5:a']);
		assert.equal(membership.leased, 3);
	});

	it('does not hold up the event loop by giving back and waiting again for ever', async () => {
		const { dispatcher, leases, told, join, wait } = dispatching();
		let stopped = false;
		const again = (lease: Lease<Agent>) => {
			lease.release();
			if (!stopped) wait('w', {}, { place: lease.place, onGranted: again });
		};
		wait('w', {}, { onGranted: again });
		join('a', 1);
		for (let turn = 0; turn < 5; turn++) await nextTurn();
		stopped = true;
		await nextTurn();
		assert.ok(told.length >= 5);
		assert.equal(dispatcher.waiting, 0);
		leases.get('w')?.release();
		assert.equal(dispatcher.stats().leased, 0);
	});

	it('does not keep the others from being told when it throws', async () => {
		const { told, join, wait } = dispatching();
		const { membership } = join('a', 0);
		const onGranted = mock.fn(() => {
			throw new Error('a fault');
		});
		wait('1', {}, { onGranted });
		wait('2');
		assert.throws(() => membership.setLimit(2), /a fault/);
		await nextTurn();
		assert.deepEqual(told, ['1:a', '2:a']);
		assert.equal(onGranted.mock.callCount(), 1);
	});
});

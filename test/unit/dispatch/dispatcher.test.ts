/** Who serves what: which agent is chosen, how slots are counted and given back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agent, dispatching, end, wanted } from '../../helpers/dispatching.ts';

describe('a request that does not wait', () => {
	it('gets no_agent when no agent is connected', () => {
		assert.equal(dispatching().dispatcher.acquire(wanted()), 'no_agent');
	});

	it('gets no_agent when no agent may serve it', () => {
		const { dispatcher, join } = dispatching();
		join('a', 1, { scopes: ['chat'] });
		join('b', 1, { scopes: ['images'], scopePaths: ['/v1/images/*'] });
		assert.equal(dispatcher.acquire(wanted({ scope: 'other' })), 'no_agent');
		assert.equal(dispatcher.acquire(wanted({ scope: 'images', path: '/v1/images/../chat' })), 'no_agent');
		assert.equal(typeof dispatcher.acquire(wanted({ scope: 'images', path: '/v1/images/1' })), 'object');
	});

	it('gets busy from an agent that has not told its limit, or is paused', () => {
		const { dispatcher, join } = dispatching();
		const membership = dispatcher.join(agent('a'));
		assert.equal(membership.limit, 0);
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		join('b', 0);
		assert.equal(dispatcher.acquire(wanted()), 'busy');
	});

	it('gets busy when all slots are leased', () => {
		const { dispatcher, join, acquire } = dispatching();
		const { membership } = join('a', 2);
		acquire();
		acquire();
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		assert.equal(membership.leased, 2);
	});

	it('gets no_agent when the only agent drains, and when it left', () => {
		const { dispatcher, join } = dispatching();
		const { membership } = join('a', 1);
		membership.drain();
		assert.equal(dispatcher.acquire(wanted()), 'no_agent');
		membership.leave();
		assert.equal(dispatcher.acquire(wanted()), 'no_agent');
	});

	it('passes over excluded agents, and gets busy when all are excluded', () => {
		const { dispatcher, join, acquire } = dispatching();
		const a = join('a', 2).member;
		const b = join('b', 2).member;
		assert.equal(acquire({}, new Set([a])).member, b);
		assert.equal(dispatcher.acquire(wanted(), new Set([a, b])), 'busy');
	});
});

describe('the choice', () => {
	it('is the largest free fraction across agents with different grants', () => {
		const { join, acquire } = dispatching();
		const small = join('small', 2, { scopes: ['x'] }).member;
		const big = join('big', 10, { scopes: ['x'], scopePaths: ['/*'] }).member;
		assert.deepEqual(
			[1, 2, 3, 4, 5, 6, 7].map(() => acquire({ scope: 'x' }).member),
			[small, big, big, big, big, big, small],
		);
	});

	it('takes turns among equals, the least recently used first', () => {
		const { join, acquire } = dispatching();
		for (const name of ['a', 'b', 'c']) join(name, 1);
		const served: string[] = [];
		for (let i = 0; i < 6; i++) {
			const lease = acquire();
			served.push(lease.member.name);
			lease.release();
		}
		assert.deepEqual(served, ['a', 'b', 'c', 'a', 'b', 'c']);
	});

	it('is the agent that served the affinity key last, if it is free', () => {
		const { join, acquire } = dispatching();
		const a = join('a', 4).member;
		join('b', 4);
		assert.equal(acquire({ affinity: 'k' }).member, a);
		assert.equal(acquire({ affinity: 'k' }).member, a);
		assert.equal(acquire({ affinity: 'k' }).member, a);
	});

	it('is another agent when that one is busy, which is then the one to prefer', () => {
		const { join, acquire } = dispatching();
		join('a', 1);
		const b = join('b', 2).member;
		const first = acquire({ affinity: 'k' });
		assert.equal(acquire({ affinity: 'k' }).member, b);
		first.release();
		assert.equal(acquire({ affinity: 'k' }).member, b);
	});

	it('is another agent when that one is excluded, draining or may not serve the request', () => {
		const { join, acquire } = dispatching();
		const a = join('a', 9, { scopePaths: ['/a', '/b'] });
		const b = join('b', 9, { scopePaths: ['/b', '/c'] });
		const key = { affinity: 'k' };
		assert.equal(acquire({ ...key, path: '/a' }).member, a.member);
		assert.equal(acquire({ ...key, path: '/b' }, new Set([a.member])).member, b.member);
		assert.equal(acquire({ ...key, path: '/a' }).member, a.member);
		assert.equal(acquire({ ...key, path: '/c' }).member, b.member);
		b.membership.drain();
		assert.equal(acquire({ ...key, path: '/b' }).member, a.member);
	});

	it('keeps affinity for an agent that comes back, also while its old tunnel drains', () => {
		const { join, acquire } = dispatching();
		const old = join('a', 4);
		join('b', 4);
		acquire({ affinity: 'k' });
		const back = join('a', 4);
		old.membership.drain();
		old.membership.leave();
		acquire();
		acquire();
		assert.equal(acquire({ affinity: 'k' }).member, back.member);
	});

	it('keeps the affinity of scopes apart', () => {
		const { join, acquire } = dispatching();
		const a = join('a', 9, { scopes: ['x', 'y'] }).member;
		const b = join('b', 9, { scopes: ['x', 'y'] }).member;
		assert.equal(acquire({ scope: 'x', affinity: 'k' }).member, a);
		assert.equal(acquire({ scope: 'y', affinity: 'k' }).member, b);
		assert.equal(acquire({ scope: 'x', affinity: 'k' }).member, a);
	});
});

describe('a lease', () => {
	it('may be released twice and counts once', () => {
		const { dispatcher, join, acquire } = dispatching();
		const { membership } = join('a', 2);
		const lease = acquire();
		acquire();
		lease.release();
		lease.release();
		assert.equal(membership.leased, 1);
		assert.equal(dispatcher.stats().leased, 1);
		acquire();
		assert.equal(dispatcher.acquire(wanted()), 'busy');
	});

	it('may be released after its agent drains or left', () => {
		const { dispatcher, join, acquire } = dispatching({ concurrent: 2 });
		const { membership } = join('a', 2);
		const leases = [acquire(), acquire()];
		membership.drain();
		assert.equal(membership.leased, 2);
		leases[0]?.release();
		assert.equal(membership.leased, 1);
		membership.leave();
		assert.equal(dispatcher.stats().leased, 1);
		leases[1]?.release();
		assert.deepEqual(dispatcher.stats(), { members: 0, slots: 0, leased: 0, waiting: 0 });
		assert.equal(dispatcher.acquire(wanted()), 'no_agent');
	});

	it('frees nothing while its agent is above a limit that was lowered', () => {
		const { dispatcher, join, acquire } = dispatching();
		const { membership } = join('a', 3);
		const leases = [acquire(), acquire(), acquire()];
		membership.setLimit(1);
		leases[0]?.release();
		leases[1]?.release();
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		leases[2]?.release();
		assert.equal(typeof dispatcher.acquire(wanted()), 'object');
	});

	it('goes on when its agent is paused, and the agent gets no more until it has a limit again', () => {
		const { dispatcher, join, acquire } = dispatching();
		const { membership } = join('a', 1);
		const lease = acquire();
		membership.setLimit(0);
		lease.release();
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		membership.setLimit(1);
		acquire();
	});

	it('is not given by an agent whose limit rises while it drains', () => {
		const { dispatcher, join } = dispatching();
		const { membership } = join('a', 0);
		membership.drain();
		membership.drain();
		membership.setLimit(5);
		assert.equal(dispatcher.acquire(wanted()), 'no_agent');
		assert.deepEqual(dispatcher.stats(), { members: 0, slots: 0, leased: 0, waiting: 0 });
	});
});

describe('the limit on all leases', () => {
	it('makes the request past it busy, or no_agent when no agent may serve it', () => {
		const { dispatcher, join, acquire } = dispatching({ concurrent: 2 });
		join('a', 9);
		acquire();
		const second = acquire();
		assert.equal(dispatcher.acquire(wanted()), 'busy');
		assert.equal(dispatcher.acquire(wanted({ scope: 'x' })), 'no_agent');
		second.release();
		acquire();
	});

	it('keeps waiters waiting though slots are free, and a release wakes the first of all of them', (t) => {
		const { dispatcher, told, leases, join, acquire, wait } = dispatching({ concurrent: 1 });
		end(t, dispatcher);
		join('a', 9, { scopes: ['x'] });
		join('b', 9, { scopes: ['y'] });
		const lease = acquire({ scope: 'x' });
		wait('1', { scope: 'x' });
		wait('2', { scope: 'y' });
		wait('3', { scope: 'y' }, { urgency: 1 });
		join('c', 9);
		assert.deepEqual(told, []);
		lease.release();
		assert.deepEqual(told, ['3:b']);
		leases.get('3')?.release();
		leases.get('1')?.release();
		assert.deepEqual(told, ['3:b', '1:a', '2:b']);
	});

	it('counts leases at agents that left until they are released', (t) => {
		const { dispatcher, told, join, acquire, wait } = dispatching({ concurrent: 1 });
		end(t, dispatcher);
		const { membership } = join('a', 1);
		const lease = acquire();
		membership.leave();
		join('b', 1);
		wait('w');
		assert.deepEqual(told, []);
		lease.release();
		assert.deepEqual(told, ['w:b']);
	});
});

it('the status counts agents, slots, leases and waiters', (t) => {
	const { dispatcher, join, acquire, wait } = dispatching();
	end(t, dispatcher);
	join('a', 2);
	const { membership } = join('b', 3, { scopes: ['x'] });
	join('c', 0);
	acquire();
	acquire({ scope: 'x' });
	wait('w', { scope: 'y' });
	assert.deepEqual(dispatcher.stats(), { members: 3, slots: 5, leased: 2, waiting: 1 });
	membership.drain();
	assert.deepEqual(dispatcher.stats(), { members: 2, slots: 2, leased: 2, waiting: 1 });
});

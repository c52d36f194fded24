/** Agents that others are preferred to: those that fail again and again, and those that came back a moment ago. */
import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import type { Membership } from '../../../src/dispatch/dispatcher.ts';
import { dispatching, end, wanted } from '../../helpers/dispatching.ts';
import { seeded } from '../../helpers/seeded.ts';

const standing = { setAsideAfter: 3, slowStart: 10_000 };

/** Gives `times` requests to agents and says that those of `failing` failed. */
function serve({ acquire }: ReturnType<typeof dispatching>, times: number, failing: string): string[] {
	const by: string[] = [];
	for (let i = 0; i < times; i++) {
		const lease = acquire();
		by.push(lease.member.name);
		lease.outcome = lease.member.name === failing ? 'failed' : 'served';
		lease.release();
	}
	return by;
}

it('an agent whose requests fail in a row is set aside and tried again, each time later', (t) => {
	mock.timers.enable({ apis: ['setTimeout'] });
	t.after(() => mock.timers.reset());
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	all.join('good', 1);
	all.join('bad', 1);
	assert.equal(serve(all, 10, 'bad').filter((name) => name === 'bad').length, 3);
	assert.deepEqual(new Set(serve(all, 10, 'bad')), new Set(['good']));
	mock.timers.tick(1000);
	assert.equal(serve(all, 10, 'bad').filter((name) => name === 'bad').length, 1, 'one try');
	mock.timers.tick(1999);
	assert.deepEqual(new Set(serve(all, 4, 'bad')), new Set(['good']));
	mock.timers.tick(1);
	assert.equal(serve(all, 10, '').filter((name) => name === 'bad').length, 5, 'it serves again');
	assert.equal(serve(all, 10, 'bad').filter((name) => name === 'bad').length, 3);
	mock.timers.tick(1000);
	assert.ok(serve(all, 2, 'bad').includes('bad'), 'its rests begin anew');
});

it('a failure that is followed by a success counts for nothing', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	all.join('good', 1);
	all.join('bad', 1);
	for (let i = 0; i < 10; i++) {
		serve(all, 4, 'bad');
		serve(all, 2, '');
	}
	assert.ok(serve(all, 2, '').includes('bad'));
});

it('the last agent is never set aside, nor left so when the others go', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	all.join('bad', 1);
	assert.equal(serve(all, 10, 'bad').length, 10);
	const { membership } = all.join('good', 1);
	serve(all, 10, 'bad');
	assert.deepEqual(new Set(serve(all, 4, 'bad')), new Set(['good']));
	const held = all.acquire();
	all.wait('w');
	assert.deepEqual(all.told, []);
	membership.leave();
	assert.deepEqual(all.told, ['w:bad']);
	held.release();
	all.leases.get('w')?.release();
});

it('others go before an agent that came back, but it is not left idle while somebody waits', (t) => {
	mock.timers.enable({ apis: ['setTimeout'] });
	t.after(() => mock.timers.reset());
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	const { membership } = all.join('returning', 4);
	all.join('steady', 2);
	membership.leave();
	all.join('returning', 4);
	const leases = [all.acquire(), all.acquire(), all.acquire()];
	assert.deepEqual(
		leases.map(({ member }) => member.name),
		['steady', 'steady', 'returning'],
	);
	for (const lease of leases) lease.release();
	mock.timers.tick(10_000);
	assert.deepEqual(
		[all.acquire(), all.acquire()].map(({ member }) => member.name),
		['steady', 'returning'],
	);
});

it('an agent whose upstream is failing is passed over while another is sound, and used while none is', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	const ill = all.join('ill', 2).membership;
	const other = all.join('other', 1).membership;
	ill.setFault('failing');
	const held = all.acquire();
	assert.equal(held.member.name, 'other');
	assert.equal(all.dispatcher.acquire(wanted()), 'busy');
	assert.equal(all.dispatcher.stats().slots, 1);
	other.setFault('failing');
	assert.equal(all.acquire().member.name, 'ill');
	other.setFault('none');
	assert.equal(all.dispatcher.acquire(wanted()), 'busy');
	ill.setFault('none');
	assert.equal(all.acquire().member.name, 'ill');
	held.release();
});

it('an agent whose upstream is down gets nothing, the last as little as others, though it has slots', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	const { member, membership } = all.join('a', 2);
	membership.setFault('down');
	assert.equal(all.dispatcher.acquire(wanted()), 'down');
	assert.equal(all.dispatcher.anyFor(wanted()), member);
	assert.equal(all.dispatcher.acquire(wanted({ scope: 'x' })), 'no_agent');
	assert.equal(all.dispatcher.anyFor(wanted({ scope: 'x' })), undefined);
	all.wait('w');
	assert.deepEqual(all.told, []);
	membership.setFault('none');
	assert.deepEqual(all.told, ['w:a']);
});

it('it is busy, not down, while one of those that may serve is well', () => {
	const { dispatcher, join } = dispatching({ standing });
	join('a', 0);
	const narrow = join('b', 1, { scopePaths: ['/v1/*'] }).membership;
	narrow.setFault('down');
	assert.equal(dispatcher.acquire(wanted({ path: '/v1/x' })), 'busy');
});

it('with setAsideLast also the last is left alone, for failing and for failures in a row', (t) => {
	mock.timers.enable({ apis: ['setTimeout'] });
	t.after(() => mock.timers.reset());
	const all = dispatching({ standing: { ...standing, setAsideLast: true } });
	end(t, all.dispatcher);
	const { membership } = all.join('last', 1);
	membership.setFault('failing');
	assert.equal(all.dispatcher.acquire(wanted()), 'down');
	membership.setFault('none');
	serve(all, 3, 'last');
	assert.equal(membership.aside, true);
	assert.equal(all.dispatcher.acquire(wanted()), 'down');
	mock.timers.tick(1000);
	assert.equal(all.acquire().member.name, 'last');
});

it('a change of setAsideLast holds at once', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	all.join('last', 1).membership.setFault('failing');
	const options = { concurrent: 0, queue: { max: 8, timeout: 60_000 } };
	all.dispatcher.configure({ ...options, standing: { ...standing, setAsideLast: true } });
	assert.equal(all.dispatcher.acquire(wanted()), 'down');
	all.wait('w');
	all.dispatcher.configure({ ...options, standing });
	assert.deepEqual(all.told, ['w:last']);
});

it('who was set aside for failures is an equal again once it says that its upstream is up', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	all.join('good', 1);
	const { membership } = all.join('bad', 1);
	serve(all, 10, 'bad');
	assert.equal(membership.aside, true);
	membership.setFault('down');
	membership.setFault('none');
	assert.equal(membership.aside, false);
	assert.equal(serve(all, 6, 'bad').filter((name) => name === 'bad').length, 3, 'its failures are forgotten');
});

it('while only such are left as were set aside or are failing, those that failed are tried first', (t) => {
	const all = dispatching({ standing });
	end(t, all.dispatcher);
	const good = all.join('good', 1).membership;
	const bad = all.join('bad', 1).membership;
	serve(all, 10, 'bad');
	good.setFault('failing');
	assert.equal(bad.aside, false);
	assert.deepEqual(new Set(serve(all, 4, '')), new Set(['bad']));
});

it('a queue that waits for upstreams holds as many as one that waits for agents', (t) => {
	const all = dispatching({ standing, max: 5, maxWithoutAgent: 1 });
	end(t, all.dispatcher);
	all.join('a', 1).membership.setFault('down');
	all.wait('w');
	const waiter = { granted: () => assert.fail(), refused: () => undefined };
	assert.equal(all.dispatcher.wait(wanted(), { urgency: 3, timeout: 1000, caller: 'c' }, waiter), 'queue_full');
});

it('who may be chosen is right after whatever came, went and fell ill', (t) => {
	const random = seeded(11);
	const all = dispatching({ standing: { setAsideAfter: 0, slowStart: 0 } });
	end(t, all.dispatcher);
	const grants = [{}, { scopes: ['s'] }, { scopes: ['s', 't'] }];
	const faults = ['none', 'failing', 'down'] as const;
	const present: Array<{ name: string; group: number; fault: (typeof faults)[number]; membership: Membership }> = [];
	for (let step = 0; step < 3000; step++) {
		const one = present[random(Math.max(1, present.length))];
		if (one === undefined || (random(4) === 0 && present.length < 8)) {
			const group = random(3);
			present.push({
				name: `${step}`,
				group,
				fault: 'none',
				membership: all.join(`${step}`, 1, grants[group]).membership,
			});
		} else if (random(4) === 0) {
			present.splice(present.indexOf(one), 1);
			one.membership.leave();
		} else {
			one.fault = faults[random(3)] ?? 'none';
			one.membership.setFault(one.fault);
		}
		for (const scope of [undefined, 's', 't']) {
			const eligible = present.filter(({ group }) => scope === undefined || (scope === 's' ? group > 0 : group === 2));
			const may = eligible.filter(
				({ fault, group }) =>
					fault === 'none' ||
					(fault === 'failing' && !present.some((other) => other.group === group && other.fault === 'none')),
			);
			const lease = all.dispatcher.acquire(wanted({ scope }));
			if (typeof lease === 'string') assert.equal(lease, eligible.length === 0 ? 'no_agent' : 'down', `step ${step}`);
			assert.equal(typeof lease === 'object', may.length > 0, `step ${step}`);
			if (typeof lease !== 'object') continue;
			assert.ok(
				may.some(({ name }) => name === lease.member.name),
				`step ${step}`,
			);
			lease.release();
		}
	}
});

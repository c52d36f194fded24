/** Agents that others are preferred to: those that fail again and again, and those that came back a moment ago. */
import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import { dispatching, end } from '../../helpers/dispatching.ts';

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

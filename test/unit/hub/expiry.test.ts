import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import { whenPast } from '../../../src/hub/expiry.ts';

const DAY = 86_400_000;

it('a moment is told of when it has come, once, also if no timer reaches so far', (t) => {
	mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
	t.after(() => mock.timers.reset());
	let told = 0;
	whenPast(Date.now() + 40 * DAY, () => told++);
	for (let day = 0; day < 40; day++) {
		assert.equal(told, 0);
		mock.timers.tick(DAY - 1);
	}
	assert.equal(told, 0);
	mock.timers.tick(40);
	assert.equal(told, 1);
	mock.timers.tick(DAY);
	assert.equal(told, 1);
});

it('one that is past is told of at once, but not from within, and one that was ended never', (t) => {
	mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
	t.after(() => mock.timers.reset());
	const told: string[] = [];
	whenPast(Date.now() - 5, () => told.push('past'));
	const end = whenPast(Date.now() + 5, () => told.push('ended'));
	assert.deepEqual(told, []);
	mock.timers.tick(1);
	assert.deepEqual(told, ['past']);
	end();
	mock.timers.tick(DAY);
	assert.deepEqual(told, ['past']);
});

/** When a tunnel counts as dead, by the clock. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AGENT_DEFAULTS } from '../../../src/agent/options.ts';
import type { Session } from '../../../src/h2/session.ts';
import { HUB_DEFAULTS } from '../../../src/hub/options.ts';
import { Heartbeat } from '../../../src/tunnel/heartbeat.ts';

function beating(t: TestContext) {
	t.mock.timers.enable({ apis: ['setInterval'] });
	let time = 0;
	t.mock.method(performance, 'now', () => time);
	const session = { received: 0, progress: 0, pings: 0, ping: () => session.pings++ };
	const deaths: number[] = [];
	const { heartbeat } = HUB_DEFAULTS;
	const one = new Heartbeat(session as unknown as Session, heartbeat, () => deaths.push(time));
	t.after(() => one.stop());
	const pass = (ms: number) => {
		for (let step = 0; step < ms; step += 100) {
			time += 100;
			t.mock.timers.tick(100);
		}
	};
	const jump = (ms: number) => {
		time += ms;
	};
	return { session, deaths, pass, jump };
}

test('by default both ends notice within 20 s that nothing comes any more, at whatever moment it stopped', (t) => {
	assert.deepEqual(HUB_DEFAULTS.heartbeat, AGENT_DEFAULTS.heartbeat);
	const { session, deaths, pass } = beating(t);
	for (let i = 0; i < 7; i++) {
		session.received++;
		pass(700 + 1900 * i);
		assert.deepEqual(deaths, []);
	}
	session.received++;
	pass(15_000);
	assert.deepEqual(deaths, [], 'not before it was asked and had its time to answer');
	pass(5000);
	// The clock of the test goes on telling of an interval that was cleared from within.
	assert.ok(deaths.length > 0);
});

test('whoever sends a byte, or takes one of ours, before its time is over lives', (t) => {
	for (const sign of ['received', 'progress'] as const) {
		const { session, deaths, pass } = beating(t);
		for (let i = 0; i < 20; i++) {
			session[sign]++;
			pass(14_000);
		}
		assert.deepEqual(deaths, []);
		assert.ok(session.pings >= 19);
		t.mock.reset();
	}
});

test('a clock that jumps, as with a machine that slept, gives the peer its whole time to answer', (t) => {
	const { session, deaths, pass, jump } = beating(t);
	pass(3000);
	jump(3_600_000);
	pass(1000);
	assert.equal(session.pings, 1);
	pass(4500);
	assert.deepEqual(deaths, []);
	session.received++;
	pass(9000);
	assert.deepEqual(deaths, []);
});

test('a process that stood still while a peer was asked reads the answer before it judges', (t) => {
	const { session, deaths, pass, jump } = beating(t);
	pass(10_500);
	assert.equal(session.pings, 1);
	jump(3_600_000);
	pass(3000);
	assert.deepEqual(deaths, []);
	session.received++;
	pass(9000);
	assert.deepEqual(deaths, []);
	assert.equal(session.pings, 1);
});

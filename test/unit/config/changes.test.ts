/** What a reload takes over, and what waits for a restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, isLive } from '../../../src/config/changes.ts';
import { DETAILS } from '../../../src/config/keys.ts';
import { folder } from '../../helpers/configuring.ts';

test('every key is taken over while a hub or an agent runs, but for a few', () => {
	assert.deepEqual(
		[...DETAILS.keys()].filter((key) => !isLive(key)),
		['hub.auditLog', 'hub.stateDir', 'hub.startGrace', 'agent.stateDir'],
	);
	assert.ok(['hub.keys[3].keyFile', 'agents[0].token', 'agents[2].heartbeat.interval', 'log.level'].every(isLive));
});

test('what has changed is told by the names of the keys, secrets among them, and never by their values', async (t) => {
	const { hub } = await folder(t);
	const yaml = (more: string) => `hub:\n  secretFile: secret\n  ${more}\n`;
	const before = await hub({ yaml: yaml('port: 1'), files: { secret: 'one of more than 16' } });
	const after = await hub({
		yaml: yaml('queue: {max: 7}\n  stateDir: there\n  keys: [{name: a, key: a key of more than 16}]'),
		files: { secret: 'two of more than 16' },
		env: { SLIME_LOG_LEVEL: 'warn' },
	});
	const { live, restart } = changesOf(before.values, after.values);
	const withoutKeys = live.filter((key) => !key.startsWith('hub.keys[0].'));
	assert.deepEqual(withoutKeys, ['hub.port', 'hub.queue.max', 'hub.secret', 'log.level']);
	assert.ok(live.includes('hub.keys[0].key'));
	assert.ok(!live.join().includes('16'));
	assert.deepEqual(restart, ['hub.stateDir']);
	const fixed = changesOf(before.values, after.values, (key) => key === 'hub.port');
	assert.deepEqual(fixed.restart, ['hub.port', 'hub.stateDir']);
	assert.deepEqual(changesOf(after.values, after.values), { live: [], restart: [] });
});

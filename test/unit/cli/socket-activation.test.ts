/** Which of the sockets that systemd passes is for whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeSockets } from '../../../src/cli/socket-activation.ts';

function taken(fds: string, names?: string, pid = '7') {
	const env = { LISTEN_PID: pid, LISTEN_FDS: fds, ...(names !== undefined && { LISTEN_FDNAMES: names }), PATH: '/' };
	try {
		return takeSockets(env, 7);
	} finally {
		assert.deepEqual(Object.keys(env), ['PATH'], 'no child takes them for its own');
	}
}

test('sockets are known by their names, and one that has another is for applications', () => {
	assert.deepEqual(taken('3', 'admin:apps:agents'), { admin: 3, apps: 4, agents: 5 });
	assert.deepEqual(taken('2', 'agents:slime-hub.socket'), { agents: 3, apps: 4 });
	assert.deepEqual(taken('1', 'unknown'), { apps: 3 });
	assert.deepEqual(taken('1'), { apps: 3 });
	assert.deepEqual(taken('1', 'admin'), { admin: 3 });
});

test('sockets of another process are left alone, and none are none', () => {
	assert.equal(taken('1', 'apps', '8'), undefined);
	assert.equal(taken('0'), undefined);
	assert.equal(takeSockets({ LISTEN_FDS: '1' }, 7), undefined);
	assert.equal(takeSockets({}, 7), undefined);
});

test('what a hub cannot use is a mistake that says what to write', () => {
	assert.throws(() => taken('2', 'apps:apps'), /two sockets were passed for apps: write one ListenStream= a unit/);
	assert.throws(() => taken('2'), /two sockets were passed for apps/);
	assert.throws(() => taken('1', 'connection'), /Accept=no/);
	assert.throws(() => taken('many'), /LISTEN_FDS is not a number of sockets/);
});

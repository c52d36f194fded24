/** Sockets that the real systemd-socket-activate opens and passes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { APPS, AppLoad } from '../helpers/app-load.ts';
import { startCli } from '../helpers/cli.ts';
import { joined } from '../helpers/hub-process.ts';
import { findProgram } from '../helpers/peer-process.ts';
import { closedPort } from '../helpers/ports.ts';
import { ask, eventually, SECRET, upstream } from '../helpers/stack.ts';

const LIMIT = { timeout: 90_000 };
const PROGRAM = () => findProgram('systemd-socket-activate', 'systemd');

test(
	'a hub that is started by its first app serves applications, agents and operators each on their own socket',
	LIMIT,
	async (t) => {
		const [apps, agents, admin] = [await closedPort(), await closedPort(), await closedPort()];
		const listen = [apps, agents, admin].map((port) => `-l 127.0.0.1:${port}`).join(' ');
		const shell = `exec ${PROGRAM()} ${listen} --fdname=apps:agents:admin -E SLIME_HUB_SECRET "$0" "$@"`;
		const hub = startCli(['hub', 'run', '--host', '203.0.113.1', '--port', '1'], {
			shell,
			env: { SLIME_HUB_SECRET: SECRET },
		});
		t.after(() => hub.child.kill('SIGKILL'));
		await eventually('it listens', () => /Listening on/.test(hub.stderr));
		const service = await upstream(t, (_req, res) => res.end('served'));
		// Nobody runs yet: it waits in the backlog, and then for an agent.
		const first = ask(apps);
		const [line] = await hub.output(/.*the hub listens.*/);
		const { url, agentUrl, adminPort } = JSON.parse(line);
		assert.deepEqual([url, agentUrl, adminPort], [`http://127.0.0.1:${apps}`, `http://127.0.0.1:${agents}`, admin]);
		await joined(t, agents, [service.address]);
		assert.equal((await first).body, 'served');
		assert.equal((await ask(agents)).status, 404);
		assert.equal((await ask(admin, '/healthz')).status, 200);
		hub.child.kill('SIGTERM');
		assert.equal((await hub.exit).code, 0);
	},
);

test(
	'a hub is restarted under load on a socket of systemd-socket-activate, and no app sees an error',
	LIMIT,
	async (t) => {
		const port = await closedPort();
		// As a service with Restart=always: the next hub is started when one has ended.
		const hubs =
			'while sh -c "echo process \\$\\$; LISTEN_PID=\\$\\$ exec \\"\\$0\\" \\"\\$@\\"" "$0" "$@"; do :; done';
		const shell = `exec ${PROGRAM()} -l 127.0.0.1:${port} -E SLIME_HUB_SECRET sh -c '${hubs}' "$0" "$@"`;
		const all = startCli(['hub', 'run', '--adminPort', 'off'], {
			shell,
			env: { SLIME_HUB_SECRET: SECRET },
			limit: 90_000,
		});
		let pid: number | undefined;
		t.after(() => {
			// A hub that was killed ends the loop.
			if (pid === undefined) all.child.kill('SIGKILL');
			else process.kill(pid, 'SIGKILL');
		});
		await eventually('it listens', () => /Listening on/.test(all.stderr));
		const service = await upstream(t, (_req, res) => {
			res.write('part');
			setTimeout(() => res.end('rest'), 3);
		});
		const early = connect(port, '127.0.0.1');
		await once(early, 'connect');
		const [, first = ''] = await all.output(/process (\d+)/);
		pid = Number(first);
		await joined(t, port, [service.address], { numWorker: APPS + 2 });
		const load = new AppLoad(t, port);
		await load.more(50);
		process.kill(pid, 'SIGTERM');
		const [, second = ''] = await all.output(/"stopped"[\s\S]*process (\d+)/);
		pid = Number(second);
		await load.more(50);
		await load.stop();
		early.destroy();
		assert.notEqual(first, second);
		assert.deepEqual(load.failures, []);
		assert.ok(service.peak <= APPS + 2);
	},
);

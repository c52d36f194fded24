/**
 * A listening socket that outlives the hubs to which it is passed, as a `.socket` unit's does. Node would accept on it itself, so it
 * is held by shells, each of which waits until it is to become a hub.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { type CliProcess, startCli } from './cli.ts';
import { SECRET } from './stack.ts';

/** What systemd sets, and then the program in place of the shell, once a line comes. */
const BECOME = 'read -r line; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"';

export class PassedSocket {
	readonly port: number;
	readonly #waiting: CliProcess[];

	private constructor(port: number, waiting: CliProcess[]) {
		this.port = port;
		this.#waiting = waiting;
	}

	/** @param hubs that may be started, one after the other or side by side */
	static async open(
		context: TestContext,
		hubs: number,
		env: Readonly<Record<string, string>> = {},
	): Promise<PassedSocket> {
		const server = createServer();
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		const { port } = server.address() as AddressInfo;
		const fd: number = Reflect.get(Reflect.get(server, '_handle'), 'fd');
		const options = { limit: 300_000, shell: BECOME, stdin: true, passed: [fd] };
		// One more than there will be hubs: it holds the socket to the end.
		const waiting = Array.from({ length: hubs + 1 }, () =>
			startCli(['hub', 'run', '--adminPort', 'off'], { ...options, env: { SLIME_HUB_SECRET: SECRET, ...env } }),
		);
		server.close();
		context.after(async () => {
			for (const { child } of waiting) child.kill('SIGKILL');
			await Promise.all(waiting.map(({ exit }) => exit));
		});
		return new PassedSocket(port, [...waiting]);
	}

	/** Starts a hub; it listens when this resolves. */
	async startHub(): Promise<CliProcess> {
		const hub = this.#waiting.shift();
		if (hub === undefined || this.#waiting.length === 0) throw new Error('no shell is left to become a hub');
		hub.child.stdin?.write('\n');
		await hub.output(/the hub listens/);
		return hub;
	}
}

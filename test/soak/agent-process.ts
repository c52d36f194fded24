/** Agents that are processes, run from source: they can be stopped and killed. They end with the test, and with this process however that ends. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CliProcess, startNode } from '../helpers/cli.ts';
import type { OwnProcess, Runner } from './runner.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** In milliseconds, the longest there is: what ends it is the soak. */
const NO_LIMIT = 2 ** 31 - 1;
/** A process that is stopped notices nothing, so the system kills it; the second shell, in case this process ended before that was said. */
const ENDS_WITH_US = `exec setpriv --pdeathsig KILL /bin/sh -c 'test "$PPID" = ${process.pid} && exec "$0" "$@"' "$0" "$@"`;
const TUNNEL_NEWS =
	/"msg":"(?:(connected)"|disconnected: |the hub is leaving|another agent with this token and this id took our place)/g;

export interface AgentProcessOptions {
	readonly token: string;
	readonly hub: string;
	readonly upstream: string;
	readonly id: string;
	readonly numWorker: number;
	readonly heartbeat: { readonly interval: number; readonly timeout: number };
	/** Milliseconds. */
	readonly drainTimeout: number;
	readonly connectTimeout: number;
}

export class AgentProcesses {
	/** Also those that are not heard of yet. */
	readonly #running = new Set<CliProcess>();
	#over = false;

	constructor(context: TestContext) {
		context.after(async () => {
			this.#over = true;
			for (const { child } of this.#running) child.kill('SIGKILL');
			await Promise.all([...this.#running].map(({ exit }) => exit));
		});
	}

	/** Resolves when it has begun to connect. */
	async start(options: AgentProcessOptions): Promise<Runner> {
		assert.ok(!this.#over, 'nothing starts any more');
		const { token, hub, upstream, id, numWorker, heartbeat, drainTimeout, connectTimeout } = options;
		const env = {
			SLIME_AGENT_TOKEN: token,
			SLIME_AGENT_REPORT_HARDWARE: 'false',
			SLIME_AGENT_HEARTBEAT_INTERVAL: `${heartbeat.interval}ms`,
			SLIME_AGENT_HEARTBEAT_TIMEOUT: `${heartbeat.timeout}ms`,
			SLIME_AGENT_DRAIN_TIMEOUT: `${drainTimeout}ms`,
			SLIME_AGENT_CONNECT_TIMEOUT: `${connectTimeout}ms`,
		};
		const to = ['--hub', hub, '--upstream', upstream, '--agentID', id, '--numWorker', `${numWorker}`];
		const started = startNode([MAIN, 'agent', 'run', ...to], { env, limit: NO_LIMIT, shell: ENDS_WITH_US });
		this.#running.add(started);
		started.child.once('close', () => this.#running.delete(started));
		await started.output(/"agent started"/);
		return new AgentProcess(started);
	}
}

class AgentProcess implements Runner, OwnProcess {
	readonly #process: CliProcess;

	constructor(process: CliProcess) {
		this.#process = process;
	}

	get connected(): boolean {
		const [, connected] = [...this.#process.stdout.matchAll(TUNNEL_NEWS)].at(-1) ?? [];
		return connected !== undefined;
	}

	said(sentence: string): number {
		return this.#process.stdout.split(sentence).length - 1;
	}

	get own(): OwnProcess {
		return this;
	}

	get pid(): number {
		const { pid } = this.#process.child;
		assert.ok(pid !== undefined);
		return pid;
	}

	stop(): void {
		this.#signal('SIGSTOP');
	}

	goOn(): void {
		this.#signal('SIGCONT');
	}

	async drain(): Promise<void> {
		this.#signal('SIGTERM');
		const { code, stdout, stderr } = await this.#process.exit;
		assert.equal(code, 0, `${stdout}${stderr}`);
	}

	async close(): Promise<void> {
		this.#signal('SIGKILL');
		await this.#process.exit;
	}

	/** Whatever it suffers, it ends by a signal only. */
	#signal(signal: NodeJS.Signals): void {
		const { child, stdout, stderr } = this.#process;
		assert.ok(child.exitCode === null && child.signalCode === null, `an agent ended by itself: ${stdout}${stderr}`);
		child.kill(signal);
	}
}

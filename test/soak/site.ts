/** One place of a soak: an agent with its upstream, behind a proxy, that all kinds of misfortune befall. */
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, createAgent, type Logger } from '../../src/index.ts';
import { cutSocket } from '../../src/shared/cut-socket.ts';
import { FaultProxy, type Line, type Way } from '../helpers/fault-proxy.ts';
import { bytesOf, type Ledger } from '../helpers/ledger.ts';
import { eventually, listenOn } from '../helpers/stack.ts';

export interface SiteOptions {
	readonly port: number;
	readonly token: string;
	readonly id: string;
	readonly upstream: string;
	/** Leads to this machine, mostly. */
	readonly hubName: string;
	readonly numWorker: number;
	/** Requests at the upstream. */
	readonly active: () => number;
	readonly heartbeat: { readonly interval: number; readonly timeout: number };
	readonly below: (below: number) => number;
	readonly logger: Logger;
}

const LINES: readonly Line[] = [{ delay: 20, jitter: 20 }, { rate: 1_000_000 }, { singleBytes: true }, {}];

export class Site {
	readonly proxy: FaultProxy;
	readonly #options: SiteOptions;
	#agents: Agent[] = [];

	private constructor(proxy: FaultProxy, options: SiteOptions) {
		this.proxy = proxy;
		this.#options = options;
	}

	static async open(context: TestContext, options: SiteOptions): Promise<Site> {
		const site = new Site(await FaultProxy.open(context, options.port, { seed: options.below(1_000_000) }), options);
		context.after(() => site.close());
		await site.#start();
		return site;
	}

	get connected(): boolean {
		return this.#agents.some((agent) => agent.connected > 0);
	}

	/** One misfortune, to its end. @returns its name */
	async suffer(): Promise<string> {
		const { below } = this.#options;
		const { proxy } = this;
		const how = below(2) === 0 ? 'fin' : 'reset';
		const way: Way = below(2) === 0 ? 'toHub' : 'toAgent';
		switch (below(8)) {
			case 0:
				proxy.cut(how);
				return `cut by ${how}`;
			case 1:
				proxy.cutAfter(way, 1 + below(100_000), how);
				return `cut by ${how} at a byte`;
			case 2:
				proxy.freeze(below(2) === 0 ? 'both' : way);
				await sleep(below(2500));
				proxy.thaw();
				return 'frozen';
			case 3:
				// An agent that is told comes back, and takes the place of its own tunnel.
				proxy.halfOpen(below(2) === 0 ? 'hub' : 'agent');
				return 'half open';
			case 4:
				proxy.line = LINES[below(LINES.length)] as Line;
				await sleep(below(2000));
				proxy.line = {};
				return 'another line';
			case 5:
				proxy.newcomers = below(2) === 0 ? 'reset' : 'silence';
				proxy.cut(how);
				await sleep(below(1000));
				proxy.newcomers = 'pass';
				return 'unreachable';
			case 6:
				return this.#replace('drained', (agent) => agent.drain());
			default:
				return this.#replace('ended', (agent) => agent.close());
		}
	}

	/** As it was at the start: agents that back off after many losses start over. */
	async recover(): Promise<void> {
		this.proxy.thaw();
		this.proxy.line = {};
		this.proxy.newcomers = 'pass';
		await this.#replace('', (agent) => agent.drain());
	}

	async close(): Promise<void> {
		await Promise.all(this.#agents.map((agent) => agent.close()));
		this.proxy.close();
	}

	async #replace(what: string, end: (agent: Agent) => Promise<void>): Promise<string> {
		const before = this.#agents;
		this.#agents = [];
		await Promise.all(before.map(end));
		// What counts the workers ends with the process; nobody starts the next one within the same millisecond.
		await eventually('the upstream is idle', () => this.#options.active() === 0);
		await this.#start();
		return what;
	}

	async #start(): Promise<void> {
		const { token, id, upstream, hubName, numWorker, heartbeat, logger } = this.#options;
		this.#agents.push(
			await createAgent({
				token,
				hubs: [this.proxy.url.replace('127.0.0.1', hubName)],
				upstreams: [upstream],
				agentID: id,
				numWorker,
				heartbeat,
				drainTimeout: 3000,
				connectTimeout: 1000,
				reportHardware: false,
				logger,
			}),
		);
	}
}

/** An upstream that never answers as it should: it hangs, closes, resets, talks nonsense, or sends too much of a head. */
export async function badUpstream(
	context: TestContext,
	ledger: Ledger,
	below: (below: number) => number,
): Promise<{ address: string; close(): void }> {
	const answers: ReadonlyArray<(socket: Socket, id: number) => void> = [
		(socket) => setTimeout(() => socket.destroy(), below(500)),
		(socket) => socket.end(),
		(socket) => cutSocket(socket),
		(socket) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'),
		(socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300 * 1024)}\r\n\r\n`),
		(socket, id) => {
			socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
			socket.end(bytesOf(id, 0, 1));
		},
	];
	const server = createServer((socket) => {
		// How it ends is of no interest.
		socket.on('error', () => undefined);
		let head = '';
		const read = (chunk: Buffer) => {
			head += chunk.toString('latin1');
			if (!head.includes('\r\n\r\n')) return;
			socket.off('data', read).resume();
			const id = Number(/[?&]id=(\d+)/.exec(head)?.[1]);
			ledger.started(id);
			answers[below(answers.length)]?.(socket, id);
		};
		socket.on('data', read);
	});
	const port = await listenOn(context, server);
	return { address: `127.0.0.1:${port}`, close: () => void server.close() };
}

/** A TCP proxy between an agent and its hub that does to bytes what networks do: cuts, freezes, delays, narrows, breaks into pieces. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { cutSocket } from '../../src/shared/cut-socket.ts';
import { seeded } from './seeded.ts';

export type Way = 'toHub' | 'toAgent';

/** How the line is. May be changed at any time, for what comes from then on. */
export interface Line {
	/** Milliseconds that each byte is under way, and at most so many more by chance; order is kept. */
	readonly delay?: number;
	readonly jitter?: number;
	/** Bytes a second each way. */
	readonly rate?: number;
	/** Every byte on its own, one a turn of the event loop. */
	readonly singleBytes?: boolean;
}

/** What a narrow line holds, as the queue of a router before it; past it the sender is not read any more. */
const MOST_HELD = 256 * 1024;
/** A narrow line passes pieces of at most so many bytes. */
const PIECE = 8 * 1024;

/** One direction of one connection. */
class Pump {
	readonly #from: Socket;
	readonly #to: Socket;
	readonly #line: () => Line;
	readonly #below: (below: number) => number;
	#queue: Array<{ readonly due: number; chunk: Buffer | null }> = [];
	#held = 0;
	#lastDue = 0;
	#timer: NodeJS.Timeout | undefined;
	#turn: NodeJS.Immediate | undefined;
	#frozen = false;
	#stopped = false;
	#full = false;
	#cutIn: { left: number; readonly cut: () => void } | null = null;

	constructor(from: Socket, to: Socket, line: () => Line, below: (below: number) => number) {
		this.#from = from;
		this.#to = to;
		this.#line = line;
		this.#below = below;
		from.on('data', (chunk) => this.#put(chunk));
		from.on('end', () => this.#put(null));
		to.on('drain', () => {
			this.#full = false;
			this.#deliver();
		});
	}

	freeze(): void {
		this.#frozen = true;
		this.#from.pause();
	}

	thaw(): void {
		if (!this.#frozen) return;
		this.#frozen = false;
		this.#from.resume();
		this.#deliver();
	}

	/** Passes nothing more. */
	stop(): void {
		this.#stopped = true;
		this.#frozen = false;
		this.#queue = [];
		clearTimeout(this.#timer);
		clearImmediate(this.#turn);
	}

	cutAfter(bytes: number, cut: () => void): void {
		this.#cutIn = { left: bytes, cut };
	}

	#put(chunk: Buffer | null): void {
		if (this.#stopped) return;
		const { delay = 0, jitter = 0, rate } = this.#line();
		const arrival = performance.now() + delay + (jitter > 0 ? this.#below(jitter * 1000) / 1000 : 0);
		const step = rate === undefined || chunk === null ? (chunk?.length ?? 0) : PIECE;
		for (let at = 0; chunk === null || at < chunk.length; at += step) {
			const piece = chunk?.subarray(at, at + step) ?? null;
			const taken = rate === undefined ? 0 : (1000 * (piece?.length ?? 0)) / rate;
			this.#lastDue = Math.max(arrival, this.#lastDue + taken);
			this.#queue.push({ due: this.#lastDue, chunk: piece });
			if (chunk === null) break;
		}
		this.#held += chunk?.length ?? 0;
		if (rate !== undefined && this.#held > MOST_HELD) this.#from.pause();
		if (this.#timer === undefined && this.#turn === undefined) this.#deliver();
	}

	#deliver(): void {
		clearTimeout(this.#timer);
		clearImmediate(this.#turn);
		this.#timer = undefined;
		this.#turn = undefined;
		while (!this.#stopped && !this.#frozen && !this.#full) {
			const next = this.#queue[0];
			if (next === undefined) break;
			const wait = next.due - performance.now();
			if (wait > 0) {
				this.#timer = setTimeout(() => this.#deliver(), wait);
				return;
			}
			if (next.chunk === null) {
				this.#queue.shift();
				this.#to.end();
			} else if (this.#line().singleBytes && next.chunk.length > 1) {
				this.#write(next.chunk.subarray(0, 1));
				next.chunk = next.chunk.subarray(1);
				this.#turn = setImmediate(() => this.#deliver());
				return;
			} else {
				this.#queue.shift();
				this.#write(next.chunk);
			}
		}
		if (!this.#frozen && !this.#stopped && this.#held <= MOST_HELD / 2) this.#from.resume();
	}

	#write(chunk: Buffer): void {
		this.#held -= chunk.length;
		const cutting = this.#cutIn;
		if (cutting !== null && chunk.length >= cutting.left) {
			this.#cutIn = null;
			this.#to.write(chunk.subarray(0, cutting.left), cutting.cut);
			this.stop();
			return;
		}
		if (cutting !== null) cutting.left -= chunk.length;
		this.#full = !this.#to.write(chunk);
	}
}

interface Connection {
	readonly agent: Socket;
	readonly hub: Socket;
	readonly toHub: Pump;
	readonly toAgent: Pump;
	/** The two sockets do not share their ends any more. */
	parted: boolean;
}

export interface FaultProxyOptions {
	readonly seed?: number;
	readonly line?: Line | undefined;
}

export class FaultProxy {
	line: Line;
	/** What happens to connections that come: `reset` as if nobody listened, `silence` as if packets were dropped. */
	newcomers: 'pass' | 'reset' | 'silence' = 'pass';
	/** Connections that ever came. */
	accepted = 0;
	/** Where they go; another hub may take the place of the first. */
	target: number;
	readonly #below: (below: number) => number;
	readonly #server: Server;
	readonly #connections = new Set<Connection>();
	readonly #silenced = new Set<Socket>();

	private constructor(target: number, { seed = 1, line = {} }: FaultProxyOptions) {
		this.target = target;
		this.line = line;
		this.#below = seeded(seed);
		this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
	}

	/** @param target the hub's port */
	static async open(context: TestContext, target: number, options: FaultProxyOptions = {}): Promise<FaultProxy> {
		const proxy = new FaultProxy(target, options);
		context.after(() => proxy.close());
		await proxy.#listen();
		return proxy;
	}

	/** As an agent is given it. */
	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	/** Connections that are open. */
	get open(): number {
		return this.#connections.size;
	}

	/** Ends all connections on both sides: `fin` as a process that ended, `reset` as one that was killed with bytes unread. */
	cut(how: 'fin' | 'reset'): void {
		for (const connection of [...this.#connections]) cut(connection, how);
	}

	/** Cuts the newest connection when exactly so many more bytes have passed that way. */
	cutAfter(way: Way, bytes: number, how: 'fin' | 'reset'): void {
		const newest = [...this.#connections].at(-1);
		newest?.[way].cutAfter(bytes, () => cut(newest, how));
	}

	/** Nothing passes, and nobody is told. */
	freeze(which: Way | 'both' = 'both'): void {
		for (const { toHub, toAgent } of this.#connections) {
			if (which !== 'toAgent') toHub.freeze();
			if (which !== 'toHub') toAgent.freeze();
		}
	}

	thaw(): void {
		for (const { toHub, toAgent } of this.#connections) {
			toHub.thaw();
			toAgent.thaw();
		}
	}

	/** One end is told that the connection is lost, the other hears nothing: a half-open connection. */
	halfOpen(told: 'hub' | 'agent'): void {
		for (const connection of [...this.#connections]) {
			connection.parted = true;
			connection.toHub.stop();
			connection.toAgent.stop();
			cutSocket(connection[told]);
			connection[told === 'hub' ? 'agent' : 'hub'].resume();
		}
	}

	/** Lets go of what nobody is told about: ends of half-open connections, and connections that were met with silence. */
	release(): void {
		for (const { parted, agent, hub } of this.#connections) {
			if (!parted) continue;
			agent.destroy();
			hub.destroy();
		}
		for (const socket of this.#silenced) socket.destroy();
	}

	close(): void {
		this.#server.close();
		for (const connection of [...this.#connections]) cut(connection, 'reset');
		this.release();
	}

	async #listen(): Promise<void> {
		this.#server.listen(0, '127.0.0.1');
		await once(this.#server, 'listening');
	}

	#accept(agent: Socket): void {
		this.accepted++;
		// How it ends is seen when it closes.
		agent.on('error', () => undefined);
		if (this.newcomers === 'reset') {
			cutSocket(agent);
			return;
		}
		if (this.newcomers === 'silence') {
			this.#silenced.add(agent);
			agent.on('close', () => this.#silenced.delete(agent)).resume();
			return;
		}
		const hub = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
		hub.on('error', () => undefined);
		const line = () => this.line;
		const connection: Connection = {
			agent,
			hub,
			toHub: new Pump(agent, hub, line, this.#below),
			toAgent: new Pump(hub, agent, line, this.#below),
			parted: false,
		};
		this.#connections.add(connection);
		let open = 2;
		for (const [one, other] of [
			[agent, hub],
			[hub, agent],
		] as const) {
			one.on('close', () => {
				if (!connection.parted && !other.destroyed && !one.readableEnded) cutSocket(other);
				if (--open === 0) this.#connections.delete(connection);
			});
		}
	}
}

function cut(connection: Connection, how: 'fin' | 'reset'): void {
	connection.toHub.stop();
	connection.toAgent.stop();
	connection.parted = true;
	for (const socket of [connection.agent, connection.hub]) {
		if (how === 'reset') {
			cutSocket(socket);
		} else {
			socket.once('end', () => socket.destroy());
			socket.end();
			socket.resume();
			if (socket.readableEnded) socket.destroy();
		}
	}
}

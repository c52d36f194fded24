/**
 * Several hubs and agents over a network with random delays, for as many steps as are wanted: the shipped Dispatcher and Slots decide,
 * and after every step holds what the invariants say. One seed is one run.
 */
import { seeded } from '../helpers/seeded.ts';
import { AgentEnd, type ToAgent, type ToHub } from './agent-end.ts';
import { Clock } from './clock.ts';
import { HubEnd } from './hub-end.ts';
import { SimulatedAgent } from './simulated-agent.ts';
import { type Request, SimulatedHub } from './simulated-hub.ts';
import { Wire } from './wire.ts';

/** A fault on purpose, once, in the middle of the run. `double` gives back what somebody else still holds. */
export type Fault = 'lease dropped' | 'lease doubled' | 'slot dropped' | 'slot doubled';

export interface RunOptions {
	readonly seed: number;
	/** Events: messages that arrive, timers, requests that come, go or end. */
	readonly steps: number;
	readonly fault?: Fault | undefined;
	/** Only what can be seen from outside is judged, not what the classes say of themselves. */
	readonly fromOutside?: boolean | undefined;
	/** Three hubs, five agents for all scopes, tunnels that stay up and take 5 ms at most: then no worker may idle for long. */
	readonly calm?: boolean | undefined;
}

export interface Report {
	readonly steps: number;
	readonly seconds: number;
	readonly counts: Readonly<Record<Ending | 'requests' | 'waited' | 'refusals' | 'tunnels', number>>;
}

export type Ending = 'served' | 'lost' | 'left' | 'busy' | 'queue_full' | 'queue_timeout';

const SCOPES = ['a', 'b'];
const CALLERS = 4;
const LOOK_EVERY = 200;

export class Violation extends Error {}

export class World {
	readonly clock = new Clock();
	readonly random: (below: number) => number;
	readonly scopes: readonly string[] = SCOPES;
	readonly counts = {
		requests: 0,
		waited: 0,
		refusals: 0,
		tunnels: 0,
		served: 0,
		lost: 0,
		left: 0,
		busy: 0,
		queue_full: 0,
		queue_timeout: 0,
	};
	readonly #options: RunOptions;
	readonly #hubs: SimulatedHub[] = [];
	readonly #agents: SimulatedAgent[] = [];
	/** Requests that have not ended, or whose work may still start. */
	readonly #requests = new Map<number, Request>();
	#steps = 0;
	#planted = false;
	#ending = false;

	constructor(options: RunOptions) {
		this.#options = options;
		this.random = seeded(options.seed);
	}

	/** @throws Violation */
	run(): Report {
		return this.clock.during(() => this.#run());
	}

	#run(): Report {
		const { random } = this;
		const { calm = false } = this.#options;
		for (let i = calm ? 3 : 2 + random(2); i > 0; i--) this.#hubs.push(new SimulatedHub(this, 20 + random(40)));
		for (let i = calm ? 5 : 3 + random(4); i > 0; i--) this.#agents.push(new SimulatedAgent(this, this.#agents.length));
		for (const hub of this.#hubs) {
			for (const agent of this.#agents) this.#connect(hub, agent);
			this.#arrivals(hub);
			this.#paces(hub);
		}
		while (this.#steps < this.#options.steps) this.#step();
		// Whatever is under way comes to its end; tunnels stay, so that nobody waits for one.
		this.#ending = true;
		while (this.#open > 0 && this.#step());
		const last = this.clock.now + 5000;
		while (this.clock.now < last && this.#step());
		if (this.#open > 0) this.fail(`${this.#open} requests never ended`);
		for (const hub of this.#hubs) if (hub.dispatcher.stats().leased > 0) this.fail('a lease was never given back');
		for (const { slots, number } of this.#agents) {
			if (slots.free !== slots.capacity) this.fail(`a slot of agent ${number} was never given back`);
		}
		return { steps: this.#steps, seconds: this.clock.now / 1000, counts: this.counts };
	}

	fail(what: string): never {
		throw new Violation(`step ${this.#steps}, ${(this.clock.now / 1000).toFixed(3)} s: ${what}`);
	}

	started(number: number): void {
		const request = this.#requests.get(number);
		if (request === undefined) return;
		if (request.started) this.fail(`request ${number} was started twice`);
		request.started = true;
	}

	ended(_number: number, ending: Ending): void {
		this.counts[ending]++;
	}

	/** Whether this is where the fault is to be. */
	plants(fault: Fault): boolean {
		if (fault !== this.#options.fault || this.#planted || this.#steps < this.#options.steps / 2) return false;
		this.#planted = true;
		return true;
	}

	get calm(): boolean {
		return this.#options.calm === true;
	}

	get #open(): number {
		const { requests, served, lost, left, busy, queue_full, queue_timeout } = this.counts;
		return requests - served - lost - left - busy - queue_full - queue_timeout;
	}

	#step(): boolean {
		this.#steps++;
		if (!this.clock.step()) return false;
		if (this.#options.fromOutside !== true) {
			for (const agent of this.#agents) agent.check();
			for (const hub of this.#hubs) hub.check();
		}
		if (this.calm) for (const hub of this.#hubs) hub.checkIdle(this.#agents);
		if (this.#steps % LOOK_EVERY === 0) for (const hub of this.#hubs) hub.checkWaiting(this.#agents);
		return true;
	}

	#arrivals(hub: SimulatedHub): void {
		this.clock.after(this.random(2 * hub.pace), () => {
			if (this.#ending) return;
			this.#arrive(hub);
			this.#arrivals(hub);
		});
	}

	/** From time to time a hub has more to do, or less, or nothing for a while. */
	#paces(hub: SimulatedHub): void {
		this.clock.after(500 + this.random(20_000), () => {
			hub.pace = [5, 15, 40, 100, 400, 8000][this.random(6)] ?? 50;
			this.#paces(hub);
		});
	}

	#arrive(hub: SimulatedHub): void {
		const { random } = this;
		const number = ++this.counts.requests;
		const request: Request = {
			number,
			wanted: {
				scope: [undefined, SCOPES, ...SCOPES][random(4)],
				path: '/',
				affinity: random(4) === 0 ? `${random(5)}` : undefined,
			},
			caller: `caller ${random(CALLERS)}`,
			urgency: random(2) === 0 ? 3 : random(8),
			waits: random(4) > 0,
			place: undefined,
			ticket: undefined,
			waitingSince: 0,
			at: undefined,
			tried: undefined,
			started: false,
			ending: undefined,
		};
		this.#requests.set(number, request);
		hub.arrive(request);
		// A cancelled one may still start, while its cancel is on the way.
		this.clock.after(180_000, () => this.#requests.delete(number));
		if (random(5) === 0) this.clock.after(random(2000), () => hub.leave(request));
	}

	/** A tunnel, which is cut or drained some time later, and made again. */
	#connect(hub: SimulatedHub, agent: SimulatedAgent): void {
		const slow = this.calm ? 5 : ([2, 20, 200][this.random(3)] ?? 20);
		this.counts.tunnels++;
		const toHub = new Wire<ToHub>(this.clock, this.random, slow, (message) => end.receive(message));
		const toAgent = new Wire<ToAgent>(this.clock, this.random, slow, (message) => agentEnd.receive(message));
		const end = new HubEnd(hub, agent, (message) => toAgent.send(message));
		const agentEnd = new AgentEnd(agent, this.clock, (message) => toHub.send(message));
		hub.ends.add(end);
		if (this.calm) return;
		const close = () => {
			toHub.cut = toAgent.cut = true;
			hub.ends.delete(end);
			// Each end notices on its own.
			const first = this.random(2) === 0;
			if (first) end.close();
			else agentEnd.close();
			this.clock.after(this.random(100), () => {
				if (first) agentEnd.close();
				else end.close();
			});
			this.clock.after(100 + this.random(3000), () => this.#connect(hub, agent));
		};
		const closeWhenIdle = () => {
			if (agentEnd.idle) this.clock.after(2 * slow, close);
			else this.clock.after(50, closeWhenIdle);
		};
		this.clock.after(1000 + this.random(60_000), () => {
			if (this.random(2) === 0) close();
			else {
				agentEnd.drain();
				closeWhenIdle();
			}
		});
	}
}

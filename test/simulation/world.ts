/**
 * Several hubs and agents over a network with random delays, for as many steps as are wanted: the shipped Dispatcher and Slots decide,
 * and after every step holds what the invariants say. One seed is one run.
 */
import { type Slot, Slots } from '../../src/agent/slots.ts';
import { Dispatcher, type Lease, type Place, type Ticket, type Wanted } from '../../src/hub/dispatcher.ts';
import { seeded } from '../helpers/seeded.ts';
import { AgentEnd, type ToAgent, type ToHub } from './agent-end.ts';
import { Clock } from './clock.ts';
import { HubEnd } from './hub-end.ts';

/** A fault on purpose, once, in the middle of the run. `double` gives back what somebody else still holds. */
export type Fault = 'lease dropped' | 'lease doubled' | 'slot dropped' | 'slot doubled';

export interface RunOptions {
	readonly seed: number;
	/** Events: messages that arrive, timers, requests that come, go or end. */
	readonly steps: number;
	readonly fault?: Fault | undefined;
	/** Only what can be seen from outside is judged, not what the classes say of themselves. */
	readonly fromOutside?: boolean | undefined;
}

export interface Report {
	readonly steps: number;
	readonly seconds: number;
	readonly counts: Readonly<Record<Ending | 'requests' | 'waited' | 'refusals' | 'tunnels', number>>;
}

type Ending = 'served' | 'lost' | 'left' | 'busy' | 'queue_full' | 'queue_timeout';

/** Milliseconds that a slot may stay free which somebody could have: the longest rest of a hub that used no turn, and then some. */
const LONGEST_FREE = 15_000;
const SCOPES = ['a', 'b'];
const CALLERS = 4;
const LOOK_EVERY = 200;

export class Violation extends Error {}

type Random = (below: number) => number;

export class SimulatedAgent {
	readonly number: number;
	readonly scopes: readonly string[];
	readonly slots: Slots;
	readonly random: Random;
	readonly world: World;
	/** Since when a worker has been free without a break; Infinity while all are taken. */
	freeSince: number;
	/** Requests at the upstream. */
	readonly #working = new Map<number, Slot>();

	constructor(world: World, number: number) {
		const { random } = world;
		this.world = world;
		this.random = random;
		this.number = number;
		this.scopes = SCOPES.filter(() => random(3) > 0);
		this.slots = new Slots(1 + random(4), () => world.clock.now);
		this.freeSince = world.clock.now;
	}

	get working(): number {
		return this.#working.size;
	}

	workTime(): number {
		return this.random(10) === 0 ? this.random(3000) : this.random(100);
	}

	/** A request starts at the upstream. @returns gives its slot back */
	begin(request: number, slot: Slot): () => void {
		const { world } = this;
		world.started(request);
		this.#working.set(request, slot);
		if (this.working > this.slots.capacity) world.fail(`agent ${this.number} has more than its workers`);
		if (this.working === this.slots.capacity) this.freeSince = Number.POSITIVE_INFINITY;
		return () => {
			this.#working.delete(request);
			if (this.freeSince === Number.POSITIVE_INFINITY) this.freeSince = world.clock.now;
			if (world.plants('slot dropped')) return;
			slot.release();
			const other = [...this.#working.values()][0];
			if (other !== undefined && world.plants('slot doubled')) other.release();
		};
	}

	check(): void {
		const { free, capacity } = this.slots;
		if (free !== capacity - this.working)
			this.world.fail(`agent ${this.number}: ${free} of ${capacity} free, ${this.working} at work`);
	}
}

interface Request {
	readonly number: number;
	readonly wanted: Wanted;
	readonly caller: string;
	readonly urgency: number;
	readonly waits: boolean;
	place: Place | undefined;
	ticket: Ticket | undefined;
	waitingSince: number;
	at: { readonly end: HubEnd; readonly id: number } | undefined;
	tried: Set<HubEnd> | undefined;
	started: boolean;
	ending: Ending | undefined;
}

export class SimulatedHub {
	readonly dispatcher: Dispatcher<HubEnd>;
	readonly waiting = new Set<Request>();
	readonly ends = new Set<HubEnd>();
	readonly #world: World;
	/** Leases that were given and not given back. */
	readonly #leases = new Set<Lease<HubEnd>>();
	/** Mean milliseconds between requests; changes, so that hubs are busy, idle, and overrun. */
	pace = 50;

	constructor(world: World, max: number) {
		this.#world = world;
		this.dispatcher = new Dispatcher<HubEnd>({
			concurrent: 0,
			queue: { max, timeout: 60_000, aging: 1000 },
			standing: { setAsideAfter: 0, slowStart: 2000 },
		});
	}

	arrive(request: Request): void {
		this.#begin(request);
	}

	leave(request: Request): void {
		if (request.ending !== undefined) return;
		request.ticket?.leave();
		request.at?.end.cancel(request.at.id);
		this.#end(request, 'left');
	}

	release(lease: Lease<HubEnd>): void {
		if (!this.#leases.delete(lease)) this.#world.fail('a lease was given back twice');
		if (this.#world.plants('lease dropped')) return;
		lease.release();
		const other = [...this.#leases][0];
		if (other !== undefined && this.#world.plants('lease doubled')) other.release();
	}

	check(): void {
		const stats = this.dispatcher.stats();
		if (stats.leased !== this.#leases.size) this.#world.fail(`${stats.leased} leases, ${this.#leases.size} held`);
	}

	/** Nobody waits for long while a worker that he could have is free. */
	checkWaiting(agents: readonly SimulatedAgent[]): void {
		const { now } = this.#world.clock;
		for (const request of this.waiting) {
			for (const end of this.ends) {
				const agent = agents[end.agent];
				const { scope } = request.wanted;
				if (agent === undefined || (scope !== undefined && !end.scopes.includes(scope))) continue;
				const since = Math.max(agent.freeSince, end.upSince, request.waitingSince);
				if (now - since > LONGEST_FREE)
					this.#world.fail(`request ${request.number} waits for agent ${agent.number}, which is free`);
			}
		}
	}

	#begin(request: Request): void {
		const lease = this.dispatcher.acquire(request.wanted, request.tried, request.urgency);
		if (typeof lease === 'object') {
			this.#noneBefore(request, 'at once');
			this.#granted(request, lease);
		} else if (request.waits) this.#wait(request);
		else this.#end(request, 'busy');
	}

	#wait(request: Request): void {
		const { urgency, caller, place, wanted } = request;
		const timeout = 1000 + this.#world.random(60_000);
		const ticket = this.dispatcher.wait(
			wanted,
			{ urgency, caller, place, timeout },
			{
				granted: (lease) => {
					if (!this.waiting.delete(request)) this.#world.fail('a lease for somebody who does not wait');
					this.#noneBefore(request, 'from the queue');
					this.#granted(request, lease);
				},
				refused: () => {
					this.waiting.delete(request);
					this.#end(request, 'queue_timeout');
				},
			},
		);
		if (ticket === 'queue_full') {
			this.#end(request, 'queue_full');
			return;
		}
		request.ticket = ticket;
		request.place ??= ticket.place;
		request.waitingSince = this.#world.clock.now;
		this.waiting.add(request);
		this.#world.counts.waited++;
	}

	/** First come, first served for each caller and priority; and nobody is served past the queue. */
	#noneBefore(request: Request, how: string): void {
		for (const other of this.waiting) {
			if (other.wanted.scope !== request.wanted.scope) continue;
			const older = (other.place?.seq ?? 0) < (request.place?.seq ?? Number.POSITIVE_INFINITY);
			const same = other.caller === request.caller && other.urgency === request.urgency;
			if (how === 'at once' || (older && same)) {
				this.#world.fail(`request ${request.number} was served ${how} before ${other.number}`);
			}
		}
	}

	#granted(request: Request, lease: Lease<HubEnd>): void {
		request.ticket = undefined;
		request.place ??= lease.place;
		this.#leases.add(lease);
		const end = lease.member;
		const notStarted = () => {
			request.at = undefined;
			if (request.ending !== undefined) return;
			this.#world.counts.refusals++;
			request.tried ??= new Set();
			request.tried.add(end);
			end.refused();
			this.#begin(request);
		};
		const id = end.request({
			request: request.number,
			lease,
			refused: notStarted,
			served: () => this.#end(request, 'served'),
			lost: () => this.#end(request, 'lost'),
		});
		if (id === null) {
			this.release(lease);
			notStarted();
		} else request.at = { end, id };
	}

	#end(request: Request, ending: Ending): void {
		if (request.ending !== undefined)
			this.#world.fail(`request ${request.number} ended twice: ${request.ending}, ${ending}`);
		if (ending === 'served' && !request.started)
			this.#world.fail(`request ${request.number} was served and never started`);
		request.ending = ending;
		request.at = undefined;
		this.waiting.delete(request);
		this.#world.ended(request.number, ending);
	}
}

/** Messages arrive in the order in which they were sent, each after a time of its own. */
class Wire<T> {
	readonly #world: World;
	readonly #slow: number;
	readonly #arrive: (message: T) => void;
	#last = 0;
	cut = false;

	constructor(world: World, slow: number, arrive: (message: T) => void) {
		this.#world = world;
		this.#slow = slow;
		this.#arrive = arrive;
	}

	send(message: T): void {
		if (this.cut) return;
		const { clock, random } = this.#world;
		this.#last = Math.max(this.#last, clock.now + random(this.#slow));
		clock.after(this.#last - clock.now, () => {
			if (!this.cut) this.#arrive(message);
		});
	}
}

export class World {
	readonly clock = new Clock();
	readonly random: Random;
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
		for (let i = 2 + random(2); i > 0; i--) this.#hubs.push(new SimulatedHub(this, 20 + random(40)));
		for (let i = 3 + random(4); i > 0; i--) this.#agents.push(new SimulatedAgent(this, this.#agents.length));
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
				scope: [undefined, ...SCOPES][random(3)],
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
		const slow = [2, 20, 200][this.random(3)] ?? 20;
		this.counts.tunnels++;
		const toHub = new Wire<ToHub>(this, slow, (message) => end.receive(message));
		const toAgent = new Wire<ToAgent>(this, slow, (message) => agentEnd.receive(message));
		const end = new HubEnd(hub, agent, (message) => toAgent.send(message));
		const agentEnd = new AgentEnd(agent, this.clock, (message) => toHub.send(message));
		hub.ends.add(end);
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

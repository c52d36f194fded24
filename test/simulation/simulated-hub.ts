/** A hub with the shipped Dispatcher, the requests that come to it, and what has to hold for them. */
import { Dispatcher, type Lease, type Place, type Ticket, type Wanted } from '../../src/dispatch/dispatcher.ts';
import { mayServe } from '../../src/dispatch/eligibility.ts';
import type { HubEnd } from './hub-end.ts';
import type { SimulatedAgent } from './simulated-agent.ts';
import type { Ending, World } from './world.ts';

/** Milliseconds that a slot may stay free which somebody could have: the longest rest of a hub that used no turn, and then some. */
const LONGEST_FREE = 15_000;

/** The same where tunnels are quick, none is lost, and every agent serves everything. */
const LONGEST_IDLE = 100;

export interface Request {
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
				if (agent === undefined || !mayServe(end, scope, [])) continue;
				const since = Math.max(agent.freeSince, end.upSince, request.waitingSince);
				if (now - since > LONGEST_FREE)
					this.#world.fail(`request ${request.number} waits for agent ${agent.number}, which is free`);
			}
		}
	}

	/** In a calm world every worker is at work within 100 ms of somebody waiting, at whichever hub. */
	checkIdle(agents: readonly SimulatedAgent[]): void {
		const { now } = this.#world.clock;
		const [first] = this.waiting;
		if (first === undefined) return;
		for (const { working, slots, changedAt, number } of agents) {
			const since = Math.max(changedAt, first.waitingSince);
			if (working < slots.capacity && now - since > LONGEST_IDLE)
				this.#world.fail(
					`request ${first.number} has waited for ${now - first.waitingSince} ms, and agent ${number} idles`,
				);
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

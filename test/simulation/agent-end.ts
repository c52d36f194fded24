/** The agent's end of a simulated tunnel: what src/agent/tunnel and worker do with Slots, in messages instead of frames. */
import type { Turn } from '../../src/agent/offers.ts';
import type { Share } from '../../src/agent/slots.ts';
import { AnnouncedSettings } from '../../src/h2/announced-settings.ts';
import type { Clock } from './clock.ts';
import type { SimulatedAgent } from './simulated-agent.ts';

export type ToAgent =
	| { readonly kind: 'request'; readonly id: number; readonly request: number }
	| { readonly kind: 'cancel'; readonly id: number }
	| { readonly kind: 'ping'; readonly number: number }
	| { readonly kind: 'pong' }
	| { readonly kind: 'settings ack' };

export type ToHub =
	| { readonly kind: 'limit'; readonly limit: number }
	| { readonly kind: 'refused'; readonly id: number }
	| { readonly kind: 'done'; readonly id: number }
	| { readonly kind: 'ping' }
	| { readonly kind: 'pong'; readonly number: number }
	| { readonly kind: 'goaway' };

const TURN_ROUND_TRIPS = 2;
const LONGEST_TURN = 1000;

interface Work {
	streamOpen: boolean;
	settled: boolean;
	/** Ends it at the upstream. */
	stop(): void;
}

export class AgentEnd {
	readonly #agent: SimulatedAgent;
	readonly #clock: Clock;
	readonly #send: (message: ToHub) => void;
	readonly #share: Share;
	readonly #settings = new AnnouncedSettings();
	readonly #work = new Map<number, Work>();
	#open = 0;
	#announced: number;
	#heldPings: number[] = [];
	#turn: Turn | null = null;
	#counting = false;
	#pings: Array<() => void> = [];
	#closed = false;

	constructor(agent: SimulatedAgent, clock: Clock, send: (message: ToHub) => void) {
		this.#agent = agent;
		this.#clock = clock;
		this.#send = send;
		this.#share = agent.slots.join(() => this.#announce());
		this.#announced = this.#share.offered;
		this.#tellLimit(this.#announced);
	}

	drain(): void {
		this.#share.leave();
		this.#announce();
		this.#send({ kind: 'goaway' });
	}

	/** Nothing is left to be done. */
	get idle(): boolean {
		return this.#work.size === 0;
	}

	/** The connection is gone. */
	close(): void {
		this.#closed = true;
		for (const work of [...this.#work.values()]) this.#streamOver(work, true);
		this.#share.leave();
	}

	receive(message: ToAgent): void {
		if (message.kind === 'request') this.#request(message.id, message.request);
		else if (message.kind === 'cancel') {
			const work = this.#work.get(message.id);
			if (work?.streamOpen) this.#streamOver(work, true);
		} else if (message.kind === 'ping') {
			if (this.#settings.sent) this.#send({ kind: 'pong', number: message.number });
			else this.#heldPings.push(message.number);
		} else if (message.kind === 'pong') this.#pings.shift()?.();
		else this.#acknowledged();
	}

	#request(id: number, request: number): void {
		this.#open++;
		const slot = this.#share.take();
		if (slot === null) {
			this.#open--;
			this.#send({ kind: 'refused', id });
			return;
		}
		const release = this.#agent.begin(request, slot);
		const { random } = this.#agent;
		const released = () => {
			this.#work.delete(id);
			this.#settle(work);
			release();
			this.#announce();
		};
		const finish = this.#clock.after(this.#agent.workTime(), () => {
			if (work.streamOpen && !this.#closed) this.#send({ kind: 'done', id });
			// Whether the upstream's connection is free before or after the stream is over.
			if (random(2) === 0) {
				released();
				this.#streamOver(work, false);
			} else {
				this.#streamOver(work, false);
				this.#clock.after(random(3), released);
			}
		});
		const work: Work = {
			streamOpen: true,
			settled: false,
			stop: () => {
				this.#clock.cancel(finish);
				if (random(2) === 0) released();
				else this.#clock.after(random(60), released);
			},
		};
		this.#work.set(id, work);
	}

	#streamOver(work: Work, cancelled: boolean): void {
		if (!work.streamOpen) return;
		work.streamOpen = false;
		if (cancelled) work.stop();
		this.#settle(work);
		this.#announce();
	}

	#settle(work: Work): void {
		if (work.settled) return;
		work.settled = true;
		this.#open--;
	}

	#announce(): void {
		const limit = this.#open + this.#share.offered;
		if (limit !== this.#announced && !this.#closed) {
			this.#announced = limit;
			if (this.#settings.want({ maxConcurrentStreams: limit })) this.#tellLimit(limit);
		}
		const { turn } = this.#share;
		if (turn === this.#turn) return;
		this.#turn = turn;
		this.#counting = false;
		if (turn === null) return;
		this.#clock.after(LONGEST_TURN, () => this.#share.pass(turn));
		if (this.#settings.sent) this.#countRoundTrips();
	}

	#tellLimit(limit: number): void {
		this.#settings.announce({ maxConcurrentStreams: limit });
		this.#send({ kind: 'limit', limit });
	}

	#acknowledged(): void {
		this.#settings.acknowledged();
		const next = this.#settings.next();
		if (next?.maxConcurrentStreams !== undefined) this.#tellLimit(next.maxConcurrentStreams);
		for (const number of this.#heldPings) this.#send({ kind: 'pong', number });
		this.#heldPings = [];
		this.#countRoundTrips();
	}

	#countRoundTrips(): void {
		const turn = this.#turn;
		if (turn === null || this.#counting) return;
		this.#counting = true;
		let left = TURN_ROUND_TRIPS;
		const answered = () => {
			if (this.#turn !== turn) return;
			if (--left > 0) this.#ping(answered);
			else this.#share.pass(turn);
		};
		this.#ping(answered);
	}

	#ping(answered: () => void): void {
		this.#pings.push(answered);
		this.#send({ kind: 'ping' });
	}
}

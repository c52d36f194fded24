/** The hub's end of a simulated tunnel: what src/hub/agent-link and exchange do with the dispatcher, in messages instead of frames. */
import type { Lease, Member, Membership } from '../../src/dispatch/dispatcher.ts';
import type { ToAgent, ToHub } from './agent-end.ts';
import type { SimulatedHub } from './simulated-hub.ts';

/** A request whose stream is open. */
export interface Sent {
	readonly request: number;
	readonly lease: Lease<HubEnd>;
	/** The agent has not taken it. */
	refused(): void;
	served(): void;
	lost(): void;
}

export class HubEnd implements Member {
	readonly key: string;
	readonly agent: number;
	readonly scopes: readonly string[];
	readonly scopePaths = [];
	readonly membership: Membership;
	/** When it could first be given requests; Infinity while it cannot. */
	upSince = Number.POSITIVE_INFINITY;
	readonly #hub: SimulatedHub;
	readonly #send: (message: ToAgent) => void;
	readonly #streams = new Map<number, Sent>();
	readonly #pings = new Map<number, () => void>();
	#cancelled: Lease<HubEnd>[] = [];
	#covered: Lease<HubEnd>[] = [];
	#pingUnderWay = false;
	#refused = false;
	#limit = 0;
	#ids = 0;
	#closed = false;
	#draining = false;

	constructor(hub: SimulatedHub, agent: { number: number; scopes: readonly string[] }, send: (m: ToAgent) => void) {
		this.#hub = hub;
		this.agent = agent.number;
		this.key = `token/${agent.number}`;
		this.scopes = agent.scopes;
		this.#send = send;
		this.membership = hub.dispatcher.join(this);
	}

	/** False if there was no room any more: nothing was sent. */
	request(sent: Sent): number | null {
		if (this.#closed || this.#draining || this.#streams.size >= this.#limit) return null;
		const id = ++this.#ids;
		this.#streams.set(id, sent);
		this.#send({ kind: 'request', id, request: sent.request });
		return id;
	}

	/** The app is gone. */
	cancel(id: number): void {
		const sent = this.#streams.get(id);
		if (sent === undefined) return;
		this.#streams.delete(id);
		this.#send({ kind: 'cancel', id });
		this.#cancelled.push(sent.lease);
		this.#pingForCancelled();
	}

	refused(): void {
		if (this.#refused || this.#closed) return;
		this.#refused = true;
		this.membership.setLimit(0);
		this.#ping(() => {
			this.#refused = false;
			this.membership.setLimit(this.#limit);
		});
	}

	retire(): void {
		this.#draining = true;
		this.upSince = Number.POSITIVE_INFINITY;
		this.membership.drain();
	}

	close(): void {
		this.#closed = true;
		this.upSince = Number.POSITIVE_INFINITY;
		this.membership.leave();
		for (const sent of this.#streams.values()) {
			sent.lost();
			this.#hub.release(sent.lease);
		}
		this.#streams.clear();
		for (const lease of [...this.#covered, ...this.#cancelled]) this.#hub.release(lease);
		this.#covered = [];
		this.#cancelled = [];
	}

	receive(message: ToHub): void {
		if (message.kind === 'limit') {
			this.#limit = message.limit;
			this.#send({ kind: 'settings ack' });
			if (this.upSince === Number.POSITIVE_INFINITY && !this.#draining) this.upSince = performance.now();
			if (!this.#refused) this.membership.setLimit(message.limit);
		} else if (message.kind === 'ping') this.#send({ kind: 'pong' });
		else if (message.kind === 'pong') {
			const answered = this.#pings.get(message.number);
			this.#pings.delete(message.number);
			answered?.();
		} else if (message.kind === 'goaway') this.retire();
		else this.#over(message.id, message.kind);
	}

	#over(id: number, how: 'refused' | 'done'): void {
		const sent = this.#streams.get(id);
		if (sent === undefined) return;
		this.#streams.delete(id);
		if (how === 'refused') sent.refused();
		else {
			sent.lease.outcome = 'served';
			sent.served();
		}
		this.#hub.release(sent.lease);
	}

	#pingForCancelled(): void {
		if (this.#pingUnderWay || this.#cancelled.length === 0) return;
		this.#covered = this.#cancelled;
		this.#cancelled = [];
		this.#pingUnderWay = true;
		this.#ping(() => {
			this.#pingUnderWay = false;
			const covered = this.#covered;
			this.#covered = [];
			for (const lease of covered) this.#hub.release(lease);
			this.#pingForCancelled();
		});
	}

	#ping(answered: () => void): void {
		const number = ++this.#ids;
		this.#pings.set(number, answered);
		this.#send({ kind: 'ping', number });
	}
}

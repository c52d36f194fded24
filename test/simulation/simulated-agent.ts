/** An agent with its workers, whose tunnels share the shipped Slots; and what has to hold for it. */
import { type Slot, Slots } from '../../src/agent/slots.ts';
import type { World } from './world.ts';

export class SimulatedAgent {
	readonly number: number;
	readonly scopes: readonly string[];
	readonly slots: Slots;
	readonly random: World['random'];
	readonly world: World;
	/** Since when a worker has been free without a break; Infinity while all are taken. */
	freeSince: number;
	/** When a request last came to a worker, or a worker became free. */
	changedAt = 0;
	/** Requests at the upstream. */
	readonly #working = new Map<number, Slot>();

	constructor(world: World, number: number) {
		const { random } = world;
		this.world = world;
		this.random = random;
		this.number = number;
		this.scopes = world.scopes.filter(() => world.calm || random(3) > 0);
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
		this.changedAt = world.clock.now;
		if (this.working > this.slots.capacity) world.fail(`agent ${this.number} has more than its workers`);
		if (this.working === this.slots.capacity) this.freeSince = Number.POSITIVE_INFINITY;
		return () => {
			this.#working.delete(request);
			this.changedAt = world.clock.now;
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

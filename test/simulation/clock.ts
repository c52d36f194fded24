/**
 * Time that passes only when told to: everything that the program does later is an event here, in one order for one seed. While it is
 * installed, Node's timers and performance.now() are its own; whoever runs under it must not wait for anything real.
 */
import { type HeapItem, IndexedHeap } from '../../src/dispatch/indexed-heap.ts';

class Event implements HeapItem<Event> {
	position = -1;
	readonly at: number;
	readonly number: number;
	readonly run: () => void;

	constructor(at: number, number: number, run: () => void) {
		this.at = at;
		this.number = number;
		this.run = run;
	}

	goesBefore(other: Event): boolean {
		return this.at === other.at ? this.number < other.number : this.at < other.at;
	}
}

/** What setInterval gives: its next event, which changes. */
interface Repeating {
	next: Event;
}

export class Clock {
	/** Milliseconds. */
	now = 1000;
	#number = 0;
	readonly #events = new IndexedHeap<Event>();

	/** @param delay milliseconds */
	after(delay: number, run: () => void): Event {
		const event = new Event(this.now + Math.max(0, delay), ++this.#number, run);
		this.#events.put(event);
		return event;
	}

	cancel(event: Event): void {
		this.#events.remove(event);
	}

	/** Runs the next event; false if there is none. */
	step(): boolean {
		const next = this.#events.top;
		if (next === undefined) return false;
		this.#events.remove(next);
		this.now = next.at;
		next.run();
		return true;
	}

	/** Replaces Node's timers while it runs something that does not wait. */
	during<T>(run: () => T): T {
		const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
		const now = performance.now;
		const repeat = (call: () => void, delay: number): Repeating => {
			const again = () => {
				repeating.next = this.after(delay, again);
				call();
			};
			const repeating = { next: this.after(delay, again) };
			return repeating;
		};
		Object.assign(globalThis, {
			setTimeout: (call: () => void, delay: number) => this.after(delay, call),
			clearTimeout: (event?: Event) => event && this.cancel(event),
			setInterval: repeat,
			clearInterval: (repeating?: Repeating) => repeating && this.cancel(repeating.next),
			setImmediate: (call: () => void) => this.after(0, call),
		});
		performance.now = () => this.now;
		try {
			return run();
		} finally {
			Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate });
			performance.now = now;
		}
	}
}

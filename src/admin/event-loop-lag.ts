/** How late the event loop is with what is due, looked at ten times a second: what a request has to wait when others keep it busy. */
import { Histogram } from '../shared/histogram.ts';

const INTERVAL = 100;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export class EventLoopLag {
	/** Seconds. */
	readonly histogram = new Histogram(SECONDS);
	#due = performance.now() + INTERVAL;
	readonly #timer = setInterval(() => this.#look(), INTERVAL).unref();

	stop(): void {
		clearInterval(this.#timer);
	}

	#look(): void {
		const now = performance.now();
		this.histogram.observe(Math.max(0, now - this.#due) / 1000);
		this.#due = now + INTERVAL;
	}
}

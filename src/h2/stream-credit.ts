/** Gives a stream's peer credit for what was read (RFC 9113 section 6.9), and lets the stream's window grow with it. */
import { FRAME_BYTES } from './frame-writer.ts';
import type { Outbound } from './outbound.ts';
import type { Pings } from './pings.ts';
import type { Stream } from './stream.ts';
import { openingWindow, type WindowBudget } from './window.ts';

export interface StreamCreditOptions {
	readonly outbound: Outbound;
	readonly pings: Pings;
	/** Where growth comes from. */
	readonly budget: WindowBudget;
	/** Bytes that a stream's window may grow to. */
	readonly maxWindow: number;
	/** Sends a PING. */
	readonly ping: () => void;
}

export class StreamCredit {
	readonly #options: StreamCreditOptions;

	constructor(options: StreamCreditOptions) {
		this.#options = options;
	}

	/** @param streams how many are open */
	give(stream: Stream, streams: number): void {
		const { outbound, pings, budget, maxWindow, ping } = this.#options;
		const window = stream.receiveWindow;
		const before = window.size;
		const increment = window.credit(performance.now(), pings.rtt, openingWindow(streams), maxWindow, budget);
		if (increment === 0) return;
		outbound.frames.windowUpdate(stream.id, increment);
		outbound.countAnswer(FRAME_BYTES.WINDOW_UPDATE);
		outbound.schedule();
		// What grows is in use: so the round trip by which it grows is measured while it is.
		if (window.size > before && pings.idle) ping();
	}
}

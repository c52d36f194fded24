/** An app that waits for 100 (Continue) is told to go on, once: when its upstream says so, or has said nothing for a while. */

/** Milliseconds that an upstream has which may not know Expect (RFC 9110 section 10.1.1): as long as curl would wait. */
const PATIENCE_MS = 1000;

export class ContinueWait {
	#tell: (() => void) | null;
	#timer: NodeJS.Timeout | undefined;

	constructor(tell: () => void) {
		this.#tell = tell;
	}

	/** The upstream is asked now. */
	begin(): void {
		this.#timer = setTimeout(() => this.over(), PATIENCE_MS);
	}

	/** The app may go on. */
	over(): void {
		const tell = this.#tell;
		this.stop();
		tell?.();
	}

	/** Nobody waits any more. */
	stop(): void {
		clearTimeout(this.#timer);
		this.#tell = null;
	}
}

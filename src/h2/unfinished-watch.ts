/**
 * Notices a peer that begins a frame or a header block and never ends it, were it to send a byte now and then: such a peer can
 * answer no PING, yet its bytes look like life. One coarse timer, and none while everything is complete.
 */
export class UnfinishedWatch {
	readonly #limit: number;
	readonly #expired: () => void;
	#since = 0;
	#finished = -1;
	#timer: NodeJS.Timeout | undefined;

	/** @param limit milliseconds */
	constructor(limit: number, expired: () => void) {
		this.#limit = limit;
		this.#expired = expired;
	}

	/**
	 * What holds after a read.
	 * @param unfinished whether something has begun and not ended
	 * @param finished how many have ended: while it grows, what is unfinished is another one each time
	 */
	note(unfinished: boolean, finished: number): void {
		if (!unfinished) {
			this.#since = 0;
			return;
		}
		if (this.#since !== 0 && finished === this.#finished) return;
		this.#finished = finished;
		this.#since = performance.now();
		this.#timer ??= setTimeout(this.#check, this.#limit).unref();
	}

	stop(): void {
		this.#since = 0;
		clearTimeout(this.#timer);
	}

	readonly #check = (): void => {
		this.#timer = undefined;
		if (this.#since === 0) return;
		const left = this.#left;
		if (left > 0) this.#timer = setTimeout(this.#check, left).unref();
		// The process itself may have stood still: what came meanwhile is read before this.
		else setImmediate(this.#confirm);
	};

	readonly #confirm = (): void => {
		if (this.#since === 0 || this.#timer !== undefined) return;
		if (this.#left > 0) this.#check();
		else this.#expired();
	};

	/** Milliseconds; a timer may be early by a fraction of one. */
	get #left(): number {
		return Math.max(0, Math.floor(this.#since + this.#limit - performance.now()));
	}
}

/** What a peer may still cost us: a token bucket that is refilled by time and by work done. Knows nothing of frames. */
import type { Rate } from './limits.ts';
import { ConnectionError, ErrorCode } from './protocol.ts';

export class PeerBudget {
	readonly #rate: Rate;
	readonly #what: string;
	#tokens: number;
	#refilledAt = performance.now();

	/** @param what the peer did too much of, for the error */
	constructor(rate: Rate, what: string) {
		this.#rate = rate;
		this.#what = what;
		this.#tokens = rate.burst;
	}

	/** @throws ConnectionError ENHANCE_YOUR_CALM when nothing is left */
	spend(tokens = 1): void {
		this.#tokens -= tokens;
		if (this.#tokens >= 0) return;
		this.#refill();
		if (this.#tokens < 0) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many ${this.#what}`);
	}

	earn(): void {
		if (this.#tokens < this.#rate.burst) this.#tokens++;
	}

	/** Only when the bucket is empty, so that the clock is not asked for every frame. */
	#refill(): void {
		const now = performance.now();
		const grown = ((now - this.#refilledAt) * this.#rate.perSecond) / 1000;
		this.#refilledAt = now;
		this.#tokens = Math.min(this.#rate.burst, this.#tokens + grown);
	}
}

/** PINGs of ours that are under way, with when they left (RFC 9113 section 6.7). */

const MAX_UNDER_WAY = 64;

interface Ping {
	readonly sentAt: number;
	readonly answered: ((rtt: number) => void) | undefined;
}

export class Pings {
	readonly #underWay = new Map<number, Ping>();
	#number = 0;

	/** The payload of a new PING. Its answer is told to `answered`; the oldest silent ones are forgotten when there are many. */
	send(answered: ((rtt: number) => void) | undefined): Buffer {
		this.#number = (this.#number + 1) >>> 0;
		if (this.#underWay.size >= MAX_UNDER_WAY) this.#forgetSilent();
		this.#underWay.set(this.#number, { sentAt: performance.now(), answered });
		const payload = Buffer.alloc(8);
		payload.writeUInt32BE(this.#number, 4);
		return payload;
	}

	/** The round trip in milliseconds of the PING that this answers; null for an answer to none. */
	answered(buffer: Buffer, start: number): number | null {
		const number = buffer.readUInt32BE(start + 4);
		const ping = this.#underWay.get(number);
		if (ping === undefined || buffer.readUInt32BE(start) !== 0) return null;
		this.#underWay.delete(number);
		const rtt = Math.max(0.01, performance.now() - ping.sentAt);
		ping.answered?.(rtt);
		return rtt;
	}

	clear(): void {
		this.#underWay.clear();
	}

	#forgetSilent(): void {
		for (const [number, ping] of this.#underWay) {
			if (ping.answered === undefined) {
				this.#underWay.delete(number);
				return;
			}
		}
	}
}

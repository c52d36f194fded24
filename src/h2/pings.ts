/** PINGs of ours that are under way, and the round trip that they measure (RFC 9113 section 6.7). */

const MAX_UNDER_WAY = 64;
/** The newest measurements, of which the smallest counts: the others waited behind something. */
const SAMPLES = 8;

/** @param rtt milliseconds. @param number of the PING that was answered */
export type PingAnswered = (rtt: number, number: number) => void;

interface Ping {
	readonly sentAt: number;
	readonly answered: PingAnswered | undefined;
}

export class Pings {
	readonly #underWay = new Map<number, Ping>();
	readonly #samples: number[] = [];
	#number = 0;
	/** The shortest round trip so far in milliseconds; 0 before the first answer. */
	shortest = 0;

	/** The round trip in milliseconds; 0 before the first answer. */
	get rtt(): number {
		return this.#samples.length === 0 ? 0 : Math.min(...this.#samples);
	}

	/** The number of the last one; 0 before the first. */
	get last(): number {
		return this.#number;
	}

	/** None is under way. */
	get idle(): boolean {
		return this.#underWay.size === 0;
	}

	/** The payload of a new PING. Its answer is told to `answered`; the oldest silent ones are forgotten when there are many. */
	send(answered: PingAnswered | undefined): Buffer {
		this.#number = (this.#number + 1) >>> 0;
		if (this.#underWay.size >= MAX_UNDER_WAY) this.#forgetSilent();
		this.#underWay.set(this.#number, { sentAt: performance.now(), answered });
		const payload = Buffer.alloc(8);
		payload.writeUInt32BE(this.#number, 4);
		return payload;
	}

	/** A PING was answered; without effect if it was none of these. */
	answered(buffer: Buffer, start: number): void {
		const number = buffer.readUInt32BE(start + 4);
		const ping = this.#underWay.get(number);
		if (ping === undefined || buffer.readUInt32BE(start) !== 0) return;
		this.#underWay.delete(number);
		const took = Math.max(0.01, performance.now() - ping.sentAt);
		if (this.shortest === 0 || took < this.shortest) this.shortest = took;
		if (this.#samples.push(took) > SAMPLES) this.#samples.shift();
		ping.answered?.(took, number);
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

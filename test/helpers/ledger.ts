/**
 * The books of a load: every request has a number; its upstream writes down that it began, its app how it ended. From both
 * follows what must never happen, whatever fails: see `violations`.
 */
import { seeded } from './seeded.ts';

const PERIOD = 1024 * 1024;
const below = seeded(20);
const noise = Buffer.from(Uint8Array.from({ length: PERIOD }, () => below(256)));

/** Where the bytes of a request's bodies begin: no two requests that are near each other have the same. */
function origin(id: number): number {
	return (id * 7919) % PERIOD;
}

/** Bytes of request `id`'s bodies from `at` on; at most those to the end of the period. May be sent without a copy. */
export function bytesOf(id: number, at: number, length: number): Buffer {
	const start = (origin(id) + at) % PERIOD;
	return noise.subarray(start, Math.min(PERIOD, start + length));
}

/** A whole body. */
export function bodyOf(id: number, length: number): Buffer {
	const body = Buffer.allocUnsafe(length);
	for (let at = 0; at < length; ) at += bytesOf(id, at, length - at).copy(body, at);
	return body;
}

/** Compares a body with what it should be as it comes. */
export class BodyCheck {
	bytes = 0;
	intact = true;
	readonly #id: number;

	constructor(id: number) {
		this.#id = id;
	}

	add(chunk: Buffer): void {
		for (let at = 0; at < chunk.length; ) {
			const expected = bytesOf(this.#id, this.bytes, chunk.length - at);
			if (expected.compare(chunk, at, at + expected.length) !== 0) this.intact = false;
			this.bytes += expected.length;
			at += expected.length;
		}
	}
}

/** `left`: the app went away; `unreachable`: no answer at all; else how the answer ended, or the code of the hub's error. */
export type Outcome = 'whole' | 'cut' | 'left' | 'unreachable' | (string & {});

/** Errors which say that the request did not start. */
const NOT_STARTED: ReadonlySet<string> = new Set(['no_agent', 'busy', 'queue_full', 'queue_timeout', 'draining']);

interface Entry {
	/** Bytes of the request's and of the response's body. */
	readonly up: number;
	readonly down: number;
	starts: number;
	outcome: Outcome | null;
	/** What its app has of the response. */
	check: BodyCheck | null;
}

export class Ledger {
	/** What must not have happened. */
	readonly violations: string[] = [];
	#entries: Entry[] = [];
	/** Requests that were forgotten. */
	#before = 0;
	#totals: Record<string, number> = {};

	/** @returns the request's number */
	open(up: number, down: number): number {
		return this.#before + this.#entries.push({ up, down, starts: 0, outcome: null, check: null }) - 1;
	}

	// The upstream's side

	started(id: number): void {
		const entry = this.#entry(id);
		entry.starts++;
		if (entry.starts > 1) this.violations.push(`request ${id} was sent to an upstream ${entry.starts} times`);
	}

	/** The request's body came to a clean end. */
	uploaded(id: number, { bytes, intact }: BodyCheck): void {
		const { up } = this.#entry(id);
		if (bytes !== up) this.violations.push(`the body of request ${id} looked complete with ${bytes} bytes of ${up}`);
		if (!intact) this.violations.push(`the body of request ${id} was changed`);
	}

	/** @param peak requests that were at an upstream at a time */
	limited(peak: number, numWorker: number): void {
		if (peak > numWorker) this.violations.push(`${peak} requests were at an upstream with ${numWorker} workers`);
	}

	// The app's side

	/** A response that is no error of the hub's. */
	answered(id: number, { bytes, intact }: BodyCheck, clean: boolean): Outcome {
		const { down, starts } = this.#entry(id);
		if (clean && bytes !== down) {
			this.violations.push(`the response to request ${id} looked complete with ${bytes} bytes of ${down}`);
		}
		if (!intact || bytes > down) this.violations.push(`the response to request ${id} was changed`);
		if (starts !== 1) this.violations.push(`request ${id} was answered and started ${starts} times`);
		return this.ended(id, clean ? 'whole' : 'cut');
	}

	ended(id: number, outcome: Outcome): Outcome {
		const entry = this.#entry(id);
		entry.outcome = outcome;
		if (NOT_STARTED.has(outcome) && entry.starts > 0) {
			this.violations.push(`request ${id} started, and was answered with ${outcome}`);
		}
		return outcome;
	}

	/** How many requests ended how; `open` are those that did not. */
	get outcomes(): Record<string, number> {
		const counts: Record<string, number> = { ...this.#totals };
		for (const { outcome } of this.#entries) counts[outcome ?? 'open'] = (counts[outcome ?? 'open'] ?? 0) + 1;
		return counts;
	}

	/** Keeps the sums alone, once every request has ended: what comes of one later is a fault. */
	close(): void {
		this.#totals = this.outcomes;
		this.#before += this.#entries.length;
		this.#entries = [];
	}

	get size(): number {
		return this.#before + this.#entries.length;
	}

	startsOf(id: number): number {
		return this.#entry(id).starts;
	}

	/** Its app compares the response as it comes. */
	checking(id: number): BodyCheck {
		const check = new BodyCheck(id);
		this.#entry(id).check = check;
		return check;
	}

	receivedOf(id: number): number {
		return this.#entry(id).check?.bytes ?? 0;
	}

	#entry(id: number): Entry {
		const entry = this.#entries[id - this.#before];
		if (entry === undefined) throw new Error(`nobody made request ${id}`);
		return entry;
	}
}

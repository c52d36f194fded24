/**
 * An application's request body on its way: held while its request waits, handed to a stream once there is one, kept for
 * another agent as long as the first may turn out never to have started. Owns pausing and resuming the app's socket.
 */
import type { IncomingMessage } from 'node:http';
import type { Stream } from '../h2/stream.ts';
import { bytesPassed } from '../shared/young-generation.ts';
import { forwardableTrailers } from '../tunnel/fields.ts';

/** Held for one waiting request at most. */
const MAX_HELD = 8 * 1024 * 1024;
/** What an agent lets in before a worker has taken the request: past it the request has started. */
const REPLAYABLE = 64 * 1024;

/** Bytes of bodies that all waiting requests hold together. */
export class HeldBytes {
	readonly #max: number;
	#held = 0;

	constructor(max: number) {
		this.#max = max;
	}

	get held(): number {
		return this.#held;
	}

	get full(): boolean {
		return this.#held >= this.#max;
	}

	add(bytes: number): void {
		this.#held += bytes;
	}
}

export class RequestBody {
	readonly #request: IncomingMessage;
	readonly #budget: HeldBytes;
	/** Tells the app to go on when it asked first (Expect: 100-continue). */
	readonly #invite: (() => void) | null;
	/** Nothing is to come and nothing has: END_STREAM goes with the header section. */
	readonly isEmpty: boolean;
	#kept: Buffer[] = [];
	#keptBytes = 0;
	#counted = 0;
	#stream: Stream | null = null;
	#keeping = true;
	#reading = false;
	#ended = false;
	#done = false;

	constructor(request: IncomingMessage, budget: HeldBytes, invite: (() => void) | null) {
		this.#request = request;
		this.#budget = budget;
		this.#invite = invite;
		const { headers } = request;
		const length = headers['content-length'];
		this.isEmpty = headers['transfer-encoding'] === undefined && (length === undefined || Number(length) === 0);
	}

	/** Whether all of the body is still here to be given to another stream. */
	get replayable(): boolean {
		return this.#keeping;
	}

	/** Reads on while the request waits, so that an app which goes away is noticed. */
	hold(): void {
		if (this.isEmpty || this.#done) return;
		this.#stream = null;
		this.#count(this.#keptBytes);
		this.#startReading();
		this.#holdOrPause();
	}

	/** Gives everything that came, and all that comes, to a stream. */
	giveTo(stream: Stream): void {
		if (this.isEmpty || this.#done) return;
		this.#stream = stream;
		this.#count(0);
		let goOn = true;
		for (const chunk of this.#kept) goOn = stream.write(chunk);
		if (this.#ended) this.#endStream(stream);
		else if (goOn) this.#request.resume();
		else this.#request.pause();
		this.#startReading();
	}

	/** The stream has room again. */
	drain(): void {
		this.#forgetIfStarted();
		if (!this.#done && !this.#ended) this.#request.resume();
	}

	/** The request has started: nothing needs to be kept for another try. */
	started(): void {
		this.#keeping = false;
		this.#kept = [];
		this.#keptBytes = 0;
		this.#count(0);
	}

	/** Nobody wants the rest. */
	stop(): void {
		this.#done = true;
		this.#stream = null;
		this.started();
	}

	#startReading(): void {
		if (this.#reading) return;
		this.#reading = true;
		this.#invite?.();
		this.#request.on('data', this.#onData);
		this.#request.on('end', this.#onEnd);
	}

	readonly #onData = (chunk: Buffer): void => {
		bytesPassed(chunk.length);
		if (this.#done) return;
		if (this.#keeping) {
			this.#kept.push(chunk);
			this.#keptBytes += chunk.length;
		}
		if (this.#stream === null) {
			this.#count(this.#keptBytes);
			this.#holdOrPause();
			return;
		}
		if (!this.#stream.write(chunk)) this.#request.pause();
		this.#forgetIfStarted();
	};

	readonly #onEnd = (): void => {
		this.#ended = true;
		if (this.#stream !== null) this.#endStream(this.#stream);
	};

	#endStream(stream: Stream): void {
		const { rawTrailers } = this.#request;
		if (rawTrailers.length > 0) stream.end(forwardableTrailers(rawTrailers));
		else stream.end();
	}

	/** An agent whose worker has not taken the request lets no more than REPLAYABLE bytes of it in. */
	#forgetIfStarted(): void {
		if (this.#keeping && this.#stream !== null && this.#keptBytes - this.#stream.queued > REPLAYABLE) this.started();
	}

	/** Counts what is held while the request waits against the budget of all. */
	#count(bytes: number): void {
		this.#budget.add(bytes - this.#counted);
		this.#counted = bytes;
	}

	#holdOrPause(): void {
		if (this.#keptBytes >= MAX_HELD || this.#budget.full) this.#request.pause();
		else this.#request.resume();
	}
}

/**
 * An application's request body on its way: held while its request waits, handed to a stream once there is one, kept for
 * another agent as long as the first may turn out never to have started. Owns when the app is to pause.
 */
import type { Stream } from '../h2/stream.ts';
import { bytesPassed } from '../shared/v8-settings.ts';
import { forwardableTrailers, hasForbiddenTrailer } from '../tunnel/trailers.ts';
import type { AppRequest, BodyReader } from './app-request.ts';
import type { Statistics } from './statistics.ts';

/** Held for one waiting request at most. */
const MAX_HELD = 8 * 1024 * 1024;
/** What an agent lets in before a worker has taken the request: past it the request has started. */
const REPLAYABLE = 64 * 1024;

/** Bytes of bodies that all waiting requests hold together. */
export class HeldBytes {
	/** May be changed: what is held already stays. */
	max: number;
	#held = 0;

	constructor(max: number) {
		this.max = max;
	}

	get held(): number {
		return this.#held;
	}

	get full(): boolean {
		return this.#held >= this.max;
	}

	add(bytes: number): void {
		this.#held += bytes;
	}
}

export interface BodyOwner {
	/** The body has ended with trailers that nobody may see: it is not to end at an upstream. */
	trailersForbidden(): void;
}

export class RequestBody implements BodyReader {
	readonly #app: AppRequest;
	readonly #owner: BodyOwner;
	readonly #budget: HeldBytes;
	readonly #statistics: Pick<Statistics, 'requestBytes'>;
	#kept: Buffer[] = [];
	#keptBytes = 0;
	#counted = 0;
	#stream: Stream | null = null;
	#keeping = true;
	#reading = false;
	#ended = false;
	#trailers: readonly string[] = [];
	#done = false;
	/** Bytes that came. */
	received = 0;

	constructor(app: AppRequest, budget: HeldBytes, statistics: Pick<Statistics, 'requestBytes'>, owner: BodyOwner) {
		this.#app = app;
		this.#owner = owner;
		this.#budget = budget;
		this.#statistics = statistics;
	}

	/** Nothing is to come and nothing has: END_STREAM goes with the header section. */
	get isEmpty(): boolean {
		return this.#app.bodiless;
	}

	/** All of it has come. */
	get ended(): boolean {
		return this.#ended || this.isEmpty;
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
		else if (goOn) this.#app.resumeBody();
		else this.#app.pauseBody();
		this.#startReading();
	}

	/** The stream has room again. */
	drain(): void {
		this.#forgetIfStarted();
		if (!this.#done && !this.#ended) this.#app.resumeBody();
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
		this.#app.readBody(this);
	}

	// BodyReader

	bodyChunk(chunk: Buffer): void {
		bytesPassed(chunk.length);
		this.#statistics.requestBytes += chunk.length;
		this.received += chunk.length;
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
		if (!this.#stream.write(chunk)) this.#app.pauseBody();
		this.#forgetIfStarted();
	}

	bodyEnded(rawTrailers: readonly string[]): void {
		if (!this.#done && rawTrailers.length > 0 && hasForbiddenTrailer(rawTrailers)) {
			this.#owner.trailersForbidden();
			return;
		}
		this.#ended = true;
		this.#trailers = rawTrailers;
		if (this.#stream !== null) this.#endStream(this.#stream);
	}

	#endStream(stream: Stream): void {
		if (this.#trailers.length > 0) stream.end(forwardableTrailers(this.#trailers));
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
		if (this.#keptBytes >= MAX_HELD || this.#budget.full) this.#app.pauseBody();
		else this.#app.resumeBody();
	}
}

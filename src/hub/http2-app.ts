/** A request that came by HTTP/2: a stream of the project's own engine as an AppRequest. */
import { ErrorCode, type FieldList } from '../h2/protocol.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import type { SlimeError } from '../shared/errors.ts';
import { CONTINUE } from '../tunnel/fields.ts';
import { errorAnswer } from './answer.ts';
import type { AppRequest, BodyReader, ResponseDecorator, ResponseListener } from './app-request.ts';
import { grpcAnswer, isGrpc } from './grpc-answer.ts';
import { httpDate } from './http-date.ts';
import type { Peer } from './peer.ts';

export class Http2App implements AppRequest, StreamHandler {
	readonly method: string;
	readonly target: string;
	readonly fields: readonly string[];
	readonly authority: string | undefined;
	readonly upgrade: string | undefined;
	readonly version = '2.0';
	readonly neverIndexed: readonly string[] | null;
	readonly bodiless: boolean;
	readonly asksFirst: boolean;
	readonly peer: Peer;
	readonly #stream: Stream;
	readonly #over: () => void;
	#reader: BodyReader | null = null;
	#listener: ResponseListener | null = null;
	decorator: ResponseDecorator | null = null;
	/** Body that came before anybody wanted it: no more than the stream's first window. */
	#early: Buffer[] = [];
	#ended = false;
	#trailers: FieldList = [];
	#paused = false;
	/** Bytes that were handed over while paused: credit for them is due. */
	#uncredited = 0;
	#head: FieldList | null = null;
	#status: number | undefined;
	#responseNeverIndexed: readonly string[] | null = null;
	/** The app's side may go on after the response has ended. */
	#switched = false;
	#finished = false;
	#toldToGoOn = false;

	/** @param over is called when the stream is over */
	constructor(stream: Stream, section: FieldList, endStream: boolean, peer: Peer, over: () => void) {
		this.#stream = stream;
		this.neverIndexed = stream.neverIndexed;
		this.peer = peer;
		this.#over = over;
		this.bodiless = endStream;
		let method = '';
		let target = '';
		let authority: string | undefined;
		let upgrade: string | undefined;
		let i = 0;
		for (; i < section.length && (section[i] as string).charCodeAt(0) === 0x3a; i += 2) {
			const value = section[i + 1] as string;
			if (section[i] === ':method') method = value;
			else if (section[i] === ':path') target = value;
			else if (section[i] === ':authority') authority = value;
			else if (section[i] === ':protocol') upgrade = value;
		}
		this.method = method;
		this.target = target;
		this.authority = authority;
		this.upgrade = upgrade;
		this.fields = section.slice(i);
		this.asksFirst = !endStream && this.field('expect')?.toLowerCase() === CONTINUE;
	}

	get address(): string {
		return this.peer.client(this.fields);
	}

	get status(): number | undefined {
		return this.#status;
	}

	field(name: string): string | undefined {
		const { fields } = this;
		for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
		return undefined;
	}

	listen(listener: ResponseListener): void {
		this.#listener = listener;
	}

	// The request's body

	readBody(reader: BodyReader): void {
		this.#reader = reader;
		const early = this.#early;
		this.#early = [];
		for (const chunk of early) this.#handOver(chunk);
		if (this.#ended) reader.bodyEnded(this.#trailers);
	}

	pauseBody(): void {
		this.#paused = true;
	}

	resumeBody(): void {
		this.#paused = false;
		const bytes = this.#uncredited;
		this.#uncredited = 0;
		this.#stream.consume(bytes);
	}

	#handOver(chunk: Buffer): void {
		this.#reader?.bodyChunk(chunk);
		if (this.#paused) this.#uncredited += chunk.length;
		else this.#stream.consume(chunk.length);
	}

	// StreamHandler

	data(_stream: Stream, chunk: Buffer): void {
		if (this.#reader === null) this.#early.push(chunk);
		else this.#handOver(chunk);
	}

	trailers(_stream: Stream, section: FieldList): void {
		this.#trailers = section;
	}

	end(): void {
		this.#ended = true;
		this.#reader?.bodyEnded(this.#trailers);
	}

	failed(): void {
		this.#reader = null;
		this.#early = [];
	}

	drain(): void {
		this.#listener?.responseDrained();
	}

	closed(): void {
		this.#over();
		this.#listener?.responseClosed();
	}

	// The response

	inform(section: FieldList): void {
		if (this.#status !== undefined) return;
		if (section[1] === '100') {
			if (!this.asksFirst || this.#toldToGoOn) return;
			this.#toldToGoOn = true;
			this.#stream.respond([':status', '100'], false);
			return;
		}
		// An app that does not read gets none: nothing else would hold up an agent that sends them without end.
		if (!this.#stream.session.backlogged) this.#stream.respond(section, false);
	}

	head(status: number, raw: string[], neverIndexed: readonly string[] | null = null): void {
		this.decorator?.decorate(raw);
		this.#status = status;
		this.#responseNeverIndexed = neverIndexed;
		this.#switched = this.upgrade !== undefined && status >= 200 && status < 300;
		this.#head = [':status', String(status), ...raw];
		// RFC 9110 section 6.6.1; node:http does as much for HTTP/1.
		if (!raw.includes('date')) this.#head.push('date', httpDate());
	}

	flush(): void {
		if (this.#head === null || this.#hasNoBody) return;
		this.#sendHead();
	}

	/** Then END_STREAM goes with the head, for some clients hang up on a HEAD that has an end to come. */
	get #hasNoBody(): boolean {
		return this.method === 'HEAD' || (!this.#switched && (this.#status === 204 || this.#status === 304));
	}

	#sendHead(): void {
		if (this.#head === null) return;
		this.#stream.respond(this.#head, false, this.#responseNeverIndexed);
		this.#head = null;
	}

	write(chunk: Buffer): boolean {
		this.#sendHead();
		return this.#stream.write(chunk);
	}

	finish(last: Buffer | null, trailers: FieldList): void {
		this.#finished = true;
		if (this.#head !== null && last === null && trailers.length === 0) {
			this.#stream.respond(this.#head, true, this.#responseNeverIndexed);
			this.#head = null;
		} else {
			this.#sendHead();
			if (last !== null) this.#stream.write(last);
			this.#stream.end(trailers);
		}
		// Nobody wants the rest of the request (RFC 9113 section 8.1).
		if (!this.#ended && !this.#switched) this.#stream.stopReceiving();
	}

	/** A connection that was cut is CANCEL in a WebSocket (RFC 8441 section 5). */
	cut(): void {
		if (this.#switched && this.#finished) this.#stream.stopReceiving();
		else this.#stream.reset(this.#switched ? ErrorCode.CANCEL : ErrorCode.INTERNAL_ERROR);
	}

	refuse(error: SlimeError, requestId: string, retryAfter?: number): void {
		if (this.#status !== undefined) return;
		// Of an extended CONNECT a 200 would be the switch.
		if (this.upgrade === undefined && isGrpc(this.field('content-type'))) {
			this.head(200, grpcAnswer(error, requestId, retryAfter));
			this.finish(null, []);
			return;
		}
		const { fields, body } = errorAnswer(error, requestId, retryAfter);
		this.head(error.status, fields);
		this.finish(this.method === 'HEAD' ? null : body, []);
	}
}

/**
 * One request at work: from a stream of a tunnel to the upstream and back. Holds a slot from the stream's start until nothing
 * of it is left at the upstream. Knows neither which hub sent it nor which protocol the upstream speaks.
 */
import { ErrorCode, type FieldList } from '../h2/protocol.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import { messageOf, SlimeError } from '../shared/errors.ts';
import type { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import type { Tracing } from '../shared/tracing.ts';
import { bytesPassed } from '../shared/v8-settings.ts';
import { agentError, listSize, tunnelResponse, tunnelSwitched, upstreamRequest } from '../tunnel/fields.ts';
import { forwardableTrailers } from '../tunnel/trailers.ts';
import { ContinueWait } from './continue-wait.ts';
import { framingFault } from './response-framing.ts';
import type { Slot } from './slots.ts';
import { joinPath } from './upstream.ts';
import type { UpstreamClient, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { CANNOT_BE_SENT } from './upstream-errors.ts';
import { UpstreamTrace } from './upstream-trace.ts';

/** 256 KiB of header bytes, which no upstream connection lets through more of, and the 32 that HTTP/2 counts for each field. */
const MAX_RESPONSE_LIST = 640 * 1024;

export interface WorkerContext {
	readonly upstream: UpstreamClient;
	readonly prefix: string;
	/** The agent sends credentials of its own, so those of apps do not pass. */
	readonly ownAuthorization: boolean;
	/** null where nothing is traced. */
	readonly tracing: Tracing | null;
	readonly logger: Logger;
	/** The upstream could not be reached, or closed the connection without an answer. */
	readonly suspect: () => void;
	/** For requests that no upstream can be sent. */
	readonly unsendable: LogGate;
	/** Either the stream is over or the slot is free: the worker does not count among the open ones any more. Once. */
	settled(): void;
	/** Tells the hub what it may have open, if that has changed. A slot that is released does so by itself. */
	announce(): void;
}

export class Worker implements StreamHandler, UpstreamSink {
	readonly #context: WorkerContext;
	readonly #stream: Stream;
	readonly #section: FieldList;
	readonly #neverIndexed: readonly string[] | null;
	readonly #slot: Slot;
	/** Body that came before the request was sent on. */
	#early: Buffer[] = [];
	#bodyEnded: boolean;
	#requestTrailers: FieldList | undefined;
	#exchange: UpstreamExchange | null = null;
	/** Of the response that was begun; 0 before. */
	#status = 0;
	#requestId = '';
	#trace: UpstreamTrace | null = null;
	readonly #began = performance.now();
	/** Of an upgrade: nothing goes to the upstream before it has switched, where it could be taken for another request. */
	#holds = false;
	/** The upstream has switched protocols: its end and the hub's do not wait for each other. */
	#switched = false;
	/** The upstream has ended in order. */
	#complete = false;
	#continueWait: ContinueWait | null = null;
	/** Bytes of the response that the tunnel could not take: the upstream waits. */
	#paused = false;
	#settled = false;
	#connected = false;
	/** Bytes that the upstream's client took before it was connected. */
	#buffered = 0;
	/** Nothing more is to be told to the hub. */
	#over = false;

	constructor(context: WorkerContext, stream: Stream, section: FieldList, endStream: boolean, slot: Slot) {
		this.#context = context;
		this.#stream = stream;
		this.#section = section;
		this.#neverIndexed = stream.neverIndexed;
		this.#bodyEnded = endStream;
		this.#slot = slot;
	}

	/** Sends the request on. Called when all frames of the read that began it were told, so a small body is here already. */
	start(): void {
		if (this.#over) {
			this.onReleased();
			return;
		}
		const request = upstreamRequest(this.#section, this.#context.ownAuthorization);
		this.#requestId = request.requestId;
		const path = joinPath(this.#context.prefix, request.path);
		if (path === null) {
			this.#refuse(new SlimeError('bad_request', 'The path leaves what this upstream serves.'), true);
			this.onReleased();
			return;
		}
		const { method, trailers, upgrade } = request;
		const { tracing } = this.#context;
		if (tracing !== null) this.#trace = new UpstreamTrace(tracing, request.fields, request.requestId, this.#began);
		const fields = this.#trace?.inject(request.fields) ?? request.fields;
		const early = this.#early;
		// Whoever has begun to send does not wait.
		const asksFirst = request.asksFirst && upgrade === undefined && !this.#bodyEnded && early.length === 0;
		if (asksFirst) this.#continueWait = new ContinueWait(() => this.#goOn());
		this.#holds = upgrade !== undefined;
		const streamed = this.#holds || !this.#bodyEnded || (trailers && this.#requestTrailers !== undefined);
		const whole = early.length === 0 ? null : early.length === 1 ? (early[0] as Buffer) : Buffer.concat(early);
		try {
			this.#exchange = this.#context.upstream.send(
				{
					method,
					path,
					fields,
					trailers,
					asksFirst,
					neverIndexed: this.#neverIndexed,
					body: streamed ? 'stream' : whole,
					begun: early.length > 0 || this.#bodyEnded,
					upgrade,
				},
				this,
			);
		} catch (error) {
			// The client refuses what it could not send without ambiguity; nothing has left.
			this.#logUnsendable(error);
			this.#refuse(new SlimeError('bad_request', CANNOT_BE_SENT), true);
			this.onReleased();
			return;
		}
		if (this.#holds) return;
		this.#early = [];
		if (!streamed) {
			for (const chunk of early) this.#stream.consume(chunk.length);
			return;
		}
		for (const chunk of early) this.#exchange.write(chunk);
		if (this.#bodyEnded) this.#exchange.finish(this.#requestTrailers);
	}

	/** It could not be started for a reason of our own. */
	abandon(): void {
		this.#over = true;
		this.#early = [];
		this.#stream.reset(ErrorCode.INTERNAL_ERROR);
		if (this.#exchange === null) this.onReleased();
		else this.#exchange.cancel();
	}

	// StreamHandler: from the hub

	data(stream: Stream, chunk: Buffer): void {
		if (this.#exchange !== null && !this.#holds) this.#exchange.write(chunk);
		else if (this.#over) stream.consume(chunk.length);
		else this.#early.push(chunk);
	}

	trailers(_stream: Stream, section: FieldList): void {
		this.#requestTrailers = forwardableTrailers(section);
	}

	end(): void {
		this.#bodyEnded = true;
		if (this.#complete) this.#over = true;
		if (!this.#holds) this.#exchange?.finish(this.#requestTrailers);
	}

	failed(): void {
		if (!this.#over) {
			this.#log('cancelled');
			this.#trace?.failed('cancelled');
		}
		this.#over = true;
		this.#early = [];
		this.#exchange?.cancel();
	}

	drain(): void {
		if (!this.#paused) return;
		this.#paused = false;
		this.#exchange?.resume();
	}

	closed(): void {
		this.#trace?.told();
		this.#continueWait?.stop();
		this.#settle();
		this.#context.announce();
	}

	// UpstreamSink: from the upstream

	onConnected(): void {
		this.#connected = true;
		this.#continueWait?.begin();
		this.onTaken(this.#buffered);
	}

	onInformation(status: number, raw: readonly string[]): void {
		if (this.#over || this.#status > 0 || status === 101) return;
		if (status === 100) this.#continueWait?.over();
		// Hints may be left out, and nothing else would hold up an upstream that sends them without end.
		else if (!this.#stream.session.backlogged) this.#stream.respond(tunnelResponse(status, raw), false);
	}

	#goOn(): void {
		if (!this.#over && this.#status === 0) this.#stream.respond([':status', '100'], false);
	}

	onResponse(status: number, raw: readonly string[], neverIndexed?: readonly string[] | null): void {
		if (this.#over) return;
		if (status === 101) this.#giveUp('switched protocols without being asked');
		// RFC 9110 section 15.
		else if (status < 200 || status > 999) this.#giveUp(`answered with the status ${status}`);
		else {
			const why = framingFault(status, raw);
			if (why !== null) this.#giveUp(why);
			else this.#respond(status, tunnelResponse(status, raw), neverIndexed);
		}
	}

	onSwitched(raw: readonly string[]): void {
		if (this.#over || !this.#respond(200, tunnelSwitched(raw))) return;
		this.#switched = true;
		this.#holds = false;
		const early = this.#early;
		this.#early = [];
		for (const chunk of early) this.#exchange?.write(chunk);
		if (this.#bodyEnded) this.#exchange?.finish();
	}

	/** @returns whether it could be told */
	#respond(status: number, section: FieldList, neverIndexed?: readonly string[] | null): boolean {
		if (listSize(section) > Math.min(this.#stream.session.remote.maxHeaderListSize, MAX_RESPONSE_LIST)) {
			this.#giveUp('sent too many header bytes');
			return false;
		}
		this.#status = status;
		this.#trace?.answered(performance.now());
		this.#stream.respond(section, false, neverIndexed);
		return true;
	}

	#giveUp(why: string): void {
		this.#refuse(new SlimeError('upstream_protocol', `The upstream ${why}.`), true);
		this.#exchange?.cancel();
	}

	onBody(chunk: Buffer): boolean {
		bytesPassed(chunk.length);
		if (this.#over || this.#stream.write(chunk)) return true;
		this.#paused = true;
		return false;
	}

	onComplete(rawTrailers: readonly string[]): void {
		if (this.#over) return;
		this.#complete = true;
		if (this.#switched) {
			if (this.#bodyEnded) this.#over = true;
			this.#stream.end();
			return;
		}
		this.#over = true;
		this.#log('complete');
		this.#stream.end(rawTrailers.length > 0 ? forwardableTrailers(rawTrailers) : undefined);
		// Answered without having read all of the request: the hub may stop sending it (RFC 9113 section 8.1).
		if (!this.#bodyEnded) this.#stream.stopReceiving();
	}

	onFailure(error: SlimeError, started: boolean): void {
		if (this.#over) return;
		this.#trace?.failed(error.code);
		const reason = messageOf(error.cause ?? error);
		if (error.code === 'upstream_unreachable') this.#context.suspect();
		if (error.code === 'bad_request') this.#logUnsendable(error.cause ?? error);
		else this.#context.logger.info({ requestId: this.#requestId, error: error.code, reason }, 'request failed');
		if (this.#status > 0) {
			// What was cut must not look complete.
			this.#over = true;
			if (!this.#switched) {
				this.#stream.reset(error.code === 'upstream_protocol' ? ErrorCode.PROTOCOL_ERROR : ErrorCode.INTERNAL_ERROR);
			} else if (this.#complete) this.#stream.stopReceiving();
			else this.#stream.reset(ErrorCode.CANCEL);
		} else {
			this.#refuse(error, started);
		}
	}

	/** No credit before the request is on its way: so long the hub can still send it elsewhere, all of its body included. */
	onTaken(bytes: number): void {
		if (this.#connected) this.#stream.consume(bytes);
		else this.#buffered += bytes;
	}

	onReleased(): void {
		// Not announced before its slot is: the hub would be told to pause, and a round trip later to go on.
		this.#settle();
		this.#slot.release();
		this.#trace?.released(performance.now(), this.#status);
		// Nobody is left to take what an app would go on to send.
		if (this.#switched && !this.#over && !this.#bodyEnded) this.#stream.stopReceiving();
		this.#context.announce();
	}

	#log(outcome: 'complete' | 'cancelled'): void {
		const { logger } = this.#context;
		if (!logger.isLevelEnabled('debug')) return;
		const status = this.#status || undefined;
		const ms = Math.round(performance.now() - this.#began);
		logger.debug({ requestId: this.#requestId, status, outcome, ms }, 'request');
	}

	#logUnsendable(error: unknown): void {
		const { logger, unsendable } = this.#context;
		const leftOut = unsendable.pass();
		if (leftOut !== null) logger.warn({ reason: messageOf(error), leftOut }, 'request not sent');
	}

	#settle(): void {
		if (this.#settled) return;
		this.#settled = true;
		this.#context.settled();
	}

	#refuse(error: SlimeError, started: boolean): void {
		this.#over = true;
		this.#trace?.failed(error.code);
		this.#stream.respond(agentError(error, started), true);
		this.#stream.reset(ErrorCode.NO_ERROR);
	}
}

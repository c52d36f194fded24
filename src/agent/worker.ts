/**
 * One request at work: from a stream of a tunnel to the upstream and back. Holds a slot from the stream's start until nothing
 * of it is left at the upstream. Knows neither which hub sent it nor which protocol the upstream speaks.
 */
import { ErrorCode, type FieldList } from '../h2/protocol.ts';
import type { Stream, StreamHandler } from '../h2/stream.ts';
import { messageOf, SlimeError } from '../shared/errors.ts';
import type { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { bytesPassed } from '../shared/young-generation.ts';
import { agentError, listSize, tunnelResponse, upstreamRequest } from '../tunnel/fields.ts';
import { forwardableTrailers } from '../tunnel/trailers.ts';
import { framingFault } from './response-framing.ts';
import type { Slot } from './slots.ts';
import { joinPath } from './upstream.ts';
import type { UpstreamClient, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { CANNOT_BE_SENT } from './upstream-errors.ts';

/** 256 KiB of header bytes, which no upstream connection lets through more of, and the 32 that HTTP/2 counts for each field. */
const MAX_RESPONSE_LIST = 640 * 1024;

export interface WorkerContext {
	readonly upstream: UpstreamClient;
	readonly prefix: string;
	/** The agent sends credentials of its own, so those of apps do not pass. */
	readonly ownAuthorization: boolean;
	readonly logger: Logger;
	/** For requests that no upstream can be sent. */
	readonly unsendable: LogGate;
	/** Either the stream is over or the slot is free: the worker does not count among the open ones any more. Once. */
	settled(): void;
	/** The hub's limit may be another now. Called when both counts have changed, or it would be told of a step between. */
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
	readonly #began = performance.now();
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
		const { method, fields, trailers } = request;
		const early = this.#early;
		const streamed = !this.#bodyEnded || (trailers && this.#requestTrailers !== undefined);
		const whole = early.length === 0 ? null : early.length === 1 ? (early[0] as Buffer) : Buffer.concat(early);
		try {
			this.#exchange = this.#context.upstream.send(
				{ method, path, fields, trailers, neverIndexed: this.#neverIndexed, body: streamed ? 'stream' : whole },
				this,
			);
		} catch (error) {
			// The client refuses what it could not send without ambiguity; nothing has left.
			this.#logUnsendable(error);
			this.#refuse(new SlimeError('bad_request', CANNOT_BE_SENT), true);
			this.onReleased();
			return;
		}
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
		if (this.#exchange !== null) this.#exchange.write(chunk);
		else if (this.#over) stream.consume(chunk.length);
		else this.#early.push(chunk);
	}

	trailers(_stream: Stream, section: FieldList): void {
		this.#requestTrailers = forwardableTrailers(section);
	}

	end(): void {
		this.#bodyEnded = true;
		this.#exchange?.finish(this.#requestTrailers);
	}

	failed(): void {
		if (!this.#over) this.#log('cancelled');
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
		this.#settle();
		this.#context.announce();
	}

	// UpstreamSink: from the upstream

	onConnected(): void {
		this.#connected = true;
		this.onTaken(this.#buffered);
	}

	onInformation(status: number, raw: readonly string[]): void {
		if (this.#over || this.#status > 0 || status === 101) return;
		// Hints may be left out, and nothing else would hold up an upstream that sends them without end.
		if (this.#stream.session.backlogged) return;
		this.#stream.respond(tunnelResponse(status, raw), false);
	}

	onResponse(status: number, raw: readonly string[], neverIndexed?: readonly string[] | null): void {
		if (this.#over) return;
		const section = tunnelResponse(status, raw);
		const why = this.#whyUnfit(status, section) ?? framingFault(status, raw);
		if (why !== null) {
			this.#refuse(new SlimeError('upstream_protocol', `The upstream ${why}.`), true);
			this.#exchange?.cancel();
			return;
		}
		this.#status = status;
		this.#stream.respond(section, false, neverIndexed);
	}

	#whyUnfit(status: number, section: FieldList): string | null {
		if (status === 101) return 'switched protocols without being asked';
		// RFC 9110 section 15.
		if (status < 200 || status > 999) return `answered with the status ${status}`;
		const most = Math.min(this.#stream.session.remote.maxHeaderListSize, MAX_RESPONSE_LIST);
		return listSize(section) > most ? 'sent too many header bytes' : null;
	}

	onBody(chunk: Buffer): boolean {
		bytesPassed(chunk.length);
		if (this.#over || this.#stream.write(chunk)) return true;
		this.#paused = true;
		return false;
	}

	onComplete(rawTrailers: readonly string[]): void {
		if (this.#over) return;
		this.#over = true;
		this.#log('complete');
		this.#stream.end(rawTrailers.length > 0 ? forwardableTrailers(rawTrailers) : undefined);
		// Answered without having read all of the request: the hub may stop sending it (RFC 9113 section 8.1).
		if (!this.#bodyEnded) this.#stream.stopReceiving();
	}

	onFailure(error: SlimeError, started: boolean): void {
		if (this.#over) return;
		const reason = messageOf(error.cause ?? error);
		if (error.code === 'bad_request') this.#logUnsendable(error.cause ?? error);
		else this.#context.logger.info({ requestId: this.#requestId, error: error.code, reason }, 'request failed');
		if (this.#status > 0) {
			// What was cut must not look complete.
			this.#over = true;
			this.#stream.reset(error.code === 'upstream_protocol' ? ErrorCode.PROTOCOL_ERROR : ErrorCode.INTERNAL_ERROR);
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
		this.#settle();
		this.#slot.release();
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
		this.#stream.respond(agentError(error, started), true);
		this.#stream.reset(ErrorCode.NO_ERROR);
	}
}

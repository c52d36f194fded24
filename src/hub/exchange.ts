/**
 * Relays one admitted request over one stream of an agent's tunnel and its response back to the app.
 * Owns the lease from the start to its return, and the truth about ends: what was cut never looks complete.
 */

import type { Lease } from '../dispatch/dispatcher.ts';
import { ErrorCode, type FieldList } from '../h2/protocol.ts';
import type { Stream, StreamFailure, StreamHandler } from '../h2/stream.ts';
import { StreamState } from '../h2/stream-state.ts';
import { ERRORS, type ErrorCode as SlimeCode, SlimeError } from '../shared/errors.ts';
import { type AgentVerdict, agentVerdict, appResponse, hasControlCharacters } from '../tunnel/fields.ts';
import { forwardableTrailers } from '../tunnel/trailers.ts';
import type { AgentLink, ReadListener } from './agent-link.ts';
import type { AppRequest } from './app-request.ts';
import { type Deadlines, Timed } from './deadlines.ts';
import type { RequestBody } from './request-body.ts';
import type { Statistics } from './statistics.ts';

/** What an agent says of its upstream that makes another agent the better choice. */
const UPSTREAM_FAULTS: ReadonlySet<string> = new Set(['upstream_unreachable', 'upstream_protocol', 'upstream_timeout']);

/** Whoever admitted the request; hears how this try ended, once. */
export interface ExchangeOwner {
	readonly app: AppRequest;
	readonly body: RequestBody;
	/** What Server-Timing says of the wait, if there was one. */
	readonly timing: string | undefined;
	/** It certainly did not start, nothing was answered, and its body is still here: it may go to another agent. */
	notStarted(link: AgentLink, verdict: AgentVerdict | null): void;
	/** Its tunnel is gone, nothing of a response has come, and it may have started. */
	lost(link: AgentLink): void;
	/** It failed before any of the response was sent. */
	failed(error: SlimeError): void;
	/** The response is out, or was cut. */
	done(outcome: 'complete' | 'cut', reason?: string): void;
}

export class Exchange extends Timed implements StreamHandler, ReadListener {
	readonly link: AgentLink;
	readonly #owner: ExchangeOwner;
	readonly #lease: Lease<AgentLink>;
	readonly #deadlines: Deadlines;
	readonly #statistics: Statistics;
	readonly #app: AppRequest;
	#stream: Stream | null = null;
	/** The response's field section until it is sent: with the first bytes, or when all frames of one read are told. */
	#head: FieldList | null = null;
	#first: Buffer | null = null;
	#trailers: FieldList = [];
	#sent = false;
	/** The response was a switch of protocols: both directions end each on its own. */
	#switched = false;
	/** The upstream has ended its direction after the switch. */
	#finished = false;
	/** Bytes that the app's socket could not take yet. */
	#unread = 0;
	/** When the head came, or the last piece of the body behind the first, in milliseconds. */
	#lastPiece = 0;
	#over = false;
	/** When the response's head came, in milliseconds of performance.now(); 0 before. */
	headAt = 0;
	/** Bytes of the response's body that were handed to the app. */
	responseBytes = 0;

	constructor(owner: ExchangeOwner, lease: Lease<AgentLink>, deadlines: Deadlines, statistics: Statistics) {
		super();
		this.#owner = owner;
		this.#lease = lease;
		this.link = lease.member;
		this.#deadlines = deadlines;
		this.#statistics = statistics;
		this.#app = owner.app;
	}

	/** The response has ended, the request's rest is all here, and some of it has yet to leave. */
	get sendsOn(): boolean {
		return this.#finished && this.#owner.body.ended && !this.#over;
	}

	start(section: FieldList): void {
		const { body, app } = this.#owner;
		if (this.#app.upgrade !== undefined && !this.link.session.remote.enableConnectProtocol) {
			this.#lease.release();
			this.#over = true;
			this.#owner.notStarted(this.link, NO_UPGRADES);
			return;
		}
		try {
			this.#stream = this.link.session.request(section, body.isEmpty, this, app.neverIndexed ?? undefined);
		} catch {
			// The tunnel closed or filled up between the lease and now: nothing was sent.
			this.#lease.release();
			this.#over = true;
			this.#owner.notStarted(this.link, null);
			return;
		}
		this.#deadlines.add(this);
		body.giveTo(this.#stream);
	}

	/** The app is gone: the upstream's work ends. */
	abort(): void {
		if (!this.#over) this.#statistics.cancels.app_gone++;
		this.#end();
		this.#stream?.reset(ErrorCode.CANCEL);
	}

	/** Deadlines: the first byte is too late. */
	override expired(): void {
		if (this.#over) return;
		this.#end();
		this.#lease.outcome = 'failed';
		this.#statistics.cancels.upstream_timeout++;
		this.#stream?.reset(ErrorCode.CANCEL);
		this.#owner.failed(new SlimeError('upstream_timeout'));
	}

	// StreamHandler

	information(_stream: Stream, section: FieldList): void {
		if (!this.#over && !hasControlCharacters(section)) this.#app.inform(section);
	}

	headers(stream: Stream, section: FieldList): void {
		this.#deadlines.remove(this);
		if (this.#over) return;
		const status = section[1] as string;
		const verdict = status >= '400' ? agentVerdict(section) : null;
		if (verdict !== null) {
			this.#onVerdict(stream, verdict);
			return;
		}
		if (hasControlCharacters(section)) {
			this.#end();
			stream.reset(ErrorCode.PROTOCOL_ERROR);
			this.#owner.failed(new SlimeError('upstream_protocol', 'The response holds control characters.'));
			return;
		}
		this.#owner.body.started();
		this.#switched = this.#app.upgrade !== undefined && status < '300';
		this.headAt = performance.now();
		this.#lastPiece = this.headAt;
		this.#statistics.firstByte.observe((this.headAt - this.since) / 1000);
		this.#head = section;
		this.link.afterRead(this);
	}

	data(stream: Stream, chunk: Buffer): void {
		if (this.#over) {
			stream.consume(chunk.length);
			return;
		}
		if (!this.#sent && this.#first === null) {
			this.#first = chunk;
			return;
		}
		const now = performance.now();
		this.#statistics.piece(chunk.length, now - this.#lastPiece);
		this.#lastPiece = now;
		this.#send();
		this.#write(stream, chunk);
	}

	trailers(_stream: Stream, section: FieldList): void {
		if (!this.#over && !hasControlCharacters(section)) this.#trailers = forwardableTrailers(section);
	}

	end(stream: Stream): void {
		if (this.#over) return;
		const { body } = this.#owner;
		this.#writeHead();
		const first = this.#first;
		if (first !== null) this.#count(first);
		if (this.#switched) {
			this.#sent = true;
			this.#finished = true;
			this.#first = null;
			this.#app.finish(first, []);
			return;
		}
		this.#end();
		this.#app.finish(first, this.#trailers);
		body.stop();
		// The upstream answered without reading all of the request: nobody wants the rest of it.
		if (stream.writable) stream.reset(ErrorCode.NO_ERROR);
		this.#lease.outcome = 'served';
		this.#owner.done('complete');
	}

	failed(_stream: Stream, failure: StreamFailure): void {
		if (this.#over) return;
		this.#deadlines.remove(this);
		const sent = this.#sent;
		if (failure.started) this.#lease.outcome = 'failed';
		this.#end();
		if (sent) {
			this.#cut(failure.message);
		} else if (!failure.started && this.#owner.body.replayable) {
			this.#owner.notStarted(this.link, null);
		} else if (failure.kind === 'reset' && this.#head !== null) {
			// The response had begun, only the app had not heard of it.
			this.#owner.failed(
				new SlimeError(failure.code === ErrorCode.PROTOCOL_ERROR ? 'upstream_protocol' : 'upstream_unreachable'),
			);
		} else if (failure.kind === 'protocol') {
			this.#owner.failed(new SlimeError('upstream_protocol', 'The agent sent a response that is not valid HTTP.'));
		} else if (failure.kind === 'lost' && this.#head === null) {
			this.#owner.lost(this.link);
		} else {
			this.#owner.failed(new SlimeError('agent_lost'));
		}
	}

	drain(): void {
		this.#owner.body.drain();
	}

	closed(stream: Stream): void {
		this.#deadlines.remove(this);
		if (!this.#over && !this.#finished) this.#failInside();
		this.link.settle(this.#lease, stream.state === StreamState.RESET_BY_US);
		if (this.#over || !this.#finished) return;
		this.#end();
		// The upstream has ended in order, and wants no more of what the app sends.
		if (!this.#owner.body.ended) this.#app.cut();
		this.#owner.done('complete');
	}

	// ReadListener: nothing more came with the response's head, so it goes out as it is.

	readDone(): void {
		if (!this.#over) this.#send();
	}

	readFailed(): void {
		this.#stream?.reset(ErrorCode.INTERNAL_ERROR);
	}

	/** The stream is over and nobody was told why: something was thrown on the way. */
	#failInside(): void {
		const sent = this.#sent;
		this.#end();
		if (sent) this.#cut('a fault inside the hub');
		else this.#owner.failed(new SlimeError('internal'));
	}

	#onVerdict(stream: Stream, verdict: AgentVerdict): void {
		if (UPSTREAM_FAULTS.has(verdict.code)) this.#lease.outcome = 'failed';
		this.#end();
		stream.reset(ErrorCode.NO_ERROR);
		if (!verdict.started && this.#owner.body.replayable) {
			this.#owner.notStarted(this.link, verdict);
			return;
		}
		this.#owner.failed(errorOf(verdict));
	}

	#writeHead(): void {
		if (this.#head === null) return;
		const raw = appResponse(this.#head, this.link.identity.agentId);
		const { timing } = this.#owner;
		if (timing !== undefined) raw.push('server-timing', timing);
		this.#app.head(Number(this.#head[1]), raw, this.#stream?.neverIndexed);
		this.#head = null;
	}

	#send(): void {
		if (this.#sent) return;
		this.#sent = true;
		this.#writeHead();
		if (this.#first === null) {
			this.#app.flush();
			return;
		}
		const first = this.#first;
		this.#first = null;
		if (this.#stream !== null) this.#write(this.#stream, first);
	}

	#write(stream: Stream, chunk: Buffer): void {
		this.#count(chunk);
		if (this.#app.write(chunk)) {
			stream.consume(chunk.length);
			return;
		}
		this.#unread += chunk.length;
	}

	#count({ length }: Buffer): void {
		this.#statistics.responseBytes += length;
		this.responseBytes += length;
	}

	/** The app has taken what it could not take before. */
	responseDrained(): void {
		const bytes = this.#unread;
		this.#unread = 0;
		this.#stream?.consume(bytes);
	}

	#cut(reason: string): void {
		// First, for to its owner a response that closes before it is done was left by its app.
		this.#owner.done('cut', reason);
		this.#app.cut();
	}

	#end(): void {
		this.#over = true;
		this.#first = null;
		this.#deadlines.remove(this);
	}
}

/** An agent that has not announced extended CONNECT (RFC 8441 section 3) must not be sent one. */
const NO_UPGRADES: AgentVerdict = {
	code: 'not_implemented',
	started: false,
	message: 'The agent does not serve protocol upgrades.',
};

/** The agent's own error as the hub tells it. */
export function errorOf(verdict: AgentVerdict): SlimeError {
	const code = verdict.code in ERRORS ? (verdict.code as SlimeCode) : 'agent_lost';
	return new SlimeError(code, verdict.message);
}

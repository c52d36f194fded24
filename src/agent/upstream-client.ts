/** What a worker needs of an upstream, whatever protocol that speaks. */
import type { FieldList } from '../h2/protocol.ts';
import type { SlimeError } from '../shared/errors.ts';

export interface UpstreamCall {
	readonly method: string;
	/** Path and query, the upstream's prefix included. */
	readonly path: string;
	/** Regular fields, without Host, Expect, and anything hop-by-hop. */
	readonly fields: FieldList;
	/** `stream`: it comes through the exchange's write() and finish(). */
	readonly body: Buffer | 'stream' | null;
	/** Of a stream: the first of it is here, and written at once. */
	readonly begun: boolean;
	/** The request announces trailers. */
	readonly trailers: boolean;
	/** Its body, a `stream`, comes once the upstream has said 100 (Continue), or has taken long to do so. */
	readonly asksFirst: boolean;
	/** Names that came never-indexed and have to leave so (RFC 7541 section 6.2.3). */
	readonly neverIndexed?: readonly string[] | null;
	/**
	 * The protocol to switch to (RFC 9110 section 7.8, RFC 8441). `method` then says nothing, `body` is `stream`, and none of it may be
	 * written before onSwitched().
	 */
	readonly upgrade: string | undefined;
}

/** Hears of one exchange. `onReleased` is made exactly once: with onComplete or onFailure, just before or after it, or after cancel(). */
export interface UpstreamSink {
	/** There is a connection, and the request goes out: from now on it may have started. */
	onConnected(): void;
	/** `raw` is name, value, name, value … */
	onInformation(status: number, raw: readonly string[]): void;
	/** To an upgrade: it was refused, so never with 2xx. @param neverIndexed names that came never-indexed and have to leave so (RFC 7541 section 6.2.3) */
	onResponse(status: number, raw: readonly string[], neverIndexed?: readonly string[] | null): void;
	/**
	 * The upstream has switched: both directions go on and end each on its own, so that write() and finish() may follow onComplete(),
	 * and so may onFailure().
	 */
	onSwitched(raw: readonly string[]): void;
	/** @returns false to pause until resume() */
	onBody(chunk: Buffer): boolean;
	/** Complete. */
	onComplete(rawTrailers: readonly string[]): void;
	/** @param started false only if the upstream cannot have seen the request */
	onFailure(error: SlimeError, started: boolean): void;
	/** The upstream took so many bytes of the streamed body. */
	onTaken(bytes: number): void;
	/** Nothing of this exchange is left at the upstream. */
	onReleased(): void;
}

export interface UpstreamExchange {
	/** For a streamed body; the pace is given by onTaken(). */
	write(chunk: Buffer): void;
	/** The streamed body is complete. */
	finish(trailers?: FieldList): void;
	/** Goes on after onBody() returned false. */
	resume(): void;
	/** Ends the upstream's work; only onReleased() follows. */
	cancel(): void;
}

export interface UpstreamClient {
	send(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange;
	/** Closes idle connections, and busy ones when they become idle. */
	close(): void;
}

/** Fields that every request to this upstream carries: Host and the agent's own credentials. */
export interface UpstreamIdentity {
	readonly authority: string;
	/** The value of Authorization, if the agent has credentials of its own. */
	readonly authorization: string | undefined;
}

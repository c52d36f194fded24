/** One request of an application and its response, by whatever version of HTTP it came: what gateway and exchange know of it. */
import type { FieldList } from '../h2/protocol.ts';
import type { SlimeError } from '../shared/errors.ts';
import type { Peer } from './peer.ts';

/** Hears of a request's body. */
export interface BodyReader {
	bodyChunk(chunk: Buffer): void;
	/** It is complete; trailers as they arrived: name, value, name, value … */
	bodyEnded(rawTrailers: readonly string[]): void;
}

/** Hears of what becomes of a response. */
export interface ResponseListener {
	/** write() returned false before, and there is room again. */
	responseDrained(): void;
	/** The response was sent whole, or the app is gone. Once. */
	responseClosed(): void;
	/** The rest of the request's body is malformed: nothing of it may go on, and nothing more is to be answered. */
	requestBroken(): void;
}

/** Fields that the hub adds to every response to a request, whoever made it. */
export interface ResponseDecorator {
	/** @param fields name, value, name, value … in lower case, changed in place */
	decorate(fields: string[]): void;
}

export interface AppRequest {
	readonly method: string;
	/**
	 * The protocol that it asks to switch to, by Upgrade or by extended CONNECT (RFC 8441). A response with 2xx is then the switch: both
	 * directions go on as bytes and end each on its own, finish() ends the response's alone.
	 */
	readonly upgrade: string | undefined;
	/** The request target as it arrived. */
	readonly target: string;
	/** name, value, name, value … as they arrived, without pseudo-header fields. */
	readonly fields: readonly string[];
	/** HTTP/2's :authority. */
	readonly authority: string | undefined;
	readonly version: '1.0' | '1.1' | '2.0' | 'unknown';
	/** IP address of the application, as far as it and trusted proxies before it tell. */
	readonly address: string;
	/** Whoever is at the other end of its connection: the application, or a proxy. */
	readonly peer: Peer;
	/** There is no body, nor will there be. */
	readonly bodiless: boolean;
	/** It waits for 100 (Continue) before it sends its body (RFC 9110 section 10.1.1). */
	readonly asksFirst: boolean;
	/** Status of the response whose head was sent or settled; undefined before. */
	readonly status: number | undefined;

	/** Names of fields that came never-indexed and have to go on so (RFC 7541 section 7.1.3). */
	readonly neverIndexed: readonly string[] | null;

	/** Adds to the fields of whatever is answered; null for nothing. */
	decorator: ResponseDecorator | null;

	/** The value of a field that may come once; of several the first, or all of them joined. `name` in lower case. */
	field(name: string): string | undefined;
	listen(listener: ResponseListener): void;

	/** Begins to hand the body over. Once. */
	readBody(reader: BodyReader): void;
	pauseBody(): void;
	resumeBody(): void;

	/** A 1xx response as the tunnel brought it: `:status` first (RFC 9110 section 15.2). A 100 is for an app that asked first, once. */
	inform(section: FieldList): void;
	/**
	 * Settles the head, which leaves with the first bytes, or with flush(). `raw` is name, value …
	 * @param neverIndexed names that came never-indexed and have to go on so
	 */
	head(status: number, raw: string[], neverIndexed?: readonly string[] | null): void;
	flush(): void;
	/** @returns false when the app is not keeping up: responseDrained() follows */
	write(chunk: Buffer): boolean;
	/** The response is complete. */
	finish(last: Buffer | null, trailers: FieldList): void;
	/** Ends a response in its middle so that nobody can take it for a whole one. */
	cut(): void;
	/**
	 * Answers with an error instead; what is left of the request's body is not wanted.
	 * @param retryAfter seconds
	 */
	refuse(error: SlimeError, requestId: string, retryAfter?: number): void;
}

/** RFC 9110 section 9.2.2, but for TRACE, which is never served. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Whether an upstream that was sent it twice would be none the worse, and all of it is here to be sent again. */
export function isRepeatable({ method, bodiless, upgrade }: AppRequest): boolean {
	return bodiless && upgrade === undefined && IDEMPOTENT.has(method);
}

/** The forms of the catalogues' rows. */

/** What a lenient upstream may have seen of a request. */
export type Effect = 'nothing' | 'no whole request' | { readonly target: string; readonly body: string };

/** What it is, its bytes (latin1), the status of the answer, what the upstream saw. */
export type RequestRow = readonly [name: string, bytes: string, status: number, effect: Effect];

/** How an HTTP/2 request ended: a status, its stream reset as malformed, or the whole connection ended. */
export type Http2Outcome = number | 'reset' | 'connection ended';

/** One HTTP/2 request as raw frames: its header section as it is compressed, then DATA frames, then a trailer section if there is one. */
export interface Http2Row {
	readonly name: string;
	/** name, value, name, value … */
	readonly fields: readonly string[];
	/** Payloads of DATA frames; none: END_STREAM is on HEADERS. */
	readonly data?: readonly string[];
	readonly trailers?: readonly string[];
	readonly outcome: Http2Outcome;
	readonly effect: Effect;
	/** All that the length announced, if it came before the fault did: the upstream may have seen a whole request with just that. */
	readonly announced?: string;
	/** A field that the upstream has to see, or not to see if its value is null. */
	readonly sees?: readonly [name: string, value: string | null];
}

/**
 * What an app gets of an upstream's answer: an error of the hub's own, a response that is cut, or a whole one. `connection` says whether
 * the upstream's connection may serve the next request.
 */
export interface ResponseRow {
	readonly name: string;
	/** Latin1. */
	readonly bytes: string;
	/** HEAD and others; GET by default. */
	readonly method?: string;
	/** The upstream closes its side behind the bytes. */
	readonly fin?: true;
	readonly sees:
		| 'upstream_protocol'
		| 'upstream_unreachable'
		| 'cut'
		| { readonly status: number; readonly body: string };
	readonly connection: 'closed' | 'kept';
	/** A field that the app has to see, or not to see if its value is null. */
	readonly field?: readonly [name: string, value: string | null];
}

/** One HTTP/2 response as raw frames, and what an app gets of it. The connection serves the next request in any case. */
export interface Http2ResponseRow {
	readonly name: string;
	/** Sections before the last one are 1xx. */
	readonly sections: ReadonlyArray<readonly string[]>;
	readonly data?: readonly string[];
	readonly trailers?: readonly string[];
	readonly sees: 'upstream_protocol' | 'cut' | { readonly status: number; readonly body: string };
}

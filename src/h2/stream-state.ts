/**
 * The states of a stream and what each received frame means in each (RFC 9113 section 5.1, figure 2). Pure.
 * The two `reserved` states do not exist here: PUSH_PROMISE ends the connection, so no stream can get there.
 * docs/http2-engine.md has the same table with its reasons, and a test compares the two.
 */
import { ErrorCode } from './protocol.ts';

export const StreamState = {
	/** Not for the peer to open, and never opened: a number of our own, or any of the peer's if the peer is a server. */
	FORBIDDEN: 0,
	/** The peer may open it. */
	IDLE: 1,
	OPEN: 2,
	/** We ended our side. */
	HALF_CLOSED_LOCAL: 3,
	/** The peer ended its side. */
	HALF_CLOSED_REMOTE: 4,
	/** Both sides ended, or the peer reset the stream. */
	CLOSED: 5,
	/** We reset it, or gave it up at a GOAWAY; the peer may not know yet, so its frames are passed over. */
	RESET_BY_US: 6,
	/** The peer opened a higher number and so closed this one, which was never used. */
	SKIPPED: 7,
	/** Over for so long that it is not known how it ended. */
	FORGOTTEN: 8,
} as const;
export type StreamState = (typeof StreamState)[keyof typeof StreamState];

export const Received = { DATA: 0, HEADERS: 1, RST_STREAM: 2, WINDOW_UPDATE: 3, PRIORITY: 4 } as const;
export type Received = (typeof Received)[keyof typeof Received];

export type Verdict =
	| { readonly do: 'accept' | 'ignore' }
	| { readonly do: 'end-stream' | 'end-connection'; readonly code: number };

const accept: Verdict = { do: 'accept' };
const ignore: Verdict = { do: 'ignore' };
const streamClosed: Verdict = { do: 'end-stream', code: ErrorCode.STREAM_CLOSED };
const allClosed: Verdict = { do: 'end-connection', code: ErrorCode.STREAM_CLOSED };
const protocolError: Verdict = { do: 'end-connection', code: ErrorCode.PROTOCOL_ERROR };

/** verdicts[state][frame]. HEADERS on an idle stream opens it. What is late, and not wrong, hurts no other stream. */
const verdicts: ReadonlyArray<readonly [Verdict, Verdict, Verdict, Verdict, Verdict]> = [
	/* FORBIDDEN          */ [protocolError, protocolError, protocolError, protocolError, ignore],
	/* IDLE               */ [protocolError, accept, protocolError, protocolError, ignore],
	/* OPEN               */ [accept, accept, accept, accept, ignore],
	/* HALF_CLOSED_LOCAL  */ [accept, accept, accept, accept, ignore],
	/* HALF_CLOSED_REMOTE */ [streamClosed, streamClosed, accept, accept, ignore],
	/* CLOSED             */ [streamClosed, allClosed, ignore, ignore, ignore],
	/* RESET_BY_US        */ [ignore, ignore, ignore, ignore, ignore],
	/* SKIPPED            */ [streamClosed, protocolError, ignore, ignore, ignore],
	/* FORGOTTEN          */ [streamClosed, streamClosed, ignore, ignore, ignore],
];

export function verdictOn(state: StreamState, frame: Received): Verdict {
	return (verdicts[state] as (typeof verdicts)[number])[frame];
}

export function afterEndReceived(state: StreamState): StreamState {
	return state === StreamState.HALF_CLOSED_LOCAL ? StreamState.CLOSED : StreamState.HALF_CLOSED_REMOTE;
}

export function afterEndSent(state: StreamState): StreamState {
	return state === StreamState.HALF_CLOSED_REMOTE ? StreamState.CLOSED : StreamState.HALF_CLOSED_LOCAL;
}

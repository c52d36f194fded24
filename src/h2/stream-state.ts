/**
 * The states of a stream and what each received frame means in each (RFC 9113 section 5.1, figure 2). Pure.
 * The two `reserved` states do not exist here: pushes are refused when announced, so no stream can get there.
 */
import { ErrorCode } from './protocol.ts';

export const StreamState = {
	IDLE: 0,
	OPEN: 1,
	/** We ended our side. */
	HALF_CLOSED_LOCAL: 2,
	/** The peer ended its side. */
	HALF_CLOSED_REMOTE: 3,
	/** Both sides ended, or the peer reset the stream. */
	CLOSED: 4,
	/** We reset it; the peer may not know yet, so its frames are passed over. */
	RESET_BY_US: 5,
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
const protocolError: Verdict = { do: 'end-connection', code: ErrorCode.PROTOCOL_ERROR };

/**
 * verdicts[state][frame]. HEADERS on an idle stream opens it (at a server; a client treats it as a connection error itself,
 * since only pushes could open one). A frame on a closed stream ends no connection: a late one must not hurt its neighbours.
 */
const verdicts: ReadonlyArray<readonly [Verdict, Verdict, Verdict, Verdict, Verdict]> = [
	/* IDLE               */ [protocolError, accept, protocolError, protocolError, ignore],
	/* OPEN               */ [accept, accept, accept, accept, ignore],
	/* HALF_CLOSED_LOCAL  */ [accept, accept, accept, accept, ignore],
	/* HALF_CLOSED_REMOTE */ [streamClosed, streamClosed, accept, accept, ignore],
	/* CLOSED             */ [streamClosed, streamClosed, ignore, ignore, ignore],
	/* RESET_BY_US        */ [ignore, ignore, ignore, ignore, ignore],
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

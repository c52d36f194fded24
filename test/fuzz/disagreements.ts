/** Where the engine judges otherwise than Node's http2 (nghttp2), on purpose, and what of RFC 9113 it follows there. */
import { FrameType } from '../../src/h2/protocol.ts';
import type { Case, Verdict } from './differential.ts';

export interface Disagreement {
	readonly what: string;
	readonly rfc: string;
	readonly node: Verdict;
	readonly engine: Verdict;
	when(it: Case): boolean;
}

const onStream = (type: number, states: ReadonlyArray<Case['state']>) => (it: Case) =>
	it.type === type && it.streamId !== 0 && states.includes(it.state);

export const DISAGREEMENTS: readonly Disagreement[] = [
	{
		what: 'PRIORITY of a wrong size, or on itself, costs its stream, not everybody on the connection',
		rfc: 'sections 6.3 and 5.3.1 of RFC 9113 and 7540: a stream error',
		node: 'ends the connection',
		engine: 'ends the stream',
		when: (it) => it.type === FrameType.PRIORITY && it.streamId !== 0,
	},
	{
		what: 'HEADERS that depend on their own stream cost that stream',
		rfc: 'section 5.3.1 of RFC 7540: a stream error',
		node: 'ends the connection',
		engine: 'ends the stream',
		when: (it) =>
			it.type === FrameType.HEADERS && (it.flags & 0x20) !== 0 && it.payload === `5 bytes on stream ${it.streamId}`,
	},
	{
		what: 'DATA after END_STREAM costs its stream',
		rfc: 'section 5.1, half-closed (remote): a stream error of type STREAM_CLOSED',
		node: 'ends the connection',
		engine: 'ends the stream',
		when: onStream(FrameType.DATA, ['half-closed']),
	},
	{
		what: 'HEADERS after END_STREAM cost their stream',
		rfc: 'section 5.1, half-closed (remote): a stream error of type STREAM_CLOSED',
		node: 'ends the connection',
		engine: 'ends the stream',
		when: onStream(FrameType.HEADERS, ['half-closed']),
	},
	{
		what: 'DATA on a stream that the peer itself has reset is answered, where Node passes it over',
		rfc: 'section 5.1, closed: "MUST treat that as a stream error of type STREAM_CLOSED" after RST_STREAM was received',
		node: 'accepts',
		engine: 'ends the stream',
		when: (it) => it.type === FrameType.DATA && it.state === 'closed by the peer',
	},
	{
		what: 'HEADERS on a stream that the peer itself has reset end the connection, where Node passes them over',
		rfc: 'section 5.1, closed, as above; section 5.4: "MAY choose to treat a stream error as a connection error"',
		node: 'accepts',
		engine: 'ends the connection',
		when: (it) => it.type === FrameType.HEADERS && it.state === 'closed by the peer',
	},
	{
		what: 'padding that is longer than its frame is an error on closed streams too',
		rfc: 'section 6.1: a connection error of type PROTOCOL_ERROR; section 4.2 for a frame without room for its length',
		node: 'accepts',
		engine: 'ends the connection',
		when: (it) => it.type === FrameType.DATA && it.state === 'closed by the peer' && (it.flags & 0x08) !== 0,
	},
	{
		what: 'trailers with an empty field name, or that depend on their own stream, cost their stream',
		rfc: 'section 8.2.1, and 5.1 of RFC 9110: a name is a token; section 5.3.1 of RFC 7540',
		node: 'accepts',
		engine: 'ends the stream',
		when: (it) =>
			it.type === FrameType.HEADERS && it.streamId === 1 && (it.state === 'open' || it.state === 'next to an open one'),
	},
	{
		what: 'a WINDOW_UPDATE of 0 or over 2^31-1 on a stream costs that stream',
		rfc: 'sections 6.9 and 6.9.1: a stream error',
		node: 'ends the connection',
		engine: 'ends the stream',
		when: (it) => it.type === FrameType.WINDOW_UPDATE && it.streamId !== 0,
	},
	{
		what: 'GOAWAY lets the streams of its sender finish; Node ends the session at once for some codes and without streams',
		rfc: 'section 6.8: the connection is used until the streams below the last number are complete',
		node: 'ends the connection',
		engine: 'accepts',
		when: (it) => it.type === FrameType.GOAWAY && it.streamId === 0,
	},
	{
		what: 'the answer to a PING that was never sent, or was given up, means nothing',
		rfc: 'section 6.7: no error is defined for it',
		node: 'ends the connection',
		engine: 'accepts',
		when: (it) => it.type === FrameType.PING && it.streamId === 0 && (it.flags & 0x01) !== 0,
	},
];

/** The state table, walked state by state and frame by frame (RFC 9113 section 5.1). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode } from '../../../src/h2/protocol.ts';
import { afterEndReceived, afterEndSent, Received, StreamState, verdictOn } from '../../../src/h2/stream-state.ts';

const columns = ['DATA', 'HEADERS', 'RST_STREAM', 'WINDOW_UPDATE', 'PRIORITY'] as const;
const table: Record<keyof typeof StreamState, string[]> = {
	FORBIDDEN: ['end-connection', 'end-connection', 'end-connection', 'end-connection', 'ignore'],
	IDLE: ['end-connection', 'accept', 'end-connection', 'end-connection', 'ignore'],
	OPEN: ['accept', 'accept', 'accept', 'accept', 'ignore'],
	HALF_CLOSED_LOCAL: ['accept', 'accept', 'accept', 'accept', 'ignore'],
	HALF_CLOSED_REMOTE: ['end-stream', 'end-stream', 'accept', 'accept', 'ignore'],
	CLOSED: ['end-stream', 'end-connection STREAM_CLOSED', 'ignore', 'ignore', 'ignore'],
	RESET_BY_US: ['ignore', 'ignore', 'ignore', 'ignore', 'ignore'],
	SKIPPED: ['end-stream', 'end-connection', 'ignore', 'ignore', 'ignore'],
	FORGOTTEN: ['end-stream', 'end-stream', 'ignore', 'ignore', 'ignore'],
};
const codes: Record<string, number> = {
	'end-stream': ErrorCode.STREAM_CLOSED,
	'end-connection': ErrorCode.PROTOCOL_ERROR,
};

describe('stream states', () => {
	for (const state of Object.keys(table) as Array<keyof typeof StreamState>) {
		for (const [i, received] of columns.entries()) {
			const outcome = table[state][i] as string;
			it(`${outcome}: ${received} on a stream that is ${state}`, () => {
				const verdict = verdictOn(StreamState[state], Received[received]);
				assert.equal(verdict.do, outcome);
				if ('code' in verdict) assert.equal(verdict.code, codes[outcome]);
			});
		}
	}

	it('closes when both sides have ended, in either order', () => {
		assert.equal(afterEndSent(StreamState.OPEN), StreamState.HALF_CLOSED_LOCAL);
		assert.equal(afterEndReceived(StreamState.HALF_CLOSED_LOCAL), StreamState.CLOSED);
		assert.equal(afterEndReceived(StreamState.OPEN), StreamState.HALF_CLOSED_REMOTE);
		assert.equal(afterEndSent(StreamState.HALF_CLOSED_REMOTE), StreamState.CLOSED);
	});
});

/** The state table: the code has what docs/http2-engine.md says for every pair of state and frame (RFC 9113 section 5.1). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { afterEndReceived, afterEndSent, Received, StreamState, verdictOn } from '../../../src/h2/stream-state.ts';
import { statedStates, statedVerdicts } from '../../helpers/engine-tables.ts';

const verdicts = statedVerdicts();

describe('the table of stream states', () => {
	it('has every state and every frame, each pair once, and nothing else', () => {
		const pairs = Object.keys(StreamState).flatMap((state) =>
			Object.keys(Received).map((frame) => `${state} ${frame}`),
		);
		assert.deepEqual(verdicts.map(({ state, frame }) => `${state} ${frame}`).sort(), pairs.sort());
		assert.deepEqual(
			statedStates().map(({ state }) => state),
			Object.keys(StreamState),
		);
	});

	for (const { state, frame, text, verdict } of verdicts) {
		it(`says ${text} of ${frame} on a stream that is ${state}, and so does the code`, () => {
			const inCode = verdictOn(
				StreamState[state as keyof typeof StreamState],
				Received[frame as keyof typeof Received],
			);
			assert.deepEqual(inCode, verdict);
		});
	}
});

describe('stream states', () => {
	it('close when both sides have ended, in either order', () => {
		assert.equal(afterEndSent(StreamState.OPEN), StreamState.HALF_CLOSED_LOCAL);
		assert.equal(afterEndReceived(StreamState.HALF_CLOSED_LOCAL), StreamState.CLOSED);
		assert.equal(afterEndReceived(StreamState.OPEN), StreamState.HALF_CLOSED_REMOTE);
		assert.equal(afterEndSent(StreamState.HALF_CLOSED_REMOTE), StreamState.CLOSED);
	});
});

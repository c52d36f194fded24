/** What attacks are measured with: the heap after a collection, and the end that each of them has to come to. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FrameType } from '../../src/h2/protocol.ts';
import { type Connection, codeOf } from './h2-peer.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export const MiB = 1024 * 1024;

/** Bytes in use on the heap and outside of it, after a full collection. */
export function bytesInUse(): number {
	collect();
	collect();
	const { heapUsed, external } = process.memoryUsage();
	return heapUsed + external;
}

/** The connection ends with this code, told once, and nothing of it is left open. */
export async function endsWith(connection: Connection, code: number): Promise<void> {
	const error = (await connection.ended) as { code?: number; message: string } | null;
	assert.equal(error?.code, code, error?.message);
	await connection.peer.closed();
	const goaways = connection.peer.of(FrameType.GOAWAY);
	if (goaways.length > 0) assert.deepEqual(goaways.map(codeOf), [code]);
	assert.equal(connection.closedCalls(), 1);
	assert.equal(connection.session.openStreams, 0);
	for (const { recorder } of connection.accepted) {
		assert.equal(recorder.calls.filter((call) => call === 'closed').length, 1);
	}
	assert.deepEqual(connection.faults, []);
}

/** The same frame many times in one piece. */
export function times(count: number, bytes: Buffer): Buffer {
	return Buffer.alloc(count * bytes.length, bytes);
}

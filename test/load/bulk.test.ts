/** A gibibyte each way through hub and agent: every byte, and memory that does not depend on how many there are. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { BulkReport } from './bulk-client.ts';
import { client, cpu, type Pair, resetPeak, resident, startPair, startUpstream } from './processes.ts';

const MiB = 1024 * 1024;
const BYTES = 1024 * MiB;
const WARM_UP_BYTES = 256 * MiB;
/** Most that a hub's or an agent's resident memory may be above where it was after the warm-up, at any time. */
const MAX_GROWTH = 64 * MiB;

async function move(context: TestContext, pair: Pair, way: 'up' | 'down', bytes: number): Promise<BulkReport> {
	const report = await client<BulkReport>(context, 'bulk-client.ts', pair.port, way, bytes);
	assert.equal(report.received, report.sent, `what went ${way} is not what arrived`);
	assert.match(report.sent, /^[0-9a-f]{64}$/);
	return report;
}

test('1 GiB up and 1 GiB down arrive as they left, in little memory', { timeout: 600_000 }, async (context) => {
	const upstream = await startUpstream(context);
	const pair = await startPair(context, upstream.port, 2);
	for (const way of ['up', 'down'] as const) await move(context, pair, way, WARM_UP_BYTES);
	const processes = [
		['hub', pair.hub],
		['agent', pair.agent],
	] as const;
	const before = processes.map(([, pid]) => resident(pid, 'VmRSS'));
	for (const [, pid] of processes) resetPeak(pid);
	const used = processes.map(([, pid]) => cpu(pid));
	for (const way of ['up', 'down'] as const) {
		const { seconds } = await move(context, pair, way, BYTES);
		context.diagnostic(`${way}: ${(BYTES / MiB / seconds).toFixed(0)} MiB/s`);
	}
	for (const [i, [who, pid]] of processes.entries()) {
		const growth = resident(pid, 'VmHWM') - (before[i] ?? 0);
		const mebibytes = (bytes: number) => (bytes / MiB).toFixed(1);
		const cost = ((cpu(pid) - (used[i] ?? 0)) / ((2 * BYTES) / MiB)).toFixed(0);
		context.diagnostic(`${who}: ${mebibytes(before[i] ?? 0)} MiB, and ${mebibytes(growth)} at most; ${cost} us a MiB`);
		assert.ok(growth < MAX_GROWTH, `the ${who} grew by ${mebibytes(growth)} MiB`);
	}
});

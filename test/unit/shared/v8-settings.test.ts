/** V8's young space as hub and agent settle it, seen from processes of their own since flags hold for a whole process. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';

const MiB = 1024 * 1024;

/** Runs a program that prints JSON; what it imports is the module under test. */
function measure(program: string): Record<string, number> {
	const module = new URL('../../../src/shared/v8-settings.ts', import.meta.url).href;
	const source = `import { bytesPassed, settleV8 } from ${JSON.stringify(module)};
		import { getHeapSpaceStatistics } from 'node:v8';
		const young = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
		${program}`;
	const args = ['--import', 'tsx', '--input-type=module', '--eval', source];
	return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

const CHURN = "const kept = []; for (let i = 0; i < 2e6; i++) kept[i % 50_000] = { i, text: 'x' + i };";

it('the young space has its size at once and keeps it under load', () => {
	const untouched = measure(`${CHURN} console.log(JSON.stringify({ after: young() }));`);
	assert.ok((untouched.after ?? 0) > 16 * MiB, 'V8 would let it grow');
	const settled = measure(
		`settleV8(); const before = young(); ${CHURN} console.log(JSON.stringify({ before, after: young() }));`,
	);
	assert.deepEqual(settled, { before: 16 * MiB, after: 16 * MiB });
});

it('nothing that loading the program left behind, or settling it, is kept', () => {
	const { settled, live } = measure(
		`${CHURN} settleV8(); const settled = process.memoryUsage().heapUsed;
		const { runInNewContext } = await import('node:vm');
		const gc = runInNewContext('gc');
		gc();
		console.log(JSON.stringify({ settled, live: process.memoryUsage().heapUsed }));`,
	);
	assert.ok(
		settled !== undefined && live !== undefined && settled < live + MiB,
		`${settled} bytes, of which ${live} live`,
	);
});

it('buffers in passing are collected before they become a burden', () => {
	const passing = `let most = 0;
		for (let i = 0; i < 4000; i++) {
			const length = Buffer.alloc(65_536).length;
			bytesPassed(length);
			if (i % 16 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
		}
		console.log(JSON.stringify({ most }));`;
	const { most } = measure(`settleV8(); ${passing}`);
	assert.ok((most ?? Number.POSITIVE_INFINITY) < 28 * MiB, `${most} bytes at most`);
	assert.ok((measure(passing).most ?? 0) > 28 * MiB, 'without it they pile up');
});

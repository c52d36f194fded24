/** Ten times the load for longer, with a clock: `SLIME_OVERLOAD_SECONDS=60 npm run test:load`; without it, a quarter of a minute. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startNode } from '../helpers/cli.ts';
import { overload, percentile } from '../helpers/overload.ts';
import type { Probed } from './probe.ts';
import { lasting, script } from './processes.ts';

const SECONDS = Number(process.env.SLIME_OVERLOAD_SECONDS ?? 15);
const REFUSED_WITHIN_MS = 100;
/** On a machine that wakes an idle process later than this, what refusals take says more of it than of the hub. */
const NOISY_MS = 10;
const REFUSED_AT_ALL_MS = 10_000;
const BACK_WITHIN_MS = 5000;

test(`under ten times its load for ${SECONDS} s a hub refuses within 100 ms (p99), and is as quick as before within 5 s`, async (context) => {
	let probed: Probed | undefined;
	await overload(context, SECONDS, BACK_WITHIN_MS, async (port) => {
		const limit = 60_000 + 3000 * SECONDS;
		const { child } = lasting(context, (options) => startNode([script('probe.ts'), `${port}`], options), {
			ipc: true,
			limit,
		});
		await once(child, 'message');
		return async () => {
			const told = once(child, 'message');
			child.send('over');
			[probed] = (await told) as [Probed];
		};
	});
	assert.ok(probed !== undefined && probed.refused.length > 10 * SECONDS, `${probed?.refused.length} refusals`);
	const [p99, late] = [percentile(probed.refused, 0.99), percentile(probed.late, 0.99)];
	context.diagnostic(`refused within ${p99.toFixed(1)} ms (p99); the machine is late by ${late.toFixed(1)} ms (p99)`);
	const most = late < NOISY_MS ? REFUSED_WITHIN_MS : REFUSED_AT_ALL_MS;
	assert.ok(p99 < most, `refused after ${p99} ms, on a machine that is late by ${late} ms`);
});

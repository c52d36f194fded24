/**
 * Many event streams at once, as an LLM's users make them: 512 at 20 ms a token, alone and beside a download that takes all it
 * can get of the same tunnel. What is late is compared with the same client on the same upstream without Slime.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startNode } from '../helpers/cli.ts';
import { client, cpu, lasting, type Pair, script, startPair, startUpstream } from './processes.ts';
import type { StreamsReport } from './streams-client.ts';
import { TOKEN_MS } from './tokens.ts';

const STREAMS = 512;
const TOKENS = 6000 / TOKEN_MS;
/** Milliseconds that a gap may be longer than what the direct run has in 99 of 100. */
const LATE_MS = 250;
/** Other programs share the machine, and one stall of it is one gap too long: a comparison that is late is made again, as a whole. */
const TRIES = 4;

/** Nothing may be missing or out of order, ever. */
async function streams(context: TestContext, port: number): Promise<StreamsReport> {
	const report = await client<StreamsReport>(context, 'streams-client.ts', port, STREAMS, TOKENS);
	assert.equal(report.fault, null);
	assert.deepEqual(
		[report.complete, report.disordered, report.tokens],
		[STREAMS, 0, STREAMS * TOKENS],
		JSON.stringify(report),
	);
	return report;
}

async function besideDownload(context: TestContext, { port }: Pair): Promise<StreamsReport> {
	const download = lasting(context, (options) => startNode([script('bulk-client.ts'), `${port}`, 'endless'], options));
	await download.output(/^reading$/m);
	const report = await streams(context, port);
	download.child.kill('SIGTERM');
	const { code, stdout, stderr } = await download.exit;
	assert.equal(code, 0, `the download ended early: ${stderr}`);
	const { bytes, seconds } = JSON.parse(stdout.slice('reading\n'.length));
	context.diagnostic(`the download had ${(bytes / seconds / 1e6).toFixed(0)} MB/s`);
	return report;
}

for (const [what, run] of Object.entries({
	'': (context: TestContext, pair: Pair) => streams(context, pair.port),
	' beside an unlimited download on the same tunnel': besideDownload,
})) {
	test(`${STREAMS} event streams are whole, in order and in time${what}`, { timeout: 600_000 }, async (context) => {
		const upstream = await startUpstream(context);
		const pair = await startPair(context, upstream.port, STREAMS + 1);
		// Compiled code and pools, as in a hub that has been up for a while.
		await client(context, 'streams-client.ts', pair.port, STREAMS, 50);
		for (let tries = 1; ; tries++) {
			const direct = await streams(context, upstream.port);
			const before = [cpu(pair.hub), cpu(pair.agent)] as const;
			const through = await run(context, pair);
			const each = ([pair.hub, pair.agent] as const).map((pid, i) => {
				return ((cpu(pid) - (before[i] ?? 0)) / through.tokens).toFixed(1);
			});
			context.diagnostic(`direct ${JSON.stringify(direct.gaps)}, the client up to ${direct.lag} ms late`);
			context.diagnostic(
				`slime ${JSON.stringify(through.gaps)}, the client up to ${through.lag} ms late, ${each.join(' + ')} us a token`,
			);
			const late = through.gaps.max - (direct.gaps.p99 + LATE_MS);
			if (late <= 0) break;
			assert.ok(tries < TRIES, `a gap of ${through.gaps.max} ms, ${late} ms more than may be`);
		}
	});
}

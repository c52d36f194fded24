/**
 * Hubs and agents in simulated time: `npm run simulate -- --steps 1000000 --seed N`. Runs world after world, each of 50,000 steps and
 * with a seed of its own, until the steps are done. Without --seed it takes one from the clock; it always says which. A world that
 * breaks an invariant says its seed: `--seed THAT --steps 50000` is that world alone, the same in every step.
 */
import { parseArgs } from 'node:util';
import { Violation, World } from './world.ts';

const STEPS_OF_ONE = 50_000;

const { values } = parseArgs({
	options: {
		steps: { type: 'string', default: '1000000' },
		seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
	},
});
const steps = Number(values.steps);
const first = Number(values.seed);
if (!Number.isInteger(steps) || !Number.isInteger(first)) throw new Error('--steps and --seed are integers');

console.log(`seed ${first}`);
const began = process.hrtime.bigint();
const totals: Record<string, number> = {};
let done = 0;
let simulated = 0;
for (let seed = first; done < steps; seed++) {
	try {
		const report = new World({ seed, steps: STEPS_OF_ONE }).run();
		done += report.steps;
		simulated += report.seconds;
		for (const [what, count] of Object.entries(report.counts)) totals[what] = (totals[what] ?? 0) + count;
	} catch (error) {
		if (!(error instanceof Violation)) console.error(`seed ${seed}`);
		else console.error(`seed ${seed}: ${error.message}`);
		throw error;
	}
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
console.log(
	Object.entries(totals)
		.map(([what, count]) => `${count} ${what}`)
		.join(', '),
);
console.log(`${done} steps, ${(simulated / 3600).toFixed(1)} h simulated in ${seconds.toFixed(1)} s`);

/** A hub that is started again with 500 agents: they come back soon, and not all at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartHub } from '../helpers/hub-restart.ts';

const AGENTS = 500;
const BACK_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 15_000;

test(`${AGENTS} agents of a hub that was killed are all back within 60 s, spread, and the hub answers throughout`, async (context) => {
	const { took, answers, slowest, connectedAt } = await restartHub(context, 'SIGKILL', AGENTS);
	assert.ok(took < BACK_WITHIN_MS, `${took} ms`);
	assert.ok(answers > 0 && slowest < ANSWERS_WITHIN_MS, `${answers} answers, the slowest after ${slowest} ms`);
	assert.equal(connectedAt.length, AGENTS);
	const [first = 0] = connectedAt;
	const tenths: number[] = [];
	for (const at of connectedAt) {
		const tenth = Math.floor((at - first) / 100);
		tenths[tenth] = (tenths[tenth] ?? 0) + 1;
	}
	const most = Math.max(...tenths.filter((count) => count !== undefined));
	context.diagnostic(
		`${Math.round(took)} ms, at most ${most} within 100 ms, ${answers} answers, the slowest after ${slowest.toFixed(0)} ms`,
	);
	assert.ok(most < AGENTS / 3, `${most} connected within 100 ms`);
});

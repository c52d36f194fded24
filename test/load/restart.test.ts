/** A hub that is started again with 500 agents: they come back soon, and not all at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartHub } from '../helpers/hub-restart.ts';

const AGENTS = 500;
const BACK_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 15_000;

test(`${AGENTS} agents of a hub that was killed are all back within 60 s, spread, and the hub answers throughout`, async (context) => {
	const { took, answers, slowest, plannedAt, connectedAt } = await restartHub(context, 'SIGKILL', AGENTS);
	assert.ok(took < BACK_WITHIN_MS, `${took} ms`);
	assert.ok(answers > 0 && slowest < ANSWERS_WITHIN_MS, `${answers} answers, the slowest after ${slowest} ms`);
	assert.equal(connectedAt.length, AGENTS);
	const [planned, connected] = [mostInATenth(plannedAt), mostInATenth(connectedAt)];
	context.diagnostic(
		`${Math.round(took)} ms, at most ${connected} connected within 100 ms, ${planned} of ${plannedAt.length} meant to; ${answers} answers, the slowest after ${slowest.toFixed(0)} ms`,
	);
	// What they meant to do: a machine that stands still for a moment brings them together all the same.
	assert.ok(plannedAt.length > 0 && planned < AGENTS / 3, `${planned} attempts within 100 ms`);
});

/** @param moments in milliseconds */
function mostInATenth(moments: readonly number[]): number {
	const tenths = new Map<number, number>();
	for (const at of moments) {
		const tenth = Math.floor(at / 100);
		tenths.set(tenth, (tenths.get(tenth) ?? 0) + 1);
	}
	return Math.max(...tenths.values());
}

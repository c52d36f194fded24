/** Two runners with one identity, which do not take turns: one of them has the place, and the other says so and stays away. */
import assert from 'node:assert/strict';
import { eventually } from '../helpers/stack.ts';
import type { Runner } from './runner.ts';

const TOOK = 'another agent with this token and this id took our place';
/** Milliseconds that whoever lost its place leaves it alone, at least. */
const AWAY = 15_000;

export class Fight {
	readonly #older: Runner;
	readonly #newer: Runner;
	readonly #began = performance.now();

	constructor(older: Runner, newer: Runner) {
		this.#older = older;
		this.#newer = newer;
	}

	/** Resolves when one of them has said that it lost: mostly the older one, unless it had lost its tunnel before and came back last. */
	async decided(): Promise<{ winner: Runner; loser: Runner }> {
		const [older, newer] = [this.#older, this.#newer];
		await eventually('one of two with one identity says so', () => older.said(TOOK) + newer.said(TOOK) > 0);
		return older.said(TOOK) > 0 ? { winner: newer, loser: older } : { winner: older, loser: newer };
	}

	/** @throws AssertionError if they took the place from each other again and again */
	assertNoTurns(): void {
		const times = this.#older.said(TOOK) + this.#newer.said(TOOK);
		const most = 1 + Math.floor((performance.now() - this.#began) / AWAY);
		assert.ok(times <= most, `two with one identity took each other's place ${times} times`);
	}
}

import type { TestContext } from 'node:test';

/**
 * From now on a twentieth of the time passes: budgets that are filled up by and by are used up by a machine that is slow, too.
 * Timers are not changed.
 */
export function slowClock(t: TestContext): void {
	const now = performance.now.bind(performance);
	const start = now();
	t.mock.method(performance, 'now', () => start + (now() - start) / 20);
}

/** Durations as people write them: `30s`, `1h30m`, `250ms`, `30d`. Knows nothing of what they are for. */
import { UsageError } from './errors.ts';

const MILLISECONDS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1_000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
};

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy;
const PLAIN = /^\d+(?:\.\d+)?$/;

/**
 * Numbers with units, each unit at most once, or a plain number of seconds.
 * @returns whole milliseconds
 * @throws UsageError
 */
export function parseDuration(text: string): number {
	const total = PLAIN.test(text) ? Number(text) * 1000 : sumOfParts(text);
	const rounded = Math.round(total);
	// Half a microsecond is not what anyone meant by a duration, and 0 would mean something else.
	if (!Number.isSafeInteger(rounded) || (rounded === 0 && total > 0)) throw notDuration(text);
	return rounded;
}

/** As `parseDuration` would read it, in the unit that people say it in, without fractions. */
export function formatDuration(milliseconds: number): string {
	if (milliseconds > 0 && milliseconds % 3_600_000 === 0) return `${milliseconds / 3_600_000}h`;
	return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}

function sumOfParts(text: string): number {
	const seen = new Set<string>();
	let total = 0;
	let end = 0;
	for (const match of text.matchAll(PART)) {
		const [whole, amount, unit = ''] = match;
		if (seen.has(unit)) throw notDuration(text);
		seen.add(unit);
		total += Number(amount) * (MILLISECONDS[unit] ?? Number.NaN);
		end = match.index + whole.length;
	}
	if (end === 0 || end !== text.length) throw notDuration(text);
	return total;
}

function notDuration(text: string): UsageError {
	const shown = JSON.stringify(text.slice(0, 64));
	return new UsageError(`${shown} is not a duration: write 250ms, 30s, 1h30m or 30d (a plain number is seconds)`);
}

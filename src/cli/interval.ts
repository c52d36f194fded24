/** How often a view is refreshed. */
import { ConfigError } from '../config/mistakes.ts';
import { parseDuration } from '../shared/duration.ts';
import { UsageError } from '../shared/errors.ts';
import type { Flag } from './command.ts';

/** More often would only cost the hub. */
const LEAST = 100;
const MOST = 86_400_000;

export function intervalFlag(standard: string): Flag {
	return { name: 'interval', value: 'DURATION', help: `How often it is refreshed (default: ${standard})` };
}

/** Milliseconds. @throws ConfigError */
export function intervalOf(flags: ReadonlyMap<string, string>, standard: number): number {
	const text = flags.get('interval');
	if (text === undefined) return standard;
	let interval: number;
	try {
		interval = parseDuration(text);
	} catch (error) {
		if (error instanceof UsageError) throw new ConfigError([`--interval: ${error.message}`]);
		throw error;
	}
	if (interval >= LEAST && interval <= MOST) return interval;
	throw new ConfigError(['--interval: is out of range: write 100ms to 1d']);
}

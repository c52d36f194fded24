/** What an application says of how its request wants to wait. Pure. */
import { SlimeError } from '../shared/errors.ts';

/** @param mode whether it waits that says nothing */
export function wantsToWait(block: string | undefined, mode: 'header' | 'always'): boolean {
	if (block === undefined) return mode === 'always';
	const value = block.trim().toLowerCase();
	return value !== '' && value !== '0' && value !== 'false';
}

/** Milliseconds. @param most as it is configured @throws SlimeError bad_request */
export function queueTimeout(seconds: string | undefined, most: number): number {
	if (seconds === undefined) return most;
	const value = /^\s*\d{1,9}(?:\.\d{1,9})?\s*$/.test(seconds) ? Number(seconds) : Number.NaN;
	if (Number.isNaN(value))
		throw new SlimeError('bad_request', 'Slime-Queue-Timeout is a number of seconds, such as 2.5.');
	return Math.min(value * 1000, most);
}

/** The `u` of RFC 9218, 3 without one. */
export function urgencyOf(priority: string | undefined): number {
	const urgency = priority === undefined ? null : /(?:^|,)\s*u=([0-7])\s*(?:$|[,;])/.exec(priority);
	return urgency?.[1] === undefined ? 3 : Number(urgency[1]);
}

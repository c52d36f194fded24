/** Ids that let an operator follow one request across hub and agent. */
import { randomBytes } from 'node:crypto';

const SANE = /^[\x21-\x7e]{1,128}$/;

/** The id that an app gave, if it is one that logs and upstreams can take. */
export function requestIdOf(value: string | string[] | undefined): string | undefined {
	return typeof value === 'string' && SANE.test(value) ? value : undefined;
}

const run = randomBytes(6).toString('hex');
let count = 0;

/** Unique: random for this run of the process, then counted. */
export function newRequestId(): string {
	count++;
	return `${run}-${count.toString(36)}`;
}

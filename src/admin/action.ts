/** What an operator's request is about, found again at the request when it has been answered: for the audit log. */
import type { IncomingMessage } from 'node:http';
import { bounded } from '../shared/bounded.ts';

/** What may say which agent, token or setting is meant. */
const NAMES = ['agent', 'tokenId', 'name', 'level'];

const TARGET = Symbol('target');
type Known = IncomingMessage & { [TARGET]?: Readonly<Record<string, string>> };

/** @param body of the request, as it was read: nothing of it has been looked at */
export function setTarget(req: IncomingMessage, body: unknown): void {
	const given = typeof body === 'object' && body !== null ? Object.entries(body) : [];
	const told = given.filter(([name, value]) => NAMES.includes(name) && typeof value === 'string');
	if (told.length > 0) (req as Known)[TARGET] = Object.fromEntries(told.map(([name, value]) => [name, bounded(value)]));
}

export function targetOf(req: IncomingMessage): Readonly<Record<string, string>> | undefined {
	return (req as Known)[TARGET];
}

/** Whether it would change something, or was not allowed to ask. @param error the code of it, undefined if there was none */
export function isAudited(method: string | undefined, error: string | undefined): boolean {
	return (method !== 'GET' && method !== 'HEAD') || error === 'unauthorized' || error === 'forbidden';
}

/** An app in the middle of a response at an agent that nothing befalls: whatever happens to the rest, it is served whole. */
import assert from 'node:assert/strict';
import type { Ledger } from '../helpers/ledger.ts';
import { Apps, type Plan } from '../helpers/ledger-apps.ts';
import { eventually } from '../helpers/stack.ts';

/** Some four seconds. */
const PLAN: Plan = { protocol: 'http/1.1', up: 0, down: 40_000, framing: 'chunked', pace: 20 };

export interface WitnessOptions {
	readonly port: number;
	readonly ledger: Ledger;
	/** Of that agent alone. */
	readonly scope: string;
	/** How often one end of its tunnel took the other for dead: so may it be on a machine that is too slow for the heartbeat. */
	readonly foundDead: () => number;
}

/** @param happens begins when the response has */
export async function witness(
	{ port, ledger, scope, foundDead }: WitnessOptions,
	happens: () => Promise<void>,
): Promise<void> {
	const headers = { 'slime-block': '1', 'slime-scope': scope, priority: 'u=0' };
	const apps = new Apps({ port, ledger, headers });
	const before = foundDead();
	const id = ledger.size;
	const running = apps.request(PLAN);
	let ended = false;
	void running.finally(() => {
		ended = true;
	});
	await eventually('a response comes', () => ended || ledger.receivedOf(id) > 0);
	await happens();
	const outcome = await running;
	apps.close();
	if (foundDead() === before) assert.equal(outcome, 'whole', 'a response that was under way');
}

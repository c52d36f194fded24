/**
 * The first part of a hub's drain when another hub accepts at the same sockets, now or as soon as this process has ended. Nobody who
 * is here already may lose by it: agents join the other hub before they leave this one, and whoever still asks here is served.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Acceptor } from './acceptor.ts';
import type { Gateway } from './gateway.ts';
import type { Listeners } from './listeners.ts';

/**
 * In milliseconds. Connections that are in use have brought their next request by then, and end with its response; of those that
 * nobody used for so long, hardly one has a request on its way at the very moment when it is closed.
 */
const QUIET = 250;
const LONGEST = 5000;

export interface Handover {
	readonly gateway: Gateway;
	readonly listeners: Listeners;
	/** Null if the other hub is not reached where agents reach this one. */
	readonly acceptor: Acceptor | null;
}

/** Resolves when nobody asks here any more, after `most` milliseconds at the latest. */
export async function handOver({ gateway, acceptor, listeners }: Handover, most: number): Promise<void> {
	if (most === 0) return;
	const until = performance.now() + Math.min(most, LONGEST);
	listeners.retire();
	acceptor?.moveAll();
	gateway.patientUntil = Math.max(gateway.patientUntil, until);
	for (let seen = -1; seen !== gateway.begun && !gateway.draining && performance.now() < until; ) {
		seen = gateway.begun;
		await sleep(Math.min(QUIET, until - performance.now()));
	}
}

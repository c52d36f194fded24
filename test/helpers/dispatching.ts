/** A dispatcher with agents and requests that are no more than names. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
	Dispatcher,
	type Lease,
	type Member,
	type Ticket,
	type WaitOptions,
	type Wanted,
} from '../../src/dispatch/dispatcher.ts';
import type { StandingOptions } from '../../src/dispatch/standing.ts';

export interface Agent extends Member {
	readonly name: string;
}

export function agent(name: string, grants: { scopes?: string[]; scopePaths?: string[] } = {}): Agent {
	return { name, key: `token/${name}`, scopes: grants.scopes ?? [], scopePaths: grants.scopePaths ?? [] };
}

export function wanted(wish: Partial<Wanted> = {}): Wanted {
	return { scope: undefined, path: '/', affinity: undefined, ...wish };
}

/** A dispatcher, and short ways to use it. */
export function dispatching(
	options: {
		concurrent?: number;
		max?: number;
		maxWithoutAgent?: number;
		timeout?: number;
		aging?: number;
		standing?: StandingOptions;
	} = {},
) {
	const { concurrent = 0, max = 1024, maxWithoutAgent, timeout = 300_000, aging, standing } = options;
	const dispatcher = new Dispatcher<Agent>({ concurrent, queue: { max, maxWithoutAgent, timeout, aging }, standing });
	/** What waiters were told, in order: `name:agent` or `name:code`. */
	const told: string[] = [];
	const leases = new Map<string, Lease<Agent>>();

	function join(name: string, limit: number, grants?: { scopes?: string[]; scopePaths?: string[] }) {
		const member = agent(name, grants);
		const membership = dispatcher.join(member);
		membership.setLimit(limit);
		return { member, membership };
	}
	function acquire(wish?: Partial<Wanted>, exclude?: ReadonlySet<Agent>): Lease<Agent> {
		const lease = dispatcher.acquire(wanted(wish), exclude);
		assert.ok(typeof lease === 'object', `no lease: ${String(lease)}`);
		return lease;
	}
	function wait(name: string, wish?: Partial<Wanted>, wait: Partial<WaitOptions> & Hooks = {}): Ticket {
		const { onGranted, ...options } = wait;
		const ticket = dispatcher.wait(
			wanted(wish),
			{ urgency: 3, timeout: 60_000, caller: 'one', ...options },
			{
				granted: (lease) => {
					told.push(`${name}:${lease.member.name}`);
					leases.set(name, lease);
					onGranted?.(lease);
				},
				refused: (code) => told.push(`${name}:${code}`),
			},
		);
		assert.ok(typeof ticket === 'object', 'the queue is full');
		return ticket;
	}
	return { dispatcher, told, leases, join, acquire, wait };
}

interface Hooks {
	onGranted?: (lease: Lease<Agent>) => void;
}

/** Ends what still waits, so that no timer outlives the test. */
export function end(context: TestContext, dispatcher: Dispatcher<Agent>): void {
	context.after(() => dispatcher.refuseAll('draining'));
}

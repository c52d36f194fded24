/** The agents' side of the dispatcher: what it must know of one, what one tells it, and what they come to. */

/** What the dispatcher must know of an agent. */
export interface Member {
	/** Token id and agent id: the same again when the agent comes back. */
	readonly key: string;
	readonly scopes: readonly string[];
	readonly scopePaths: readonly string[];
}

/** An agent's side of the dispatcher. */
export interface Membership {
	/** 0 until the agent told it. */
	readonly limit: number;
	readonly leased: number;
	/** Its upstream failed again and again: others are preferred to it. */
	readonly aside: boolean;
	/** What the agent says of its upstream. One that is down gets nothing, one that is failing nothing while there are others. */
	setFault(fault: 'none' | 'failing' | 'down'): void;
	/** The agent's SETTINGS_MAX_CONCURRENT_STREAMS: 0 is paused; it may be below what is leased. */
	setLimit(limit: number): void;
	/** No new leases; those that exist stay. */
	drain(): void;
	/** Leases again, within its limit, of one that drains and has not left. */
	resume(): void;
	/** Gone; leases that exist may still be released. */
	leave(): void;
}

export interface DispatcherStats {
	/** Connected and not draining. */
	readonly members: number;
	/** The limits of those. */
	readonly slots: number;
	/** By all requests, also those at agents that drain or left. */
	readonly leased: number;
	readonly waiting: number;
}

/** The requests' side of the dispatcher: how one waits, what it is given for that, and what all of them are held to. */
import type { Place } from './queue.ts';
import type { StandingOptions } from './standing.ts';

export interface WaitOptions {
	/** RFC 9218, an integer from 0 to 7: 0 goes first, 3 is the default. */
	readonly urgency: number;
	/** Milliseconds; never more than the queue's own. Of a request that waited before: what remains. */
	readonly timeout: number;
	/** Who asks: callers of the same urgency take turns. */
	readonly caller: string;
	/** The place of a request that was refused by its agent, from its lease or ticket; then the queue is never full. */
	readonly place?: Place | undefined;
}

export interface Ticket {
	readonly place: Place;
	/** How many waited when it began to, itself included. */
	readonly position: number;
	/** Does not want to be told any more; gives a lease back that it has not been told of. Any number of times. */
	leave(): void;
}

export interface DispatcherOptions {
	/** Most leases at a time; 0 is no limit. */
	readonly concurrent: number;
	readonly queue: {
		readonly max: number;
		readonly maxWithoutAgent?: number | undefined;
		/** Milliseconds, as the next one. */
		readonly timeout: number;
		/** How long until a waiting request counts as one step more urgent; 0 for never. */
		readonly aging?: number | undefined;
	};
	/** Nobody is preferred if left out. */
	readonly standing?: StandingOptions | undefined;
}

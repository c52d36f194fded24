/** What /api/status says: the hub at one moment. Times are milliseconds. */

import type { RequestStatus } from './requests.ts';

export interface AgentStatus {
	readonly id: string;
	/** Name of its token. */
	readonly token: string;
	readonly tokenId: string;
	/** Where its connection comes from. */
	readonly address: string;
	/** As it says of itself. */
	readonly version?: string | undefined;
	/** What its operator wrote beside it; none if left out. */
	readonly labels?: Readonly<Record<string, string>> | undefined;
	/** Scopes that it serves. */
	readonly scopes: readonly string[];
	/** `connecting`: it has not said yet how many workers it has. `drained`, by an operator, and `leaving`: it gets nothing new. */
	readonly state: 'connecting' | 'ready' | 'drained' | 'leaving';
	/** `total` as it says of itself; `used` by requests of this hub; `limit`: most that this hub may use now. */
	readonly workers: { readonly total: number; readonly used: number; readonly limit: number };
	/** What stands in the way at its upstream: what the agent says of it, or that it failed time and again. */
	readonly upstream: UpstreamStatus;
	/** How long this tunnel has been open. */
	readonly age: number;
	/** Round trip of the tunnel as last measured; null before that. */
	readonly rtt: number | null;
}

export interface AgentDetails extends AgentStatus {
	readonly scopePaths: readonly string[];
	/** As it says of itself, if it says anything. */
	readonly hardware?: object | undefined;
	/** Those that it has; `workers.used` counts also those that are left out. */
	readonly requests: readonly RequestStatus[];
}

/** Who an agent is, whether it is connected or not. */
export type AgentName = Pick<AgentStatus, 'id' | 'token' | 'tokenId'>;

/** A token that agents are connected with. */
export interface TokenStatus {
	readonly tokenId: string;
	readonly name: string;
	/** RFC 3339, in UTC. */
	readonly issuedAt: string;
	/** None if it is valid for ever. */
	readonly expiresAt?: string | undefined;
	readonly scopes: readonly string[];
	readonly scopePaths: readonly string[];
	/** Ids of its agents. */
	readonly agents: readonly string[];
}

/** `down`: the agent cannot reach it and takes nothing; `failing`: it fails its health checks; `set aside`: requests failed in a row. */
export type UpstreamStatus =
	| { readonly state: 'up' | 'set aside' }
	| {
			readonly state: 'down' | 'failing';
			/** One of a few words. */
			readonly reason: string;
			readonly message: string;
			/** How long it has been so. */
			readonly age: number;
	  };

export interface HubStatus {
	readonly version: string;
	readonly uptime: number;
	readonly draining: boolean;
	/** By id; the tunnels that were replaced and finish their requests stand for themselves. */
	readonly agents: readonly AgentStatus[];
	/** Workers that may be used now, of all agents that are not leaving, and those that are; `concurrent` 0 is no limit. */
	readonly slots: { readonly total: number; readonly used: number; readonly concurrent: number };
	readonly queue: { readonly waiting: number; readonly max: number };
}

/** What an agent can be told. Durations are in milliseconds. One AgentOptions is one command; each of its upstreams becomes an agent of its own. */
import { type Logger, silentLogger } from '../shared/logger.ts';
import type { Tracing } from '../shared/tracing.ts';
import type { HealthCheckOptions } from './health-check.ts';

export interface AgentOptions {
	/** The token that `slime hub register` printed. */
	readonly token: string;
	/** Addresses as users write them: `host:port` or `http(s)://[user[:password]@]host[:port][/path]`. */
	readonly hubs: readonly string[];
	/** As users write them; also `h2c://host:port` and `unix:/path`. */
	readonly upstreams: readonly string[];
	/** Most requests at an upstream at a time, 1 to 65,535. */
	readonly numWorker: number;
	/** Kept in the state folder when not given. The second and later upstreams with the same one get `-2`, `-3` … after it. */
	readonly agentID?: string | undefined;
	/** Which scopes of its token it serves; all of them if left out. */
	readonly scopes?: readonly string[] | undefined;
	/** What the hub shows beside it. */
	readonly labels?: Readonly<Record<string, string>> | undefined;
	readonly reportHardware: boolean;
	/** A PEM file trusted for hubs and https upstreams beside the system's roots. */
	readonly ca?: string | undefined;
	/** PEM files of the client certificate shown to the hub. These and `ca` are read again when they change. */
	readonly tlsCert?: string | undefined;
	readonly tlsKey?: string | undefined;
	/** The name that https hubs are asked for, and that their certificates must be for; that of their addresses if left out. */
	readonly serverName?: string | undefined;
	/** The keys that hubs may have, `sha256/BASE64` each; all hubs must then be https. */
	readonly pin?: readonly string[] | undefined;
	/** How the tunnel's bytes travel: behind an upgrade of their own, in WebSocket messages, or whichever passes. */
	readonly transport: 'upgrade' | 'websocket' | 'auto';
	/** Sent to the upstream as `Authorization: Bearer`. */
	readonly upstreamToken?: string | undefined;
	readonly stateDir?: string | undefined;
	/** Whether hubs are connected to only once the upstream was seen to be up. */
	readonly waitForUpstream: boolean;
	readonly healthCheck: HealthCheckOptions;
	readonly connectTimeout: number;
	/** Between two lookups of a hub's name, which may lead to more than one hub; 0 for none, then there is one tunnel. */
	readonly resolveInterval: number;
	readonly firstByteTimeout: number;
	readonly drainTimeout: number;
	readonly heartbeat: { readonly interval: number; readonly timeout: number };
	/** Gets spans of every request at the upstream; left out, nothing is traced. Whoever made it ends it. */
	readonly tracing?: Tracing | undefined;
	readonly logger: Logger;
}

export type GivenAgentOptions = Partial<Omit<AgentOptions, 'healthCheck'>> &
	Pick<AgentOptions, 'token' | 'hubs' | 'upstreams'> & {
		readonly healthCheck?: Partial<HealthCheckOptions> | undefined;
	};

/** For programs that embed an agent; the command line's are those of its configuration, and a test holds them equal. */
export const AGENT_DEFAULTS: Omit<AgentOptions, 'token' | 'hubs' | 'upstreams'> = {
	numWorker: 1,
	reportHardware: true,
	transport: 'auto',
	waitForUpstream: false,
	healthCheck: { interval: 10_000, timeout: 5000, unhealthyThreshold: 3, healthyThreshold: 1 },
	connectTimeout: 10_000,
	resolveInterval: 30_000,
	firstByteTimeout: 600_000,
	drainTimeout: 30_000,
	heartbeat: { interval: 10_000, timeout: 5000 },
	logger: silentLogger,
};

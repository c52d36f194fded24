/** What a hub can be told, with the defaults. Durations are in milliseconds, sizes in bytes. */

import type { ReloadOutcome } from '../admin/api.ts';
import type { ApiKeyOptions } from '../auth/api-keys.ts';
import { ACCESS_LOG_FIELDS, type AccessLogOptions } from '../config/access-log.ts';
import type { CorsOptions } from '../config/cors.ts';
import { type Logger, silentLogger } from '../shared/logger.ts';
import type { Tracing } from '../shared/tracing.ts';

export interface HubOptions {
	/** Signs and verifies agents' tokens. */
	readonly secret: string;
	/** Verifies tokens made with the secret before this one; never signs. */
	readonly previousSecret?: string | undefined;
	readonly host: string;
	/** 0 is any free port. */
	readonly port: number;
	/** Most requests that may hold a worker at a time; 0 is no limit. */
	readonly concurrent: number;
	/** What applications must present; with none, and no keys, everyone is let in. It has no limits. */
	readonly appPassword?: string | undefined;
	/** What applications may present instead, each with limits of its own. */
	readonly keys: readonly ApiKeyOptions[];
	/** Where agents connect to, if not where applications do; its host is `host` unless given, its port may be 0. */
	readonly agentHost?: string | undefined;
	readonly agentPort?: number | undefined;
	/** PEM files, read again when they change. */
	readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined } | undefined;
	/**
	 * With `tls.clientCa`, who must bring a certificate that it signed: `agents`; `all`, everyone that connects; `optional`, nobody,
	 * but one that is brought has to be right.
	 */
	readonly clientAuth: 'agents' | 'all' | 'optional';
	/** With `tls.clientCa`: an agent's certificate must be for the name of its token. */
	readonly bindIdentity: boolean;
	/** Networks of proxies whose X-Forwarded-* and Forwarded are believed: IP addresses, CIDR blocks, `loopback`, `private`. */
	readonly trustedProxies: readonly string[];
	/** Connections of trusted proxies begin with a PROXY header, version 1 or 2. */
	readonly proxyProtocol: boolean;
	/** What browsers are told about cross-origin requests; left out, that is the upstreams' business. */
	readonly cors?: CorsOptions | undefined;
	/**
	 * Listening TCP sockets that the process was given, as file descriptors, instead of `host` and `port`, `agentHost` and `agentPort`,
	 * `adminHost` and `adminPort`. Whoever gave `apps` has it accepted by another hub afterwards: a drain then hands over to that one.
	 */
	readonly listenOn?: ListeningSockets | undefined;
	/** For how long from the start requests wait that did not ask to, as agents are on their way; 10 s with `listenOn.apps`, else 0. */
	readonly startGrace?: number | undefined;
	readonly adminHost: string;
	/** 0 is any free port; `off` opens none. */
	readonly adminPort: number | 'off';
	/** True when the admin port was chosen by the user: then a port in use is an error rather than a warning. */
	readonly adminRequired: boolean;
	/** Whoever presents it as Bearer may use /metrics and /api on the admin listener; without one, this machine, if it is on loopback. */
	readonly adminToken?: string | undefined;
	/** Whether agents' handshakes and what operators ask for get a line in the log, whatever else is logged. */
	readonly auditLog: boolean;
	/** Which requests get a line in the log, and what it says; nothing is logged if `sample` is 0 and `errors` false. */
	readonly accessLog: AccessLogOptions;
	/** Folder in which revocations survive a restart; without one they are forgotten. The command line always gives one. */
	readonly stateDir?: string | undefined;
	/** Whether the hub calls itself ready only while an agent is connected. */
	readonly readyNeedsAgent: boolean;
	readonly queue: {
		/** `header`: a request waits if it says Slime-Block; `always`: unless it says Slime-Block: 0. */
		readonly mode: 'header' | 'always';
		readonly max: number;
		/** While no agent is connected that could serve them. */
		readonly maxWithoutAgent?: number | undefined;
		readonly timeout: number;
		/** Bytes of request bodies held by waiting requests, all together. */
		readonly maxBytes: number;
		/** How long until a waiting request counts as one step more urgent; 0 for never. */
		readonly aging?: number | undefined;
		/** Whether requests that wait do so also while the upstreams of all agents that could serve them are down; else that is a 502. */
		readonly waitForUpstream?: boolean | undefined;
	};
	/** See StandingOptions. */
	readonly setAsideAfter: number;
	readonly setAsideLast: boolean;
	readonly slowStart: number;
	/** What becomes of the tunnel of an agent whose token expires: its requests finish, or are cut; it gets nothing new either way. */
	readonly tokenExpiry: 'finish' | 'close';
	/** Whether an idempotent request without a body is sent once more when its agent was lost. */
	readonly retryIdempotent: boolean;
	readonly heartbeat: { readonly interval: number; readonly timeout: number };
	/** From the dispatch of a request to its response's first byte. */
	readonly firstByteTimeout: number;
	readonly drainTimeout: number;
	readonly maxConnections: number;
	/** 0 is no limit. Trusted proxies have none. */
	readonly maxConnectionsPerAddress: number;
	/** Then a connection ends after its last response; 0 is no limit. */
	readonly maxRequestsPerConnection: number;
	/** For a request's headers, and before them for a PROXY header, the first byte, HTTP/2's preface and first SETTINGS, each. */
	readonly headersTimeout: number;
	/** How long apps' connections may be idle. */
	readonly keepAliveTimeout: number;
	/** For a TLS handshake. */
	readonly handshakeTimeout: number;
	/** Protocols that apps may switch to by Upgrade, beside WebSocket. */
	readonly upgrades: readonly string[];
	/** What POST /api/reload does; without it, it does what `Hub.reload` does. */
	readonly onReload?: (() => Promise<ReloadOutcome>) | undefined;
	/** Gets spans of every request; left out, nothing is traced. Whoever made it ends it. */
	readonly tracing?: Tracing | undefined;
	readonly logger: Logger;
}

export interface ListeningSockets {
	readonly apps?: number | undefined;
	readonly agents?: number | undefined;
	readonly admin?: number | undefined;
}

export type GivenHubOptions = Partial<HubOptions> & Pick<HubOptions, 'secret'>;

/** For programs that embed a hub; the command line's are those of its configuration, and a test holds them equal. */
export const HUB_DEFAULTS: Omit<HubOptions, 'secret'> = {
	host: '0.0.0.0',
	port: 8080,
	concurrent: 0,
	keys: [],
	clientAuth: 'agents',
	bindIdentity: false,
	trustedProxies: [],
	proxyProtocol: false,
	adminHost: '127.0.0.1',
	adminPort: 8081,
	adminRequired: false,
	readyNeedsAgent: false,
	auditLog: false,
	accessLog: { sample: 0, errors: false, fields: ACCESS_LOG_FIELDS },
	queue: {
		mode: 'header',
		max: 1024,
		maxWithoutAgent: 1024,
		timeout: 300_000,
		maxBytes: 256 * 1024 * 1024,
		aging: 30_000,
		waitForUpstream: false,
	},
	setAsideAfter: 5,
	setAsideLast: false,
	slowStart: 10_000,
	tokenExpiry: 'finish',
	retryIdempotent: false,
	heartbeat: { interval: 10_000, timeout: 5000 },
	firstByteTimeout: 600_000,
	drainTimeout: 30_000,
	maxConnections: 10_000,
	maxConnectionsPerAddress: 0,
	maxRequestsPerConnection: 0,
	headersTimeout: 15_000,
	keepAliveTimeout: 75_000,
	handshakeTimeout: 15_000,
	upgrades: [],
	logger: silentLogger,
};

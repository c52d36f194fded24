/** What a hub can be told, with the defaults. Durations are in milliseconds, sizes in bytes. */
import type { Logger } from '../shared/logger.ts';

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
	/** What applications must present; none lets everyone in. */
	readonly appPassword?: string | undefined;
	/** PEM files. With `clientCa` an agent must bring a certificate that it signed. */
	readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined } | undefined;
	readonly adminHost: string;
	/** 0 is any free port; `off` opens none. */
	readonly adminPort: number | 'off';
	/** True when the admin port was chosen by the user: then a port in use is an error rather than a warning. */
	readonly adminRequired: boolean;
	readonly queue: {
		/** `header`: a request waits if it says Slime-Block; `always`: unless it says Slime-Block: 0. */
		readonly mode: 'header' | 'always';
		readonly max: number;
		readonly timeout: number;
		/** Bytes of request bodies held by waiting requests, all together. */
		readonly maxBytes: number;
	};
	readonly heartbeat: { readonly interval: number; readonly timeout: number };
	/** From the dispatch of a request to its response's first byte. */
	readonly firstByteTimeout: number;
	readonly drainTimeout: number;
	readonly maxConnections: number;
	/** 0 is no limit. */
	readonly maxConnectionsPerAddress: number;
	readonly logger: Logger;
}

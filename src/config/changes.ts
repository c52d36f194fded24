/** What differs between two configurations, by key, and which of it a running service takes over. Pure; keeps values, tells names. */

/** Values by key, secrets among them, each as text that is equal if they are. */
export type Values = ReadonlyMap<string, string>;

export interface Changes {
	/** Keys whose new values are taken over, in alphabetical order. */
	readonly live: readonly string[];
	/** Keys whose new values wait for a restart. */
	readonly restart: readonly string[];
}

/** Keys of a hub that it takes over while it runs, and beginnings of such keys. What is not among them waits for a restart. */
const LIVE_HUB: ReadonlySet<string> = new Set([
	'secret',
	'previousSecret',
	'host',
	'port',
	'concurrent',
	'appPassword',
	'keys',
	'tlsCert',
	'tlsKey',
	'clientCa',
	'clientAuth',
	'bindIdentity',
	'tokenExpiry',
	'agentHost',
	'agentPort',
	'trustedProxies',
	'proxyProtocol',
	'cors',
	'accessLog',
	'adminHost',
	'adminPort',
	'adminToken',
	'readyNeedsAgent',
	'queue',
	'heartbeat',
	'setAsideAfter',
	'setAsideLast',
	'slowStart',
	'retryIdempotent',
	'firstByteTimeout',
	'drainTimeout',
	'maxConnections',
	'maxConnectionsPerAddress',
	'maxRequestsPerConnection',
	'headersTimeout',
	'keepAliveTimeout',
	'handshakeTimeout',
	'upgrades',
]);

/** An agent is made anew if anything of it changes; these are of the process. */
const RESTART_AGENT: ReadonlySet<string> = new Set(['stateDir']);

/** Whether a key of the schema, or of a file, can change while the service runs. */
export function isLive(key: string): boolean {
	const [section = '', name = ''] = key.split('.');
	const plain = name.replace(/(?<=.)File$/, '').replace(/\[.*$/, '');
	if (section === 'hub') return LIVE_HUB.has(plain);
	if (section === 'agent') return !RESTART_AGENT.has(plain);
	return section === 'log' || section.startsWith('agents');
}

/** @param also what else waits for a restart */
export function changesOf(before: Values, after: Values, also: (key: string) => boolean = () => false): Changes {
	const keys = [...new Set([...after.keys(), ...before.keys()])]
		.filter((key) => before.get(key) !== after.get(key))
		.sort();
	const waits = (key: string) => !isLive(key) || also(key);
	return { live: keys.filter((key) => !waits(key)), restart: keys.filter(waits) };
}

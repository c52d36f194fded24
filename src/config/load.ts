/** From flags, environment and file to what a hub or an agent is told. Owns which keys are required and which belong together. */

import { credentialsFault } from '../auth/app-auth.ts';
import type { LogLevel } from '../shared/logger.ts';
import { loadClientTls, loadServerTls } from '../tls/contexts.ts';
import type { Values } from './changes.ts';
import { corsFault } from './cors.ts';
import { Reading } from './reading.ts';
import type { Configuration } from './schema.ts';
import type { Sources } from './sources.ts';
import { meansNo } from './values.ts';

export type { FlagValue, Sources } from './sources.ts';

/** The settings' durations are milliseconds, sizes bytes, paths absolute, secrets read. */
export interface Loaded<Settings> {
	readonly settings: Settings;
	readonly logLevel: LogLevel;
	/** Sentences for the log. */
	readonly warnings: readonly string[];
	/** Lines of YAML that say what is in effect, and where each value comes from; secrets are masked. */
	effective(): readonly string[];
	/** What is compared when it is read again. */
	readonly values: Values;
}

/** HubOptions but for the logger; `stateDir` only if it was named. */
export type HubSettings = ReturnType<typeof hubSettings>;

/** AgentOptions but for the logger. */
export type AgentSettings = ReturnType<typeof agentSettings>;

/** Keys of a process rather than of an agent. */
const OF_ALL_AGENTS = ['stateDir', 'drainTimeout'];

/** What means nothing without origins. */
const CORS_KEYS = ['methods', 'headers', 'exposedHeaders', 'credentials', 'maxAge'];

/** What means nothing without a path. */
const CHECK_KEYS = ['interval', 'timeout', 'unhealthyThreshold', 'healthyThreshold'];

/** @throws ConfigError */
export async function loadHub(sources: Sources): Promise<Loaded<HubSettings>> {
	const reading = await Reading.begin('hub', sources);
	await reading.openFiles();
	reading.require('secret', 'the hub needs a secret');
	reading.requireBeside('tlsCert', 'tlsKey');
	reading.requireBeside('tlsKey', 'tlsCert');
	reading.requireBeside('clientCa', 'tlsCert');
	reading.requireBeside('clientAuth', 'clientCa');
	reading.requireBeside('bindIdentity', 'clientCa', meansNo);
	reading.requireBeside('agentHost', 'agentPort');
	const keys = reading.each('keys');
	for (const key of keys) {
		key.requireInFile('name', 'an API key needs a name: write name');
		key.requireInFile('key', 'an API key needs the key itself: write keyFile, or key');
	}
	reading.check(({ hub: { appPassword, keys = [] } }) => {
		const whole = keys.map(({ name, key }, index) => ({ name: name ?? `[${index}]`, key: key ?? `[${index}]` }));
		const fault = credentialsFault({ appPassword, keys: whole });
		return fault && { key: `keys[${fault.index}].${fault.of}`, text: fault.text };
	});
	for (const key of CORS_KEYS) reading.requireBeside(`cors.${key}`, 'cors.origins');
	reading.check(({ hub }) => {
		if (hub.proxyProtocol && hub.trustedProxies.length === 0) {
			return { key: 'proxyProtocol', text: 'needs hub.trustedProxies beside it: only those are believed' };
		}
		const fault = hub.cors.origins && corsFault({ ...hub.cors, origins: hub.cors.origins });
		return fault && { key: `cors.${fault.key}`, text: fault.text };
	});
	reading.tryFiles(['tlsCert', 'tlsKey', 'clientCa'], (file) => {
		const [cert, key] = [file('tlsCert'), file('tlsKey')];
		if (cert !== undefined && key !== undefined) loadServerTls({ cert, key, clientCa: file('clientCa') });
	});
	const configuration = reading.finish();
	const { hub, log } = configuration;
	return {
		effective: () => reading.effective(configuration),
		values: reading.values(configuration),
		settings: hubSettings(hub, reading.has('adminPort')),
		logLevel: log.level,
		warnings: [
			...reading.warnings,
			...reading.shortSecrets('secret', 'appPassword', 'adminToken'),
			...keys.flatMap((key) => key.shortSecrets('key')),
		],
	};
}

/**
 * The hub's secret alone, for making tokens: that works on a machine where the hub's other files are not.
 * @throws ConfigError
 */
export async function loadHubSecret(sources: Sources): Promise<string> {
	const reading = await Reading.begin('hub', sources);
	reading.keepOnly('secret');
	await reading.openFiles();
	reading.require('secret', 'a token needs the secret of its hub');
	return required(reading.finish().hub.secret);
}

/** Where a running hub is asked, and where it keeps its state. */
export interface HubAdminSettings {
	readonly adminHost: string;
	readonly adminPort: number | 'off';
	readonly adminToken?: string | undefined;
	/** Only if it was named. */
	readonly stateDir?: string | undefined;
}

/**
 * What commands need to talk to a running hub: that works without its secret.
 * @throws ConfigError
 */
export async function loadHubAdmin(sources: Sources): Promise<HubAdminSettings> {
	const reading = await Reading.begin('hub', sources);
	reading.keepOnly('adminHost', 'adminPort', 'adminToken', 'stateDir');
	await reading.openFiles();
	const { adminHost, adminPort, adminToken, stateDir } = reading.finish().hub;
	return { adminHost, adminPort, adminToken, stateDir };
}

/**
 * @param checkUpstream the agent's own parser; throws UsageError for what is no upstream
 * @returns settings of each agent that is to run, one or more
 * @throws ConfigError
 */
export async function loadAgents(
	sources: Sources,
	checkUpstream: (text: string) => unknown,
): Promise<Loaded<readonly AgentSettings[]>> {
	const reading = await Reading.begin('agent', sources);
	const upstream = reading.originOf('upstream');
	if (upstream !== undefined && upstream.source !== 'file') reading.forget('agents');
	await reading.openFiles();
	const each = reading.share('agents', OF_ALL_AGENTS);
	checkAgent(reading, checkUpstream, each.length > 0);
	for (const one of each) checkAgent(one, checkUpstream, false);
	const configuration = reading.finish();
	const { agent, agents, log } = configuration;
	const { stateDir, drainTimeout } = agent;
	const all = each.length > 0 ? (agents ?? []).map((one) => ({ ...one, stateDir, drainTimeout })) : [agent];
	return {
		effective: () => reading.effective(configuration),
		values: reading.values(configuration),
		settings: all.map(agentSettings),
		logLevel: log.level,
		warnings: reading.warnings,
	};
}

/** @param shared it only holds what others have in common */
function checkAgent(reading: Reading, checkUpstream: (text: string) => unknown, shared: boolean): void {
	reading.checkItems('upstream', checkUpstream);
	if (shared) {
		if (reading.has('upstream')) reading.refuse('upstream', 'there is a list of agents: say it there, as one of them');
	} else {
		reading.require('token', 'the agent needs the token that slime hub register printed');
		reading.require('hub', 'the agent needs the address of a hub');
		reading.require('upstream', 'the agent needs an upstream, the service that it serves');
	}
	reading.requireBeside('tlsCert', 'tlsKey');
	reading.requireBeside('tlsKey', 'tlsCert');
	if (!shared) for (const key of CHECK_KEYS) reading.requireBeside(`healthCheck.${key}`, 'healthCheck.path');
	reading.tryFiles(['ca', 'tlsCert', 'tlsKey'], (file) =>
		loadClientTls({ ca: file('ca'), cert: file('tlsCert'), key: file('tlsKey') }),
	);
	reading.requireOf('pin', 'hub', (hubs) => hubs.every(isHttps), 'needs https:// before every address of agent.hub');
	reading.requireOf('serverName', 'hub', (hubs) => hubs.some(isHttps), 'needs an https:// address in agent.hub');
}

function isHttps(address: string): boolean {
	return /^https:\/\//i.test(address);
}

function hubSettings(hub: Configuration['hub'], adminRequired: boolean) {
	const {
		tlsCert,
		tlsKey,
		clientCa,
		secretFile,
		previousSecretFile,
		appPasswordFile,
		adminTokenFile,
		keys,
		cors,
		...settings
	} = hub;
	const { origins } = cors;
	const tls = tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey, clientCa } : undefined;
	return {
		...settings,
		secret: required(hub.secret),
		keys: (keys ?? []).map(({ keyFile, name, key, ...limits }) => ({
			...limits,
			name: required(name),
			key: required(key),
		})),
		tls,
		cors: origins && { ...cors, origins },
		adminRequired,
	};
}

function agentSettings(agent: Configuration['agent']) {
	const { hub, upstream, tokenFile, upstreamTokenFile, ...settings } = agent;
	return { ...settings, token: required(agent.token), hubs: required(hub), upstreams: required(upstream) };
}

/** What `Reading.require` has made sure of, for the compiler. */
function required<T>(value: T | undefined): T {
	if (value === undefined) throw new Error('A required key was not checked.');
	return value;
}

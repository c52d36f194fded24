/** The commands of a hub: run, register, check, and those that have files of their own. What they need is loaded when they run, for the others to start fast. */
import type { HubSettings } from '../config/load.ts';
import { ConfigError } from '../config/mistakes.ts';
import type { Hub } from '../index.ts';
import { messageOf, UsageError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { type Call, CONFIG_FLAG, type Command, type Flag, PRINT_FLAG, reportCheck } from './command.ts';
import { HUB_INIT } from './hub-init.ts';
import { HUB_REVOKE } from './hub-revoke.ts';
import { reloader, unlessRefused } from './reload.ts';
import { serve } from './service.ts';
import { takeSockets } from './socket-activation.ts';
import { drainTraced, tracingOf } from './tracing.ts';

const SECRET_FLAGS: readonly Flag[] = [
	{ name: 'secretFile', value: 'FILE', key: 'hub.secretFile', help: "File with the secret that signs agents' tokens" },
	{ name: 'secret', value: 'TEXT', key: 'hub.secret', help: 'The secret itself, which the process list then shows' },
];

const RUN_FLAGS: readonly Flag[] = [
	CONFIG_FLAG,
	...SECRET_FLAGS,
	{ name: 'host', value: 'HOST', key: 'hub.host', help: 'Address to listen on (default: 0.0.0.0)' },
	{ name: 'port', value: 'PORT', key: 'hub.port', help: 'Port to listen on, 0 for any free one (default: 8080)' },
	{
		name: 'concurrent',
		value: 'N',
		key: 'hub.concurrent',
		help: 'Most requests at work at a time, 0 for no limit (default: 0)',
	},
	{
		name: 'appPasswordFile',
		value: 'FILE',
		key: 'hub.appPasswordFile',
		help: 'File with the password that applications must present',
	},
	{
		name: 'appPassword',
		value: 'TEXT',
		key: 'hub.appPassword',
		help: 'The password itself, which the process list then shows',
	},
	{ name: 'tlsCert', value: 'FILE', key: 'hub.tlsCert', help: 'Certificate chain (PEM): serve TLS' },
	{ name: 'tlsKey', value: 'FILE', key: 'hub.tlsKey', help: 'Key of the certificate (PEM)' },
	{
		name: 'clientCa',
		value: 'FILE',
		key: 'hub.clientCa',
		help: 'Authority (PEM) whose certificate agents must bring',
	},
	{
		name: 'clientAuth',
		value: 'WHO',
		key: 'hub.clientAuth',
		help: 'Who must bring one: agents, all, or optional (default: agents)',
	},
	{
		name: 'bindIdentity',
		key: 'hub.bindIdentity',
		help: "An agent's certificate must be for its token's name (default: false)",
	},
	{
		name: 'agentHost',
		value: 'HOST',
		key: 'hub.agentHost',
		help: 'Address to listen on for agents (default: that of --host)',
	},
	{
		name: 'agentPort',
		value: 'PORT',
		key: 'hub.agentPort',
		help: 'Port for agents alone, 0 for any free one (default: they share --port)',
	},
	{
		name: 'trustedProxies',
		value: 'A,B',
		key: 'hub.trustedProxies',
		list: true,
		help: 'Proxies whose X-Forwarded-* are believed: addresses, blocks, loopback, private (default: none)',
	},
	{
		name: 'proxyProtocol',
		key: 'hub.proxyProtocol',
		help: 'Connections of those proxies begin with a PROXY header (default: false)',
	},
	{
		name: 'adminHost',
		value: 'HOST',
		key: 'hub.adminHost',
		help: 'Address of the admin listener (default: 127.0.0.1)',
	},
	{
		name: 'adminPort',
		value: 'PORT',
		key: 'hub.adminPort',
		help: 'Port of the admin listener, or off (default: 8081)',
	},
	{
		name: 'adminTokenFile',
		value: 'FILE',
		key: 'hub.adminTokenFile',
		help: 'File with the token that /metrics and /api of the admin listener want',
	},
	{
		name: 'adminToken',
		value: 'TEXT',
		key: 'hub.adminToken',
		help: 'The token itself, which the process list then shows',
	},
	{ name: 'stateDir', value: 'FOLDER', key: 'hub.stateDir', help: 'What must survive a restart is kept here' },
];

const REGISTER_FLAGS: readonly Flag[] = [
	CONFIG_FLAG,
	...SECRET_FLAGS,
	{ name: 'name', value: 'NAME', help: 'Name of the token (default: two random words and a number)' },
	{ name: 'age', value: 'DURATION', help: 'How long it is valid, such as 1h30m or 30d (default: for ever)' },
	{
		name: 'scopes',
		value: 'A,B',
		list: true,
		help: 'Scopes that its agents serve (default: none, only requests without a scope)',
	},
	{
		name: 'scopePaths',
		value: '/A,/B/*',
		list: true,
		help: 'Paths that its agents serve, /* for all below (default: all)',
	},
];

export const HUB_COMMANDS: readonly Command[] = [
	{
		name: 'hub run',
		summary: 'Run a hub, which applications and agents connect to',
		flags: RUN_FLAGS,
		run: runHub,
	},
	{
		name: 'hub register',
		summary: 'Make a token for an agent and print it',
		flags: REGISTER_FLAGS,
		run: register,
	},
	HUB_REVOKE,
	HUB_INIT,
	{
		name: 'hub check',
		summary: "Say whether the hub's configuration is right",
		flags: [...RUN_FLAGS, PRINT_FLAG],
		run: check,
	},
];

async function runHub(call: Call): Promise<number> {
	const { loadHub } = await import('../config/load.ts');
	const load = () => loadHub(call.sources);
	const loaded = await load();
	const { settings, logLevel, warnings } = loaded;
	const { createConsoleLogger } = await import('../shared/logger.ts');
	const logger = await createConsoleLogger(logLevel);
	call.reportTo(logger);
	for (const warning of warnings) logger.warn(warning);
	const stateDir = await stateFolder(settings.stateDir, logger);
	const tracing = await tracingOf('slime-hub', logger);
	const listenOn = takeSockets(process.env, process.pid);
	let { drainTimeout } = settings;
	return serve(async (reloading) => {
		const { createHub } = await import('../index.ts');
		const apply = async (next: HubSettings) => {
			await hub.reconfigure(next);
			drainTimeout = next.drainTimeout;
		};
		const again = reloader({ loaded, load, apply, fixed: (key) => isGiven(key, listenOn), logger });
		const onReload = () =>
			reloading(async () => {
				const outcome = await again();
				hub.reload();
				return outcome;
			});
		const hub = await createHub({ ...settings, stateDir, listenOn, onReload, tracing, logger });
		const { address, agentAddress, agentUrl, adminPort } = hub;
		const forAgents = agentAddress && { agentUrl, agentHost: agentAddress.host, agentPort: agentAddress.port };
		logger.info({ url: hub.url, host: address.host, port: address.port, adminPort, ...forAgents }, 'the hub listens');
		return {
			status: () => statusOf(hub),
			get drainTimeout() {
				return drainTimeout;
			},
			reload: () => unlessRefused(onReload),
			drain: () => drainTraced(() => hub.drain(), tracing, drainTimeout),
		};
	}, logger);
}

/** Whether an address is that of a socket which this process was given. */
function isGiven(key: string, sockets: ReturnType<typeof takeSockets>): boolean {
	if (key === 'hub.host' || key === 'hub.port') return sockets?.apps !== undefined;
	if (key === 'hub.agentHost' || key === 'hub.agentPort') return sockets?.agents !== undefined;
	return (key === 'hub.adminHost' || key === 'hub.adminPort') && sockets?.admin !== undefined;
}

function statusOf({ agents, leased, slots, waiting }: Hub): string {
	return `${agents} ${agents === 1 ? 'agent' : 'agents'}, ${leased}/${slots} slots, ${waiting} queued`;
}

/** @returns undefined, and says so, where there is no folder to keep anything in */
async function stateFolder(named: string | undefined, logger: Logger): Promise<string | undefined> {
	const { stateDirectory } = await import('../shared/state-directory.ts');
	try {
		return stateDirectory(named);
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		logger.warn({ reason: messageOf(error) }, 'revocations will not survive a restart');
		return undefined;
	}
}

async function register({ sources, flags }: Call): Promise<number> {
	// Flags first: a mistake in them should not take as long as a key to derive.
	const age = flags.get('age');
	const ageMs = age === undefined ? undefined : await parsedAge(age);
	const scopes = items(flags, 'scopes');
	const scopePaths = items(flags, 'scopePaths');
	const name = flags.get('name') ?? (await import('./random-name.ts')).randomName();
	const { loadHubSecret } = await import('../config/load.ts');
	const secret = await loadHubSecret(sources);
	const { createTokens } = await import('../auth/tokens.ts');
	const tokens = await createTokens({ secret });
	const token = await tokens.issue({ name, ageMs, scopes, scopePaths });
	process.stdout.write(`${token}\n`);
	return 0;
}

async function check(call: Call): Promise<number> {
	const { loadHub } = await import('../config/load.ts');
	return reportCheck(call, await loadHub(call.sources));
}

async function parsedAge(text: string): Promise<number> {
	const { parseDuration } = await import('../shared/duration.ts');
	try {
		return parseDuration(text);
	} catch (error) {
		if (error instanceof UsageError) throw new ConfigError([`--age: ${error.message}`]);
		throw error;
	}
}

function items(flags: ReadonlyMap<string, string>, name: string): readonly string[] | undefined {
	const list = flags
		.get(name)
		?.split(',')
		.map((item) => item.trim());
	if (list?.includes('')) throw new ConfigError([`--${name}: an item is empty: write items with commas between them`]);
	return list;
}

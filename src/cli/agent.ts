/** The commands of an agent: run, check. What they need is loaded when they run, for the others to start fast. */
import type { AgentSettings, Loaded } from '../config/load.ts';
import type { Agent } from '../index.ts';
import { AGENT_ACTIONS } from './agent-actions.ts';
import { type Call, CONFIG_FLAG, type Command, type Flag, PRINT_FLAG, reportCheck } from './command.ts';
import { reloader, unlessRefused } from './reload.ts';
import { serve } from './service.ts';
import { drainTraced, tracingOf } from './tracing.ts';

const FLAGS: readonly Flag[] = [
	CONFIG_FLAG,
	{ name: 'tokenFile', value: 'FILE', key: 'agent.tokenFile', help: 'File with what slime hub register printed' },
	{ name: 'token', value: 'TEXT', key: 'agent.token', help: 'The token itself, which the process list then shows' },
	{
		name: 'hub',
		value: 'ADDRESS',
		list: true,
		key: 'agent.hub',
		help: 'Hubs: host:port or http(s)://[user[:password]@]host[:port][/path], with commas',
	},
	{
		name: 'upstream',
		value: 'ADDRESS',
		list: true,
		key: 'agent.upstream',
		help: 'Services to serve: as a hub, or h2c://host:port, or unix:/path, with commas',
	},
	{
		name: 'numWorker',
		value: 'N',
		key: 'agent.numWorker',
		help: 'Most requests at an upstream at a time, 1 to 65535 (default: 1)',
	},
	{ name: 'agentID', value: 'ID', key: 'agent.agentID', help: 'Name at the hub (default: made once and kept)' },
	{
		name: 'reportHardware',
		key: 'agent.reportHardware',
		help: 'Tell the hub what machine this is (default: true)',
	},
	{ name: 'ca', value: 'FILE', key: 'agent.ca', help: "Authorities (PEM) trusted beside the system's" },
	{ name: 'tlsCert', value: 'FILE', key: 'agent.tlsCert', help: 'Certificate (PEM) for hubs that ask for one' },
	{ name: 'tlsKey', value: 'FILE', key: 'agent.tlsKey', help: 'Key of the certificate (PEM)' },
	{
		name: 'serverName',
		value: 'NAME',
		key: 'agent.serverName',
		help: "Name that the hub's certificate must be for (default: that of --hub)",
	},
	{
		name: 'pin',
		value: 'PIN',
		list: true,
		key: 'agent.pin',
		help: "Keys that the hub's certificate may have: sha256/BASE64, with commas",
	},
	{
		name: 'transport',
		value: 'HOW',
		key: 'agent.transport',
		help: 'upgrade, websocket, or auto: whichever the way to the hub lets through (default: auto)',
	},
	{
		name: 'upstreamTokenFile',
		value: 'FILE',
		key: 'agent.upstreamTokenFile',
		help: 'File with a token that the upstream gets as Authorization: Bearer',
	},
	{
		name: 'waitForUpstream',
		key: 'agent.waitForUpstream',
		help: 'Join hubs only once the upstream answers (default: false)',
	},
	{ name: 'stateDir', value: 'FOLDER', key: 'agent.stateDir', help: 'The id of the agent is kept here' },
];

export const AGENT_COMMANDS: readonly Command[] = [
	{ name: 'agent run', summary: 'Run an agent beside a service', flags: FLAGS, run: runAgent },
	{
		name: 'agent check',
		summary: "Say whether the agent's configuration is right",
		flags: [...FLAGS, PRINT_FLAG],
		run: check,
	},
	...AGENT_ACTIONS,
];

async function runAgent(call: Call): Promise<number> {
	const loaded = await load(call);
	const { createConsoleLogger } = await import('../shared/logger.ts');
	const logger = await createConsoleLogger(loaded.logLevel);
	call.reportTo(logger);
	for (const warning of loaded.warnings) logger.warn(warning);
	let { settings } = loaded;
	const tracing = await tracingOf('slime-agent', logger);
	return serve(async (reloading) => {
		const { createAgents } = await import('../index.ts');
		const withLogger = (list: readonly AgentSettings[]) => list.map((one) => ({ ...one, tracing, logger }));
		const agents = await createAgents(withLogger(settings));
		const apply = async (next: readonly AgentSettings[]) => {
			await agents.reconfigure(withLogger(next));
			settings = next;
		};
		const again = reloader({ loaded, load: () => load(call), apply, logger });
		return {
			status: () => statusOf(agents),
			get drainTimeout() {
				return settings[0]?.drainTimeout ?? 0;
			},
			reload: () =>
				unlessRefused(() =>
					reloading(async () => {
						await again();
						agents.reload();
					}),
				),
			drain: () => drainTraced(() => agents.drain(), tracing, settings[0]?.drainTimeout ?? 0),
		};
	}, logger);
}

function statusOf({ connected, tunnels, busy, workers }: Agent): string {
	return `${connected}/${tunnels} tunnels, ${busy}/${workers} workers busy`;
}

async function check(call: Call): Promise<number> {
	return reportCheck(call, await load(call));
}

async function load({ sources }: Call): Promise<Loaded<readonly AgentSettings[]>> {
	const { loadAgents } = await import('../config/load.ts');
	const { parseUpstream } = await import('../agent/upstream.ts');
	return loadAgents(sources, parseUpstream);
}

/** Several agents of one command, each for one upstream, under ids of their own. Knows what they have in common; what one does is its own. */
import { UsageError } from '../shared/errors.ts';
import { type Agent, commonOf, createAgent } from './agent.ts';
import { agentIdFor, loadAgentId } from './identity.ts';
import { AGENT_DEFAULTS, type GivenAgentOptions } from './options.ts';

/**
 * Starts them all, or none.
 * @param groups what one or several upstreams each have in common; the state folder is the first one's, and so is the drain timeout
 * @throws UsageError for addresses and files that are wrong
 */
export async function createAgents(groups: readonly GivenAgentOptions[]): Promise<Agent> {
	const each = await withIds(groups);
	const common = await commonOf(each.some(({ reportHardware = true }) => reportHardware));
	const agents: Agent[] = [];
	try {
		for (const options of each) agents.push(await createAgent(options, common));
	} catch (error) {
		await Promise.all(agents.map((agent) => agent.close()));
		throw error;
	}
	const all = async (action: 'drain' | 'close') => {
		await Promise.all(agents.map((agent) => agent[action]()));
	};
	const sum = (count: (agent: Agent) => number) => agents.reduce((total, agent) => total + count(agent), 0);
	return {
		ids: agents.flatMap(({ ids }) => ids),
		get connected() {
			return sum(({ connected }) => connected);
		},
		tunnels: sum(({ tunnels }) => tunnels),
		get busy() {
			return sum(({ busy }) => busy);
		},
		workers: sum(({ workers }) => workers),
		reload: () => {
			for (const agent of agents) agent.reload();
		},
		drain: () => all('drain'),
		close: () => all('close'),
	};
}

/** One for each upstream, in their order. */
async function withIds(groups: readonly GivenAgentOptions[]): Promise<GivenAgentOptions[]> {
	const [first] = groups;
	if (first === undefined) throw new UsageError('there is no agent to run');
	const counts = new Map<string, number>();
	const taken = new Set<string>();
	let kept: string | undefined;
	const each: GivenAgentOptions[] = [];
	for (const group of groups) {
		if (group.agentID === undefined) kept ??= await keptId(first);
		const base = group.agentID ?? kept ?? '';
		for (const upstream of group.upstreams) {
			const count = counts.get(base) ?? 0;
			counts.set(base, count + 1);
			const agentID = agentIdFor(base, count);
			if (taken.has(agentID)) throw new UsageError(`two agents would have the id ${agentID}: give one another agentID`);
			taken.add(agentID);
			each.push({ ...group, upstreams: [upstream], agentID });
		}
	}
	return each;
}

async function keptId({ stateDir, logger = AGENT_DEFAULTS.logger }: GivenAgentOptions): Promise<string> {
	const stored = await loadAgentId({ stateDir });
	const { id } = stored;
	if (!stored.persistent) {
		const { reason } = stored;
		const remedy = 'name a folder with --stateDir that can be written, or the id itself with --agentID';
		logger.warn({ agent: id, reason }, `the agent will have another id next time: ${remedy}`);
	}
	return id;
}

/** `slime agent drain`, `resume` and `disconnect`: what a running hub is told to do with an agent. */
import { UsageError } from '../shared/errors.ts';
import { ADMIN_FLAGS, askHub, field } from './admin-client.ts';
import { type Call, CONFIG_FLAG, type Command } from './command.ts';
import { printable } from './table.ts';

const ACTIONS = [
	{ verb: 'drain', done: 'drained', summary: 'Let the hub give an agent no new requests; those that it has finish' },
	{ verb: 'resume', done: 'resumed', summary: 'Let the hub give a drained agent requests again' },
	{ verb: 'disconnect', done: 'disconnected', summary: 'Close the tunnel of an agent, which will come back' },
] as const;

export const AGENT_ACTIONS: readonly Command[] = ACTIONS.map(({ verb, done, summary }) => ({
	name: `agent ${verb}`,
	summary,
	flags: [
		CONFIG_FLAG,
		{ name: 'agentID', value: 'ID', help: 'The agent, as slime status shows it' },
		{ name: 'tokenId', value: 'ID', help: 'Id of its token, where agents of several tokens have that id' },
		...ADMIN_FLAGS,
	],
	run: (call) => tell(call, verb, done),
}));

async function tell({ flags, sources }: Call, verb: string, done: string): Promise<number> {
	const [agent, tokenId] = [flags.get('agentID'), flags.get('tokenId')];
	if (agent === undefined)
		throw new UsageError(`give --agentID, as slime status shows it; see slime agent ${verb} --help`);
	const { loadHubAdmin } = await import('../config/load.ts');
	const answer = await askHub(await loadHubAdmin(sources), `/api/agents/${verb}`, { agent, tokenId });
	const agents = field(answer, 'agents');
	if (!Array.isArray(agents)) throw new Error('the hub did not confirm it: is it of another version?');
	for (const one of agents) {
		process.stdout.write(`${done} the agent ${agent} of the token ${printable(field(one, 'token'))}\n`);
	}
	return 0;
}

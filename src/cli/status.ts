/** `slime status`: what the running hub is doing, as tables or as JSON. */
import type { AgentStatus, HubStatus } from '../admin/status.ts';
import { ADMIN_FLAGS, askHub, field } from './admin-client.ts';
import { type Call, CONFIG_FLAG, type Command } from './command.ts';
import { writeTable } from './table.ts';

export const STATUS: Command = {
	name: 'status',
	summary: 'Show the agents, slots and queue of the running hub',
	flags: [CONFIG_FLAG, ...ADMIN_FLAGS, { name: 'json', help: 'Print JSON instead of tables (default: false)' }],
	run,
};

async function run({ flags, sources }: Call): Promise<number> {
	const { loadHubAdmin } = await import('../config/load.ts');
	const answer = await askHub(await loadHubAdmin(sources), '/api/status');
	if (!isStatus(answer)) throw new Error('the hub did not answer with its status: is it of another version?');
	if (flags.get('json') === 'true') {
		process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
		return 0;
	}
	const { version, uptime, draining, agents, slots, queue } = answer;
	writeTable(
		process.stdout,
		['HUB', 'STATE', 'UP', 'AGENTS', 'SLOTS', 'USED', 'WAITING', 'QUEUE'],
		[
			[
				version,
				draining ? 'draining' : 'ready',
				shortTime(uptime),
				String(agents.filter(({ state }) => state === 'ready').length),
				String(slots.concurrent === 0 ? slots.total : Math.min(slots.total, slots.concurrent)),
				String(slots.used),
				String(queue.waiting),
				String(queue.max),
			],
		],
	);
	process.stdout.write('\n');
	writeTable(
		process.stdout,
		['AGENT', 'TOKEN', 'TOKEN ID', 'ADDRESS', 'VERSION', 'STATE', 'WORKERS', 'USED', 'UP', 'RTT'],
		agents.map(agentRow),
	);
	return 0;
}

function agentRow({ id, token, tokenId, address, version, state, workers, age, rtt }: AgentStatus): string[] {
	const [total, used] = [String(workers.total), String(workers.used)];
	const roundTrip = rtt === null ? '-' : `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)}ms`;
	return [id, token, tokenId, address, version ?? '-', state, total, used, shortTime(age), roundTrip];
}

/** The two largest units: 45s, 12m5s, 3h2m, 4d3h. */
export function shortTime(ms: number): string {
	let rest = Math.floor(ms / 1000);
	const parts: string[] = [];
	for (const [unit, seconds] of UNITS) {
		const count = Math.floor(rest / seconds);
		rest -= count * seconds;
		if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count}${unit}` : '');
	}
	return parts.slice(0, 2).join('') || '0s';
}

const UNITS = [
	['d', 86_400],
	['h', 3600],
	['m', 60],
	['s', 1],
] as const;

/** Whether it is what this version of the hub says; an older or newer one may say something else. */
function isStatus(answer: unknown): answer is HubStatus {
	const [agents, slots, queue] = ['agents', 'slots', 'queue'].map((name) => field(answer, name));
	const numbers = [
		field(answer, 'uptime'),
		...['total', 'used', 'concurrent'].map((name) => field(slots, name)),
		...['waiting', 'max'].map((name) => field(queue, name)),
	];
	const isText = typeof field(answer, 'version') === 'string';
	return (
		isText && numbers.every((value) => typeof value === 'number') && Array.isArray(agents) && agents.every(isAgent)
	);
}

function isAgent(agent: unknown): agent is AgentStatus {
	const workers = field(agent, 'workers');
	const texts = ['id', 'token', 'tokenId', 'address', 'state'].map((name) => field(agent, name));
	const numbers = [field(agent, 'age'), field(workers, 'total'), field(workers, 'used'), field(agent, 'rtt') ?? 0];
	const version = field(agent, 'version') ?? '';
	return [...texts, version].every((value) => typeof value === 'string') && numbers.every((n) => typeof n === 'number');
}

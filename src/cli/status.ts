/** `slime status`: what the running hub is doing, as tables or as JSON, once or again and again. */
import type { AgentStatus, HubStatus } from '../admin/status.ts';
import { ADMIN_FLAGS, askHub, field } from './admin-client.ts';
import { type Call, CONFIG_FLAG, type Command } from './command.ts';
import { intervalFlag, intervalOf } from './interval.ts';
import { live } from './live.ts';
import { printableJson, tableLines } from './table.ts';

export const STATUS: Command = {
	name: 'status',
	summary: 'Show the agents, slots and queue of the running hub',
	flags: [
		CONFIG_FLAG,
		...ADMIN_FLAGS,
		{ name: 'json', help: 'Print JSON instead of tables (default: false)' },
		{ name: 'watch', help: 'Show it again and again; q ends it (default: false)' },
		intervalFlag('2s'),
	],
	run,
};

async function run({ flags, sources }: Call): Promise<number> {
	const interval = intervalOf(flags, 2000);
	const { loadHubAdmin } = await import('../config/load.ts');
	const settings = await loadHubAdmin(sources);
	const load = async () => statusOf(await askHub(settings, '/api/status'));
	const [json, watch] = ['json', 'watch'].map((name) => flags.get(name) === 'true');
	const write = (lines: readonly string[]) => void process.stdout.write(`${lines.join('\n')}\n`);
	if (!watch) {
		const status = await load();
		write(json ? [printableJson(status, 2)] : tables(status, process.stdout.isTTY));
		return 0;
	}
	await live({
		load,
		interval,
		lines: (status) => (json ? printableJson(status, 2).split('\n') : tables(status, true)),
		print: (status) => write(json ? [printableJson(status)] : [...tables(status, false), '']),
	});
	return 0;
}

function tables(status: HubStatus, align: boolean): readonly string[] {
	return [
		...tableLines(HUB_COLUMNS, [hubRow(status)], align),
		'',
		...tableLines(AGENT_COLUMNS, status.agents.map(agentRow), align),
	];
}

/** @throws Error for what is no status */
export function statusOf(answer: unknown): HubStatus {
	if (isStatus(answer)) return answer;
	throw new Error('the hub did not answer with its status: is it of another version?');
}

export const HUB_COLUMNS = ['HUB', 'STATE', 'UP', 'AGENTS', 'SLOTS', 'USED', 'WAITING', 'QUEUE'];
const AGENT_COLUMNS = [
	'AGENT',
	'TOKEN',
	'TOKEN ID',
	'ADDRESS',
	'VERSION',
	'STATE',
	'WORKERS',
	'USED',
	'UP',
	'RTT',
	'LABELS',
	'UPSTREAM',
];

export function hubRow({ version, uptime, draining, agents, slots, queue }: HubStatus): string[] {
	return [
		version,
		draining ? 'draining' : 'ready',
		shortTime(uptime),
		String(agents.filter(({ state }) => state === 'ready').length),
		String(slots.concurrent === 0 ? slots.total : Math.min(slots.total, slots.concurrent)),
		String(slots.used),
		String(queue.waiting),
		String(queue.max),
	];
}

function agentRow(agent: AgentStatus): string[] {
	const { id, token, tokenId, address, version, state, workers, age, rtt, labels = {}, upstream } = agent;
	const [total, used] = [String(workers.total), String(workers.used)];
	const roundTrip = rtt === null ? '-' : `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)}ms`;
	const well = 'message' in upstream ? `${upstream.state}: ${upstream.message}` : upstream.state;
	const shown = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
	const own = shown.join(',') || '-';
	return [id, token, tokenId, address, version ?? '-', state, total, used, shortTime(age), roundTrip, own, well];
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
	const upstream = field(agent, 'upstream');
	const texts = ['id', 'token', 'tokenId', 'address', 'state'].map((name) => field(agent, name));
	texts.push(field(upstream, 'state'), field(upstream, 'message') ?? '');
	const numbers = [field(agent, 'age'), field(workers, 'total'), field(workers, 'used'), field(agent, 'rtt') ?? 0];
	const version = field(agent, 'version') ?? '';
	texts.push(...Object.values(field(agent, 'labels') ?? {}));
	return [...texts, version].every((value) => typeof value === 'string') && numbers.every((n) => typeof n === 'number');
}

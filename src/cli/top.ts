/** `slime top`: the requests of the running hub, those at agents and those that wait, as they come and go. */
import type { RequestStatus } from '../admin/requests.ts';
import { ADMIN_FLAGS, askHub, field } from './admin-client.ts';
import { type Call, CONFIG_FLAG, type Command } from './command.ts';
import { intervalFlag, intervalOf } from './interval.ts';
import { live } from './live.ts';
import { HUB_COLUMNS, hubRow, shortTime, statusOf } from './status.ts';
import { printableJson, tableLines, writeTable } from './table.ts';

export const TOP: Command = {
	name: 'top',
	summary: 'Show the requests of the running hub as they come and go; q ends it',
	flags: [
		CONFIG_FLAG,
		...ADMIN_FLAGS,
		intervalFlag('1s'),
		{ name: 'json', help: 'Print the requests of this moment as JSON (default: false)' },
	],
	run,
};

interface Moment {
	readonly hub: readonly string[];
	readonly total: number;
	readonly requests: readonly RequestStatus[];
}

async function run({ flags, sources }: Call): Promise<number> {
	const interval = intervalOf(flags, 1000);
	const { loadHubAdmin } = await import('../config/load.ts');
	const settings = await loadHubAdmin(sources);
	if (flags.get('json') === 'true') {
		process.stdout.write(`${printableJson(await askHub(settings, '/api/requests'), 2)}\n`);
		return 0;
	}
	const load = async (): Promise<Moment> => {
		const [status, answer] = await Promise.all([askHub(settings, '/api/status'), askHub(settings, '/api/requests')]);
		const [total, requests] = [field(answer, 'total'), field(answer, 'requests')];
		if (typeof total !== 'number' || !Array.isArray(requests) || !requests.every(isRequest)) {
			throw new Error('the hub did not answer with its requests: is it of another version?');
		}
		return { hub: hubRow(statusOf(status)), total, requests };
	};
	if (process.stdout.isTTY) {
		await live({ load, lines, print, interval });
		return 0;
	}
	print(await load());
	return 0;
}

function lines({ hub, total, requests }: Moment): readonly string[] {
	const left = total > requests.length ? [`${total - requests.length} more are younger`] : [];
	return [
		...tableLines(HUB_COLUMNS, [hub], true),
		'',
		...tableLines(COLUMNS, inOrder(requests).map(requestRow), true),
		...left,
	];
}

function print({ hub, requests }: Moment): void {
	writeTable(process.stdout, HUB_COLUMNS, [hub]);
	process.stdout.write('\n');
	writeTable(process.stdout, COLUMNS, inOrder(requests).map(requestRow));
}

const COLUMNS = ['STATE', 'AGE', 'QUEUED', 'AGENT', 'STATUS', 'METHOD', 'PATH', 'SCOPE', 'KEY', 'ADDRESS', 'REQUEST'];

/** Those at agents first; of each kind the oldest first, as they came. */
function inOrder(requests: readonly RequestStatus[]): readonly RequestStatus[] {
	const waits = ({ state }: RequestStatus) => state === 'waiting';
	return [...requests.filter((request) => !waits(request)), ...requests.filter(waits)];
}

function requestRow(request: RequestStatus): string[] {
	const { id, state, age, waited, agent, status, method, path, scope, key, address } = request;
	const queued = waited > 0 ? shortTime(waited) : '-';
	const answer = String(status ?? '-');
	return [state, shortTime(age), queued, agent ?? '-', answer, method, path, scope ?? '-', key ?? '-', address, id];
}

function isRequest(request: unknown): request is RequestStatus {
	const texts = ['id', 'state', 'method', 'path', 'address'].map((name) => field(request, name));
	const optional = ['agent', 'scope', 'key'].map((name) => field(request, name) ?? '');
	const numbers = [field(request, 'age'), field(request, 'waited'), field(request, 'status') ?? 0];
	return (
		[...texts, ...optional].every((value) => typeof value === 'string') && numbers.every((n) => typeof n === 'number')
	);
}

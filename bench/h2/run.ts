/**
 * The HTTP/2 engine alone beside Node's http2: `npm run bench:h2`. Two processes each, a client and a server, one connection between
 * them; every round measures one engine right after the other, so that noise falls on both. Compare the two, never runs.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Figures, Task } from './peer.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const REQUESTS = 20_000;
const STREAMS = 1000;
const CONNECTIONS = 200;
const BULK = 512 * 1024 * 1024;
const TICKS = 1200;
const ENGINES = ['slime', 'node'] as const;

class Peer {
	readonly #child: ChildProcess;
	#answered: ((figures: Figures) => void) | null = null;

	constructor(engine: string) {
		const program = new URL('./peer.ts', import.meta.url).pathname;
		this.#child = fork(program, [engine], { execArgv: ['--import', 'tsx', '--expose-gc'] });
		this.#child.on('message', (figures: Figures) => this.#answered?.(figures));
		this.#child.on('exit', (code) => {
			if (this.#answered !== null) throw new Error(`a peer ended with ${code}`);
		});
	}

	async ask(task: Task): Promise<Figures> {
		const answer = new Promise<Figures>((resolve) => {
			this.#answered = resolve;
		});
		this.#child.send(task);
		const figures = await answer;
		this.#answered = null;
		return figures;
	}

	stop(): void {
		this.#child.disconnect();
	}
}

class Pair {
	readonly server: Peer;
	readonly client: Peer;
	port = 0;

	constructor(engine: string) {
		this.server = new Peer(engine);
		this.client = new Peer(engine);
	}

	async open(): Promise<void> {
		this.port = (await this.server.ask({ do: 'listen' })).port ?? 0;
		await this.client.ask({ do: 'connect', port: this.port });
	}

	stop(): void {
		this.client.stop();
		this.server.stop();
	}

	async #cpu(): Promise<number> {
		const [a, b] = await Promise.all([this.server.ask({ do: 'cpu' }), this.client.ask({ do: 'cpu' })]);
		return (a.us ?? 0) + (b.us ?? 0);
	}

	/** Milliseconds it took and microseconds of CPU of both. */
	async measured(task: Task): Promise<{ ms: number; us: number }> {
		const before = await this.#cpu();
		const { ms = 0 } = await this.client.ask(task);
		return { ms, us: (await this.#cpu()) - before };
	}
}

type Row = Record<string, number>;

async function speed(engine: string): Promise<Row> {
	const pair = new Pair(engine);
	await pair.open();
	try {
		await pair.client.ask({ do: 'requests', count: REQUESTS, parallel: 50 });
		const requests = await pair.measured({ do: 'requests', count: REQUESTS, parallel: 50 });
		await pair.client.ask({ do: 'tokens', streams: 32, each: 500 });
		const tokens = await pair.measured({ do: 'tokens', streams: 32, each: 4000 });
		const many = await pair.measured({ do: 'requests', count: REQUESTS, parallel: STREAMS });
		await pair.client.ask({ do: 'bulk', bytes: BULK / 4 });
		const down = await pair.measured({ do: 'bulk', bytes: BULK });
		await pair.client.ask({ do: 'upload', bytes: BULK / 4 });
		const up = await pair.measured({ do: 'upload', bytes: BULK });
		await pair.client.ask({ do: 'delays', ticks: TICKS / 4, beside: true });
		const alone = await pair.client.ask({ do: 'delays', ticks: TICKS, beside: false });
		const beside = await pair.client.ask({ do: 'delays', ticks: TICKS, beside: true });
		return {
			'CPU us a request': requests.us / REQUESTS,
			'requests a second': (REQUESTS / requests.ms) * 1000,
			'requests a second, 1000 at a time': (REQUESTS / many.ms) * 1000,
			'tokens a second': (32 * 4000 * 1000) / tokens.ms,
			'CPU us a token': tokens.us / (32 * 4000),
			'download MB/s': BULK / 1000 / down.ms,
			'upload MB/s': BULK / 1000 / up.ms,
			'token delay p99 us, alone': alone.p99 ?? 0,
			'token delay p99 us, beside a download': beside.p99 ?? 0,
		};
	} finally {
		pair.stop();
	}
}

async function memory(engine: string): Promise<Row> {
	const pair = new Pair(engine);
	await pair.open();
	try {
		await pair.client.ask({ do: 'requests', count: 1000, parallel: 50 });
		const before = await pair.server.ask({ do: 'memory' });
		await pair.client.ask({ do: 'hold', streams: STREAMS });
		const after = await pair.server.ask({ do: 'memory' });
		return { 'KiB a silent open stream, server': ((after.used ?? 0) - (before.used ?? 0)) / STREAMS / 1024 };
	} finally {
		pair.stop();
	}
}

async function idleConnection(engine: string): Promise<number> {
	const pair = new Pair(engine);
	await pair.open();
	try {
		const { port } = pair;
		await pair.client.ask({ do: 'connections', count: CONNECTIONS, port });
		const before = await pair.server.ask({ do: 'memory' });
		await pair.client.ask({ do: 'connections', count: CONNECTIONS, port });
		const after = await pair.server.ask({ do: 'memory' });
		return ((after.used ?? 0) - (before.used ?? 0)) / CONNECTIONS / 1024;
	} finally {
		pair.stop();
	}
}

const rounds: Record<string, Row[]> = { slime: [], node: [] };
for (let round = 0; round < ROUNDS; round++) {
	const socket = await idleConnection('sockets');
	for (const engine of ENGINES) {
		const row = { ...(await speed(engine)), ...(await memory(engine)) };
		row['KiB an idle connection, on top of its socket'] = (await idleConnection(engine)) - socket;
		rounds[engine]?.push(row);
		process.stderr.write(`round ${round + 1}: ${engine}\n`);
	}
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
const show = (value: number) => value.toFixed(Math.abs(value) < 100 ? 1 : 0);
process.stdout.write('| median of the rounds | slime | node:http2 | ratio |\n|---|---|---|---|\n');
for (const name of Object.keys(rounds.slime?.[0] ?? {})) {
	const [slime = 0, node = 0] = ENGINES.map((engine) => median((rounds[engine] ?? []).map((row) => row[name] ?? 0)));
	process.stdout.write(`| ${name} | ${show(slime)} | ${show(node)} | ${(slime / node).toFixed(2)} |\n`);
}

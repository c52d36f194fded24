/** One process under measurement, a server or a client of one engine. Told what to do by messages, it answers each with figures. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Connection, Engine } from './engine.ts';

export type Task =
	| { readonly do: 'listen' }
	| { readonly do: 'connect'; readonly port: number }
	| { readonly do: 'memory' }
	| { readonly do: 'cpu' }
	| { readonly do: 'requests'; readonly count: number; readonly parallel: number }
	| { readonly do: 'tokens'; readonly streams: number; readonly each: number }
	| { readonly do: 'bulk' | 'upload'; readonly bytes: number }
	| { readonly do: 'hold'; readonly streams: number }
	| { readonly do: 'delays'; readonly ticks: number; readonly beside: boolean }
	| { readonly do: 'connections'; readonly count: number; readonly port: number };

export type Figures = Record<string, number>;

const engines: Record<string, () => Promise<Engine>> = {
	slime: async () => (await import('./slime-engine.ts')).slimeEngine,
	node: async () => (await import('./node-engine.ts')).nodeEngine,
	sockets: async () => sockets,
};

/** Nothing but TCP connections: what idle ones cost below any protocol. */
const sockets: Engine = {
	async listen() {
		const open = new Set<Socket>();
		const server = createServer((socket) => {
			open.add(socket);
			socket.resume();
		});
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		const address = server.address();
		return typeof address === 'object' && address !== null ? address.port : 0;
	},
	async connect(port) {
		const socket = connect(port, '127.0.0.1');
		await once(socket, 'connect');
		socket.resume();
		const nothing = () => Promise.reject(new Error('only a socket'));
		return { get: nothing, upload: nothing, hold: nothing, close: () => socket.destroy() };
	},
};

const engine = await (engines[process.argv[2] ?? ''] ?? engines.slime)?.();
if (engine === undefined) throw new Error('no such engine');
let connection: Connection | null = null;
const kept: Connection[] = [];

function connected(): Connection {
	if (connection === null) throw new Error('not connected');
	return connection;
}

async function timed(work: () => Promise<unknown>): Promise<Figures> {
	const began = performance.now();
	await work();
	return { ms: performance.now() - began };
}

async function requests(count: number, parallel: number): Promise<void> {
	let left = count;
	const worker = async () => {
		while (left-- > 0) await connected().get('/small');
	};
	await Promise.all(Array.from({ length: parallel }, worker));
}

async function delays(ticks: number, beside: boolean): Promise<Figures> {
	const us: number[] = [];
	let over = false;
	const download = async () => {
		while (!over) await connected().get(`/bulk/${64 * 1024 * 1024}`);
	};
	const bulk = beside ? download() : null;
	await connected().get(`/ticks/${ticks}`, (chunk) => {
		for (let at = 0; at + 100 <= chunk.length; at += 100) {
			us.push(Number(process.hrtime.bigint() - chunk.readBigUInt64BE(at)) / 1000);
		}
	});
	over = true;
	await bulk;
	us.sort((a, b) => a - b);
	return { p50: us[us.length >> 1] ?? 0, p99: us[Math.floor(us.length * 0.99)] ?? 0 };
}

async function perform(task: Task): Promise<Figures> {
	switch (task.do) {
		case 'listen':
			return { port: (await engine?.listen()) ?? 0 };
		case 'connect':
			connection = (await engine?.connect(task.port)) ?? null;
			return {};
		case 'memory': {
			globalThis.gc?.();
			globalThis.gc?.();
			const { heapUsed, external, rss } = process.memoryUsage();
			return { used: heapUsed + external, rss };
		}
		case 'cpu': {
			const { user, system } = process.cpuUsage();
			return { us: user + system };
		}
		case 'requests':
			return timed(() => requests(task.count, task.parallel));
		case 'tokens':
			return timed(() =>
				Promise.all(Array.from({ length: task.streams }, () => connected().get(`/tokens/${task.each}`))),
			);
		case 'bulk':
			return timed(() => connected().get(`/bulk/${task.bytes}`));
		case 'upload':
			return timed(() => connected().upload(task.bytes));
		case 'hold':
			await Promise.all(Array.from({ length: task.streams }, () => connected().hold()));
			return {};
		case 'delays':
			return delays(task.ticks, task.beside);
		case 'connections':
			for (let i = 0; i < task.count; i++) kept.push(await (engine as Engine).connect(task.port));
			return {};
	}
}

process.on('message', (task: Task) => {
	perform(task).then(
		(figures) => process.send?.(figures),
		(error: unknown) => {
			throw error;
		},
	);
});
process.on('disconnect', () => {
	connection?.close();
	for (const each of kept) each.close();
	process.kill(process.pid);
});

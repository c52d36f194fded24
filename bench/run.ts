/**
 * What the tunnel adds, measured on this machine: `npm run build && npm run bench`. Every round measures the direct way and
 * the way through hub and agent one after the other, so that noise falls on both; compare the two, never runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RawClient } from './client.ts';

const ROUNDS = 3;
const REQUESTS = 10_000;
const STREAMS = 64;
const TOKENS = 200;
const MAIN = new URL('../dist/cli/main.js', import.meta.url).pathname;
const TICK_US = 10_000;

const children: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'slime-bench-'));

function start(command: readonly string[]): ChildProcess {
	const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
	children.push(child);
	return child;
}

/** The first line of a process's output for which `read` gives something. */
async function line<T>(child: ChildProcess, read: (text: string) => T | undefined): Promise<T> {
	if (child.stdout === null) throw new Error('no output');
	for await (const text of createInterface({ input: child.stdout })) {
		const value = read(text);
		if (value !== undefined) {
			child.stdout.resume();
			return value;
		}
	}
	throw new Error('a process ended early');
}

/** Microseconds of CPU that a process has used, user and kernel. */
function cpu(child: ChildProcess): number {
	const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
	return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

async function requests(port: number, connections: number, total: number): Promise<{ rps: number; us: number[] }> {
	const us: number[] = [];
	let left = total;
	const began = performance.now();
	const work = async () => {
		const client = await RawClient.open(port, '/');
		while (left-- > 0) us.push(await client.ask());
		client.close();
	};
	await Promise.all(Array.from({ length: connections }, work));
	us.sort((a, b) => a - b);
	return { rps: (total / (performance.now() - began)) * 1000, us };
}

const at = (sorted: readonly number[], share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
const show = (value: number) => value.toFixed(value < 100 ? 1 : 0);

async function main(): Promise<void> {
	if (!existsSync(MAIN)) throw new Error('build first: npm run build');
	const upstream = start(['--import', 'tsx', new URL('./upstream.ts', import.meta.url).pathname]);
	const direct = await line(upstream, (text) => Number(text) || undefined);
	const secret = ['--secret', 'measured-on-loopback'];
	const hub = start([MAIN, 'hub', 'run', ...secret, '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off']);
	const port = await line(hub, (text) => {
		const entry: { port?: number } = JSON.parse(text);
		return entry.port;
	});
	const token = await line(start([MAIN, 'hub', 'register', ...secret, '--name', 'bench']), (text) => text || undefined);
	const to = ['--hub', `127.0.0.1:${port}`, '--upstream', `127.0.0.1:${direct}`];
	const agent = start([MAIN, 'agent', 'run', '--token', token, ...to, '--numWorker', '1000', '--stateDir', folder]);
	await line(agent, (text) => (text.includes('"connected"') ? true : undefined));
	// The agent knows of its tunnel before the hub knows of its workers.
	await (await fetch(`http://127.0.0.1:${port}/`, { headers: { 'slime-block': '1' } })).text();
	await requests(port, 8, REQUESTS / 2);

	const ways = [
		['direct', direct],
		['slime', port],
	] as const;
	process.stdout.write('round way     1 conn p50 us  p99 us   32 conns req/s   CPU us/request   CPU us/token\n');
	for (let round = 1; round <= ROUNDS; round++) {
		for (const [way, to] of ways) {
			const one = await requests(to, 1, REQUESTS / 10);
			const before = cpu(hub) + cpu(agent);
			const many = await requests(to, 32, REQUESTS);
			const between = cpu(hub) + cpu(agent);
			await Promise.all(Array.from({ length: STREAMS }, async () => (await RawClient.open(to, '/tokens')).stream()));
			const after = cpu(hub) + cpu(agent);
			const cells = [
				show(at(one.us, 0.5)).padStart(13),
				show(at(one.us, 0.99)).padStart(8),
				show(many.rps).padStart(16),
				show((between - before) / REQUESTS).padStart(16),
				show((after - between) / (STREAMS * TOKENS)).padStart(14),
			];
			process.stdout.write(`${String(round).padEnd(6)}${way.padEnd(7)}${cells.join(' ')}\n`);
		}
	}
}

try {
	await main();
} finally {
	for (const child of children) child.kill();
	rmSync(folder, { recursive: true, force: true });
}

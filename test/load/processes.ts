/** Hub, agent and upstream of a load test, each a process of its own, and what Linux tells of them in /proc. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CliOptions, type CliProcess, runCli, startCli, startNode } from '../helpers/cli.ts';

const LIMIT_MS = 660_000;
const ENV = { SLIME_HUB_SECRET: 'a secret for load tests only', SLIME_AGENT_REPORT_HARDWARE: 'false' };

/** The path of a script beside this file. */
export function script(name: string): string {
	return fileURLToPath(new URL(name, import.meta.url));
}

/** Starts what ends with the test. */
export function lasting(context: TestContext, start: (options: CliOptions) => CliProcess, options: CliOptions = {}) {
	const process = start({ limit: LIMIT_MS, ...options });
	context.after(async () => {
		process.child.kill('SIGKILL');
		await process.exit;
	});
	return process;
}

/** Runs a client that prints one line of JSON and ends. */
export async function client<T>(context: TestContext, name: string, ...args: Array<string | number>): Promise<T> {
	const started = lasting(context, (options) => startNode([script(name), ...args.map(String)], options));
	const { code, stdout, stderr } = await started.exit;
	assert.equal(code, 0, `${name} failed: ${stderr}`);
	return JSON.parse(stdout);
}

export function pidOf({ child }: CliProcess): number {
	assert.ok(child.pid !== undefined);
	return child.pid;
}

export async function startUpstream(context: TestContext): Promise<{ port: number; pid: number }> {
	const started = lasting(context, (options) => startNode([script('upstream.ts')], options));
	const [, port] = await started.output(/^port (\d+)$/m);
	return { port: Number(port), pid: pidOf(started) };
}

/** A hub and its agent, which is connected. */
export interface Pair {
	readonly port: number;
	readonly hub: number;
	readonly agent: number;
}

export async function startPair(context: TestContext, upstream: number, numWorker: number): Promise<Pair> {
	const options = { env: ENV };
	const listen = ['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off'];
	const hub = lasting(context, (given) => startCli(listen, given), options);
	const registered = await runCli(['hub', 'register', '--name', 'load'], options);
	assert.equal(registered.code, 0, registered.stderr);
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { url, port } = JSON.parse(line);
	const to = ['--hub', url, '--upstream', `127.0.0.1:${upstream}`, '--agentID', 'load', '--numWorker', `${numWorker}`];
	const agent = lasting(context, (given) => startCli(['agent', 'run', ...to], given), {
		env: { ...ENV, SLIME_AGENT_TOKEN: registered.stdout.trim() },
	});
	await agent.output(/"connected"/);
	return { port, hub: pidOf(hub), agent: pidOf(agent) };
}

/** Resident memory in bytes: now, or the most there was since `resetPeak`. */
export function resident(pid: number, what: 'VmRSS' | 'VmHWM'): number {
	const found = new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
	assert.ok(found, `${what} of ${pid}`);
	return Number(found[1]) * 1024;
}

/** proc(5), clear_refs: the peak becomes what is resident now. */
export function resetPeak(pid: number): void {
	writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** How many sockets a process has open. */
export function sockets(pid: number): number {
	const folder = `/proc/${pid}/fd`;
	return readdirSync(folder).filter((name) => {
		try {
			return readlinkSync(`${folder}/${name}`).startsWith('socket:');
		} catch (error) {
			// Closed since it was listed.
			if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
			throw error;
		}
	}).length;
}

/** Microseconds of CPU that a process has used. */
export function cpu(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
	return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

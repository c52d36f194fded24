/** A hub as a process, with agents of this one: for what only another process can suffer. */
import type { TestContext } from 'node:test';
import { type Agent, createAgent, type GivenAgentOptions } from '../../src/index.ts';
import { type CliOptions, type CliProcess, startForTest } from './cli.ts';
import { eventually, LogSink, SECRET, token } from './stack.ts';

export function startHub(context: TestContext, port: number, options: CliOptions = {}): CliProcess {
	const args = ['hub', 'run', '--host', '127.0.0.1', '--port', `${port}`, '--adminPort', 'off'];
	const env = { SLIME_HUB_SECRET: SECRET, ...options.env };
	return startForTest(context, args, { limit: 300_000, ...options, env });
}

/** One agent for each upstream, all connected. */
export async function joined(
	context: TestContext,
	port: number,
	upstreams: readonly string[],
	wish: Partial<GivenAgentOptions> = {},
): Promise<{ agent: Agent; log: LogSink }> {
	const log = new LogSink();
	const agent = await createAgent({
		token: await token(),
		hubs: [`127.0.0.1:${port}`],
		upstreams,
		agentID: 'agent',
		reportHardware: false,
		logger: log.logger,
		...wish,
	});
	context.after(() => agent.close());
	await eventually('all are connected', () => agent.connected === upstreams.length);
	return { agent, log };
}

/** The demo: a hub, two agents and a streaming model in one process, all on free ports, and what to paste to try them. */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, createAgent, createHub, createTokens, type Logger } from '../index.ts';
import { startDemoUpstream } from './demo-upstream.ts';
import type { Service } from './service.ts';

export interface DemoOptions {
	/** Of the hub; 0 is any free one. */
	readonly port: number;
	/** Milliseconds between two tokens. */
	readonly interval: number;
	readonly logger: Logger;
}

/** In milliseconds. */
const DRAIN_TIMEOUT = 2000;

export async function runDemo({ port, interval, logger }: DemoOptions): Promise<Service> {
	const secret = randomBytes(24).toString('base64url');
	const stateDir = await mkdtemp(join(tmpdir(), 'slime-demo-'));
	const upstream = await startDemoUpstream(interval);
	const hub = await createHub({
		secret,
		host: '127.0.0.1',
		port,
		adminPort: 'off',
		drainTimeout: DRAIN_TIMEOUT,
		logger,
	});
	const tokens = await createTokens({ secret });
	const agents: Agent[] = [];
	for (const name of ['berlin', 'osaka']) {
		agents.push(
			await createAgent({
				token: await tokens.issue({ name }),
				hubs: [hub.url],
				upstreams: [`http://127.0.0.1:${upstream.port}`],
				agentID: name,
				numWorker: 2,
				reportHardware: false,
				stateDir,
				logger,
			}),
		);
	}
	process.stdout.write(instructions(hub.url));
	return {
		status: () => `a demo at ${hub.url}`,
		drainTimeout: DRAIN_TIMEOUT,
		async drain() {
			await hub.drain();
			for (const agent of agents) await agent.close();
			await upstream.close();
			await rm(stateDir, { recursive: true, force: true });
		},
	};
}

function instructions(url: string): string {
	return `
  app ──HTTP──▶ hub ${url} ══reversed HTTP/2══▶ agents berlin, osaka ──HTTP──▶ a model that streams

A streamed answer, token by token:

  curl -N ${url}/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"slime-demo","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

Who answered (look for slime-agent-id):

  curl -i ${url}/v1/models

Four workers, six requests at once, the rest waits its turn:

  for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{http_code} %{time_total}s\\n' -H 'Slime-Block: 1' ${url}/v1/chat/completions -H 'Content-Type: application/json' -d '{"stream":true,"messages":[]}' & done; wait

Ctrl-C ends it.
`;
}

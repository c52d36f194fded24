/**
 * A hub and its agent in one process that says on demand, over IPC, what they hold: leases, waiting requests, sockets, heap.
 * Needs --expose-gc. Usage: UPSTREAM_PORT WORKERS.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createAgent, createHub, createTokens } from '../../src/index.ts';
import { sockets } from './processes.ts';

export interface Holdings {
	readonly leased: number;
	readonly waiting: number;
	readonly agents: number;
	readonly sockets: number;
	/** Bytes after a forced collection. */
	readonly heap: number;
	/** Bytes outside the heap, in buffers, after it. */
	readonly buffers: number;
}

const [upstream, workers] = process.argv.slice(2);
const secret = 'a secret for load tests only';
const options = { host: '127.0.0.1', port: 0, adminPort: 'off' as const };
const hub = await createHub({ secret, ...options });
const token = await (await createTokens({ secret })).issue({ name: 'load' });
const agent = await createAgent({
	token,
	hubs: [hub.url],
	upstreams: [`127.0.0.1:${upstream}`],
	agentID: 'load',
	numWorker: Number(workers),
	reportHardware: false,
});

/** What one collection frees may be what another needs to free more: until it stays the same. */
async function collect(): Promise<NodeJS.MemoryUsage> {
	assert.ok(globalThis.gc, '--expose-gc is missing');
	let last = process.memoryUsage();
	for (;;) {
		globalThis.gc();
		await new Promise((resolve) => setImmediate(resolve));
		const now = process.memoryUsage();
		if (now.heapUsed > last.heapUsed * 0.999) return now;
		last = now;
	}
}

async function holdings(collected: boolean): Promise<Holdings> {
	const { heapUsed, arrayBuffers } = collected ? await collect() : process.memoryUsage();
	const { leased, waiting, agents } = hub;
	return { leased, waiting, agents, sockets: sockets(process.pid), heap: heapUsed, buffers: arrayBuffers };
}

process.on('message', async (question) => process.send?.(await holdings(question === 'collected')));
process.send?.({ port: hub.address.port });
await once(process, 'disconnect');
await agent.close();
await hub.close();

/** A hub with many agents that ends and is started again, and what they and its apps see of it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { talkingUpstream } from './event-stream.ts';
import { joined, startHub } from './hub-process.ts';
import { closedPort } from './ports.ts';
import { ask, eventually, WAITS } from './stack.ts';

export interface Restart {
	/** Milliseconds from when the hub listened again until all agents were back. */
	readonly took: number;
	/** Answers meanwhile, one after the other, and the slowest, in milliseconds. */
	readonly answers: number;
	readonly slowest: number;
	/** Milliseconds that agents said they would wait before they tried again. */
	readonly waits: readonly number[];
	/** When they meant to, in milliseconds from any origin. */
	readonly plannedAt: readonly number[];
	/** When each agent was connected again, in milliseconds from any origin. */
	readonly connectedAt: readonly number[];
}

export async function restartHub(
	context: TestContext,
	signal: 'SIGKILL' | 'SIGTERM',
	agents: number,
): Promise<Restart> {
	const { address } = await talkingUpstream(context);
	const port = await closedPort();
	const hub = startHub(context, port);
	await hub.output(/"the hub listens"/);
	const { agent, log } = await joined(
		context,
		port,
		Array.from({ length: agents }, () => address),
	);
	assert.equal((await ask(port, '/', { headers: WAITS })).status, 200);

	hub.child.kill(signal);
	await hub.exit;
	await eventually('all have noticed', () => agent.connected === 0, 30_000);
	log.lines.length = 0;
	const next = startHub(context, port);
	await next.output(/"the hub listens"/);
	const began = performance.now();
	let answers = 0;
	let slowest = 0;
	while (agent.connected < agents) {
		const asked = performance.now();
		const { status, body } = await ask(port, '/', { headers: WAITS });
		assert.equal(status, 200, body);
		slowest = Math.max(slowest, performance.now() - asked);
		answers++;
	}
	const took = performance.now() - began;
	const planned = log.lines.filter(({ msg }) => /^disconnected|^not connected/.test(String(msg)));
	const waits = planned.map(({ retryInMs }) => Number(retryInMs));
	const plannedAt = planned.map(({ time }, i) => Date.parse(String(time)) + (waits[i] ?? 0));
	const connectedAt = log.lines.flatMap(({ msg, time }) => (msg === 'connected' ? [Date.parse(String(time))] : []));
	return { took, answers, slowest, waits, plannedAt, connectedAt };
}

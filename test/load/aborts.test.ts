/** Apps that leave at any moment, thousands of them: what the hub and the agent hold afterwards is what they held before. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CliProcess, startNode } from '../helpers/cli.ts';
import { seeded } from '../helpers/seeded.ts';
import { eventually } from '../helpers/stack.ts';
import { lasting, script, sockets, startUpstream } from './processes.ts';
import type { Holdings } from './stack-process.ts';

const REQUESTS = 10_000;
const WARM_UP = 6000;
const APPS = 48;
/** Fewer than apps, so that some leave while they wait. */
const WORKERS = 32;
const ABORTED = 20;
const HEAP_GROWTH = 0.1;
/** After the upstream's keep-alive and the agent's. */
const SETTLED_MS = 20_000;
const LARGE = Buffer.alloc(96 * 1024, 'b');

interface Outcomes {
	whole: number;
	aborted: number;
	/** Answered before the app could leave. */
	missed: number;
}

/** What apps do, by chance, and how it went. */
class Apps {
	readonly outcomes: Outcomes = { whole: 0, aborted: 0, missed: 0 };
	readonly #port: number;
	readonly #below: (below: number) => number;
	readonly #agent = new Agent({ keepAlive: true, maxSockets: APPS });
	#left = 0;

	constructor(port: number, seed: number) {
		this.#port = port;
		this.#below = seeded(seed);
	}

	/** Makes so many requests, and closes what it kept alive. */
	async run(requests: number): Promise<void> {
		this.#left = requests;
		await Promise.all(
			Array.from({ length: APPS }, async () => {
				while (this.#left-- > 0) await (this.#below(100) < ABORTED ? this.#leaves() : this.#stays());
			}),
		);
		this.#agent.destroy();
	}

	#ask(method: string, path: string): ClientRequest {
		const req = request({
			host: '127.0.0.1',
			port: this.#port,
			method,
			path,
			agent: this.#agent,
			headers: { 'slime-block': '1' },
		});
		// How it ends is seen when it closes.
		req.on('error', () => undefined);
		return req;
	}

	async #stays(): Promise<void> {
		const body = this.#below(3) === 0 ? LARGE : null;
		const req = body ? this.#ask('POST', '/echo') : this.#ask('GET', '/');
		if (body) {
			// Without a length, in two pieces: a body of unknown length.
			req.write(body.subarray(0, 1000));
			req.end(body.subarray(1000));
		} else {
			req.end();
		}
		const [res] = (await once(req, 'response')) as [IncomingMessage];
		let received = 0;
		for await (const chunk of res) received += (chunk as Buffer).length;
		assert.deepEqual([res.statusCode, received], [200, body?.length ?? 'small'.length]);
		this.outcomes.whole++;
	}

	async #leaves(): Promise<void> {
		const when = this.#below(3);
		const late = this.#below(8);
		const [method, path] =
			[['GET', '/never'] as const, ['GET', '/part'] as const, ['POST', '/upload'] as const][when] ?? [];
		const req = this.#ask(method as string, path as string);
		const closed = new Promise((resolve) => req.once('close', resolve));
		if (when === 2) {
			req.setHeader('content-length', 2 * LARGE.length);
			req.write(LARGE);
		} else {
			req.end();
		}
		let answered = false;
		req.once('response', () => {
			answered = true;
		});
		if (when === 1) {
			const [res] = (await once(req, 'response')) as [IncomingMessage];
			res.on('error', () => undefined);
			await once(res, 'data');
		} else {
			await sleep(late);
		}
		req.destroy();
		await closed;
		if (when !== 1 && answered) this.outcomes.missed++;
		else this.outcomes.aborted++;
	}
}

async function holdings({ child }: CliProcess, question: 'collected' | 'at once'): Promise<Holdings> {
	const answer = once(child, 'message');
	child.send(question);
	return (await answer)[0];
}

test(`${REQUESTS} requests, ${ABORTED} % of them left by their apps, leave nothing behind`, {
	timeout: 600_000,
}, async (context) => {
	const seed = Number(process.env.SLIME_TEST_SEED ?? Date.now() % 1_000_000);
	context.diagnostic(`SLIME_TEST_SEED=${seed}`);
	const upstream = await startUpstream(context);
	const idle = sockets(upstream.pid);
	const whole = lasting(
		context,
		(options) => startNode(['--expose-gc', script('stack-process.ts'), `${upstream.port}`, `${WORKERS}`], options),
		{ ipc: true },
	);
	const [{ port }] = (await once(whole.child, 'message')) as [{ port: number }];

	const settled = async (): Promise<Holdings> => {
		// The agent keeps connections to its upstream for a while.
		await eventually('the upstream has no connection', () => sockets(upstream.pid) === idle, SETTLED_MS);
		return holdings(whole, 'collected');
	};
	const warm = new Apps(port, seed);
	await warm.run(WARM_UP);
	const before = await settled();
	assert.deepEqual([before.agents, before.leased, before.waiting], [1, 0, 0]);

	const apps = new Apps(port, seed + 1);
	const began = performance.now();
	await apps.run(REQUESTS);
	context.diagnostic(`${JSON.stringify(apps.outcomes)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
	const after = await settled();
	context.diagnostic(`before ${JSON.stringify(before)}`);
	context.diagnostic(`after ${JSON.stringify(after)}`);

	const { whole: served, aborted, missed } = apps.outcomes;
	assert.equal(served + aborted + missed, REQUESTS);
	assert.ok(aborted > (REQUESTS * ABORTED) / 200, `only ${aborted} left in time`);
	assert.deepEqual([after.agents, after.leased, after.waiting], [1, 0, 0]);
	assert.equal(after.sockets, before.sockets);
	assert.ok(after.heap < before.heap * (1 + HEAP_GROWTH), `the heap grew from ${before.heap} to ${after.heap} bytes`);
});

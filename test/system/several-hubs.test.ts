/** Several hubs that share several agents, under load: nobody gets too much, nobody starves, no worker stands idle. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../helpers/seeded.ts';
import { ask, eventually, type Stack, stack, type Upstream, upstream, WAITS } from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const WORKERS = [1, 1, 2, 3, 1];
/**
 * A worker may be free for 100 ms while somebody waits: 20 looks in a row, every 5 ms at least. Everything is in this process, so a
 * machine that has no time for it makes the looks as much later as all else; but then each turn of the loop has one, and a worker that
 * goes from a hub to the next and back to an app that leaves takes about 20.
 */
const LOOK_EVERY = 5;
const MOST_LOOKS = 60;

interface Hubs {
	readonly hubs: Stack[];
	readonly services: Upstream[];
}

/** So many hubs, and an agent for each number of workers that has a tunnel to all of them. */
async function hubsAndAgents(
	t: Parameters<typeof upstream>[0],
	count: number,
	workers: readonly number[],
	handler: Parameters<typeof upstream>[1],
): Promise<Hubs> {
	const hubs: Stack[] = [];
	for (let i = 0; i < count; i++) hubs.push(await stack(t));
	const services: Upstream[] = [];
	for (const numWorker of workers) {
		const service = await upstream(t, handler);
		services.push(service);
		await (hubs[0] as Stack).join(service.address, { numWorker, hubs: hubs.map(({ hub }) => hub.url) });
	}
	await eventually('every hub has every agent', () => hubs.every(({ hub }) => hub.agents === workers.length));
	return { hubs, services };
}

test(
	'three hubs, five agents, aborts: never more than numWorker, all answered, every hub served, no worker idle',
	LIMIT,
	async (t) => {
		const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
		t.diagnostic(`TEST_SEED=${seed}`);
		const below = seeded(seed);
		const { hubs, services } = await hubsAndAgents(t, 3, WORKERS, async (req, res) => {
			req.resume();
			await sleep(below(12));
			if (res.destroyed) return;
			res.write('part');
			await sleep(below(12));
			res.end('rest');
		});
		const outcomes = hubs.map(() => ({ asked: 0, whole: 0, aborted: 0, other: [] as unknown[] }));

		const one = async (hub: number) => {
			const outcome = outcomes[hub] as (typeof outcomes)[number];
			const withBody = below(2) === 0;
			const req = request({
				host: '127.0.0.1',
				port: hubs[hub]?.port,
				method: withBody ? 'POST' : 'GET',
				headers: WAITS,
				agent: false,
			});
			outcome.asked++;
			req.end(withBody ? 'x'.repeat(below(20_000)) : undefined);
			const abort = below(10) < 3 ? setTimeout(() => req.destroy(), below(60)) : undefined;
			let answer: string | undefined;
			req.on('response', (res) => {
				let body = '';
				res.on('data', (chunk) => {
					body += chunk;
				});
				res.on('error', () => undefined);
				res.on('end', () => {
					answer = `${res.statusCode} ${body}`;
				});
			});
			req.on('error', () => undefined);
			await new Promise((resolve) => req.once('close', resolve));
			clearTimeout(abort);
			if (answer === '200 partrest') outcome.whole++;
			else if (abort !== undefined && answer === undefined) outcome.aborted++;
			else outcome.other.push(answer);
		};

		// The most looks in a row at which somebody waited and a worker was free, and no request came to it.
		const idle = services.map(() => 0);
		const served = services.map(() => 0);
		let longestIdle = 0;
		const watch = setInterval(() => {
			const waiting = hubs.some(({ hub }) => hub.waiting > 0);
			for (const [i, service] of services.entries()) {
				const stuck = waiting && service.active < (WORKERS[i] as number) && service.served === served[i];
				idle[i] = stuck ? (idle[i] as number) + 1 : 0;
				served[i] = service.served;
				longestIdle = Math.max(longestIdle, idle[i] as number);
			}
		}, LOOK_EVERY);
		t.after(() => clearInterval(watch));

		// All hubs, then one alone whose neighbours leave their turns unused, then all again.
		const phases = [
			[[0, 1, 2], 2000],
			[[1], 1000],
			[[0, 1, 2], 1500],
		] as const;
		for (const [busy, duration] of phases) {
			const until = performance.now() + duration;
			const before = outcomes.map(({ whole }) => whole);
			// A hub that starves never has enough, and the test ends by its limit.
			const enough = () => busy.every((hub) => (outcomes[hub]?.whole ?? 0) - (before[hub] ?? 0) >= 20);
			const app = async (hub: number) => {
				while (performance.now() < until || !enough()) await one(hub);
			};
			await Promise.all(busy.flatMap((hub) => Array.from({ length: 12 }, () => app(hub))));
		}
		const totals = JSON.stringify({ outcomes, longestIdle, peaks: services.map(({ peak }) => peak) });
		await eventually(`all slots are free: ${totals}`, () => hubs.every(({ hub }) => hub.leased + hub.waiting === 0));
		await eventually('all upstreams are idle', () => services.every(({ active }) => active === 0));
		assert.deepEqual(
			services.map(({ peak }) => peak),
			WORKERS,
			totals,
		);
		for (const { asked, whole, aborted, other } of outcomes) {
			assert.deepEqual(other, [], totals);
			assert.equal(whole + aborted, asked, totals);
		}
		assert.ok(longestIdle <= MOST_LOOKS, totals);
		t.diagnostic(totals);
	},
);

test('one request at a time of a hub has its turn soon beside a hub with a queue', LIMIT, async (t) => {
	const { hubs, services } = await hubsAndAgents(t, 2, [1], async (_req, res) => {
		await sleep(5);
		res.end('ok');
	});
	const [greedy, modest] = hubs as [Stack, Stack];
	let going = true;
	let served = 0;
	const app = async () => {
		while (going) {
			assert.equal((await ask(greedy.port, '/', { headers: WAITS })).body, 'ok');
			served++;
		}
	};
	const apps = Array.from({ length: 8 }, app);
	await eventually('the greedy hub has its queue', () => served > 20 && greedy.hub.waiting > 0);
	const overtaken: number[] = [];
	for (let i = 0; i < 12; i++) {
		const before = served;
		const answer = await ask(modest.port, '/', { headers: { ...WAITS, 'slime-queue-timeout': '20' } });
		assert.equal(answer.body, 'ok', `request ${i}: ${answer.body}`);
		overtaken.push(served - before);
	}
	going = false;
	await Promise.all(apps);
	assert.equal(services[0]?.peak, 1);
	// The first may find its hub resting. Later ones are overtaken once each, or as often as this machine is late.
	const total = overtaken.slice(1).reduce((sum, times) => sum + times, 0);
	assert.ok(total < 200, `overtaken so many times: ${overtaken}`);
});

test('a hub that nobody uses takes next to nothing from the one beside it', LIMIT, async (t) => {
	const { hubs } = await hubsAndAgents(t, 2, [1], (_req, res) => res.end('ok'));
	const [used] = hubs as [Stack, Stack];
	// One after the other and not willing to wait: whoever keeps the worker from them is seen at once.
	let busy = 0;
	for (let i = 0; i < 200; i++) if ((await ask(used.port)).status !== 200) busy++;
	assert.ok(busy <= 20, `${busy} of 200 were told that the agent is busy`);
});

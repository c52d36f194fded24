/** Never more than numWorker requests at an upstream, whatever apps and tunnels do. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../helpers/seeded.ts';
import { eventually, stack, token, upstream } from '../helpers/stack.ts';

const WORKERS = 3;
/** Requests that have to be served whole among those that are aborted or refused. */
const ENOUGH = 100;

for (const body of [false, true]) {
	// A hub that serves nobody never has enough, and the test ends by its limit.
	test(`never more than numWorker under overload with aborts and reconnects, ${body ? 'streamed bodies' : 'no bodies'}`, {
		timeout: 60_000,
	}, async (t) => {
		const below = seeded(body ? 7 : 11);
		const random = () => below(1000) / 1000;
		const service = await upstream(t, async (req, res) => {
			req.resume();
			await sleep(random() * 8);
			if (res.destroyed) return;
			res.write('part');
			await sleep(random() * 8);
			res.end('rest');
		});
		const { port, hub, join } = await stack(t);
		const wish = { numWorker: WORKERS, token: await token(), agentID: 'same' };
		let agent = await join(service.address, wish);
		const until = performance.now() + 4000;
		const outcomes = { whole: 0, refused: 0, cut: 0 };
		const app = async () => {
			while (performance.now() < until || outcomes.whole <= ENOUGH) {
				const headers = { 'slime-block': '1', 'slime-queue-timeout': '1' };
				const req = request({ host: '127.0.0.1', port, method: body ? 'POST' : 'GET', headers, agent: false });
				req.on('error', () => undefined);
				const closed = new Promise((resolve) => req.once('close', resolve));
				if (body) {
					req.write('some');
					setTimeout(() => req.end('more'), random() * 10);
				} else {
					req.end();
				}
				const abort = random() < 0.3 ? setTimeout(() => req.destroy(), random() * 30) : undefined;
				req.once('response', (res) => {
					res.resume();
					res.on('error', () => undefined);
					res.once('close', () => {
						if (res.statusCode !== 200) outcomes.refused++;
						else if (res.complete) outcomes.whole++;
						else outcomes.cut++;
					});
				});
				await closed;
				clearTimeout(abort);
			}
		};
		const apps = Array.from({ length: WORKERS * 10 }, app);
		for (let i = 0; i < 2; i++) {
			await sleep(1200);
			await agent.close();
			await eventually('the upstream is idle', () => service.active === 0);
			await eventually('the hub noticed', () => hub.agents === 0);
			agent = await join(service.address, wish);
		}
		await Promise.all(apps);
		await eventually('all slots are free', () => hub.leased === 0 && hub.waiting === 0 && service.active === 0);
		assert.equal(service.peak, WORKERS, JSON.stringify(outcomes));
		t.diagnostic(JSON.stringify(outcomes));
	});
}

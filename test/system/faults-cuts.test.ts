/** Tunnels that are cut under load, at any byte: nothing looks complete that is not, nothing runs twice, nothing is left behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scene } from '../helpers/fault-scene.ts';
import { holdings, returnsTo } from '../helpers/holdings.ts';
import { anyPlan, drive, FRAMINGS, PROTOCOLS } from '../helpers/ledger-apps.ts';
import { eventually } from '../helpers/stack.ts';

/** Bytes of a response in the matrix: many frames, and still quick. */
const LENGTH = 300_000;
/** Requests that have to come through whole beside those that are cut. */
const ENOUGH = 50;

for (const how of ['fin', 'reset'] as const) {
	test(`tunnels cut by ${how.toUpperCase()} at random bytes under a mixed load: all invariants hold`, async (context) => {
		const before = holdings();
		const { hub, sites, apps, below, settle, ledger } = await scene(context, {
			upstreams: ['http/1.1', 'h2c', 'http/1.1'],
		});
		let cuts = 0;
		const driven = drive({
			apps,
			width: 24,
			next: () => anyPlan(below),
			goesOn: () => cuts < 9 || (ledger.outcomes.whole ?? 0) <= ENOUGH,
		});
		while (cuts < 9) {
			const site = sites[cuts % sites.length];
			assert.ok(site);
			await eventually('the agent is back', () => site.agent.connected === 1 && site.proxy.open > 0, 30_000);
			await sleep(below(100));
			if (below(2) === 0) {
				site.proxy.cutAfter(below(3) === 0 ? 'toAgent' : 'toHub', 1 + below(100_000), how);
				await eventually('it was cut', () => site.proxy.open === 0 || site.agent.connected === 0);
			} else {
				site.proxy.cut(how);
			}
			cuts++;
		}
		await driven;
		await settle();
		const { cut = 0, agent_lost = 0 } = ledger.outcomes;
		assert.ok(cut + agent_lost > 0, 'no cut hit anything');
		apps.close();
		for (const { agent, proxy } of sites) {
			await agent.close();
			proxy.close();
		}
		await hub.close();
		for (const { service } of sites) await service.close();
		await returnsTo(before);
	});

	for (const upstream of ['http/1.1', 'h2c'] as const) {
		test(`a response over ${upstream} whose tunnel is cut by ${how.toUpperCase()} looks complete to no app, whatever the framing`, async (context) => {
			const { sites, apps, below, settle, ledger, add, hub, log } = await scene(context, { upstreams: [] });
			let expected = 0;
			for (const protocol of PROTOCOLS) {
				for (const framing of FRAMINGS) {
					const { proxy, agent } = await add(upstream);
					// The first bytes are the response's head, so that what follows is cut and not refused.
					proxy.cutAfter('toHub', 5000 + below(LENGTH - 10_000), how);
					const outcome = await apps.request({ protocol, up: 0, down: LENGTH, framing });
					assert.equal(outcome, 'cut', `${protocol}, ${framing}`);
					expected++;
					await agent.close();
					await eventually('the hub has noticed', () => hub.agents === 0);
				}
			}
			await settle();
			assert.deepEqual(ledger.outcomes, { cut: expected });
			assert.equal(log.lines.filter(({ level, outcome }) => level === 'info' && outcome === 'cut').length, expected);
			assert.equal(sites.length, expected);
		});

		test(`a request whose tunnel to an ${upstream} upstream is cut by ${how.toUpperCase()} in the middle of its body starts once and never looks complete`, async (context) => {
			const { apps, below, settle, ledger, add, hub } = await scene(context, { upstreams: [] });
			const bystander = await add(upstream);
			await bystander.agent.drain();
			for (const protocol of PROTOCOLS) {
				for (const upFraming of ['length', 'chunked'] as const) {
					const { proxy, agent } = await add(upstream);
					proxy.cutAfter('toAgent', 80_000 + below(LENGTH - 100_000), how);
					const outcome = await apps.request({
						protocol,
						up: LENGTH,
						upFraming,
						down: 10,
						framing: 'length',
						when: 'after',
					});
					assert.equal(outcome, 'agent_lost', `${protocol}, ${upFraming}`);
					await agent.close();
					await eventually('the hub has noticed', () => hub.agents === 0);
				}
			}
			await settle();
			assert.deepEqual(ledger.outcomes, { agent_lost: 6 });
		});
	}
}

test('a request that was refused because its agent was leaving is served elsewhere, whole, and its app sees nothing of it', async (context) => {
	const { hub, apps, sites, below, settle, ledger } = await scene(context, {
		upstreams: ['http/1.1', 'http/1.1'],
		agent: { numWorker: 2 },
	});
	const [leaving, staying] = sites;
	assert.ok(leaving && staying);
	let over = false;
	// Everything waits in one queue and nobody leaves: so each request can be served by whoever stays.
	const next = () => ({ ...anyPlan(below), leaveAfter: undefined });
	const driven = drive({ apps, width: 12, next, goesOn: () => !over });
	await eventually('there is work', () => leaving.service.active > 0 && staying.service.active > 0 && hub.waiting > 0);
	await leaving.agent.drain();
	const before = ledger.size;
	await eventually('more was served', () => ledger.size > before + 50);
	over = true;
	await driven;
	await settle();
	assert.deepEqual(Object.keys(ledger.outcomes), ['whole']);
});

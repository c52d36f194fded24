/** Tunnels that freeze, fall half open, or are only slow: the first two are noticed by both ends in time, the last is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { assertNoErrors, scene } from '../helpers/fault-scene.ts';
import { anyPlan, drive, type Plan } from '../helpers/ledger-apps.ts';
import { ledgerUpstream } from '../helpers/ledger-upstream.ts';
import { fakeName } from '../helpers/names.ts';
import { eventually, token } from '../helpers/stack.ts';

const SHORT = { interval: 200, timeout: 1000 };
const heartbeats = { hub: { heartbeat: SHORT }, agent: { heartbeat: SHORT } };
/** Far more than interval and timeout, far less than anybody would wait for a hung tunnel. */
const NOTICED = 10_000;

const DOWNLOAD: Plan = { protocol: 'http/1.1', up: 0, down: 20_000, framing: 'length', pace: 20 };
const EVENTS: Plan = { protocol: 'http/1.1', up: 0, down: 20_000, framing: 'chunked', pace: 20 };

for (const which of ['both', 'toHub', 'toAgent'] as const) {
	const what = which === 'both' ? 'frozen both ways' : `frozen towards the ${which === 'toHub' ? 'hub' : 'agent'}`;
	test(`a tunnel that is ${what} is noticed by both ends, its requests end by the rules, and the agent comes back`, async (context) => {
		const { hub, log, sites, apps, settle, ledger } = await scene(context, heartbeats);
		const [site] = sites;
		assert.ok(site);
		const begun = [apps.request(EVENTS), apps.request({ ...DOWNLOAD, protocol: 'http/2' })];
		await eventually('they run', () => site.service.active === 2);
		// The answers have begun; one more never gets as far.
		await eventually('both have bytes', () => ledger.receivedOf(0) > 0 && ledger.receivedOf(1) > 0);
		const waiting = apps.request({ ...DOWNLOAD, up: 4_000_000, when: 'after' });
		await eventually('all are at the upstream', () => site.service.active === 3);
		site.proxy.freeze(which);
		assert.equal(await waiting, 'agent_lost');
		for (const outcome of await Promise.all(begun)) {
			// What still arrives is life, and what is whole is whole.
			assert.ok(outcome === 'cut' || (which === 'toAgent' && outcome === 'whole'), outcome);
		}
		// Who still hears something hears of the end from the other.
		const hubSays = which === 'toAgent' ? 'agent disconnected' : 'the agent does not answer any more';
		const agentSays = which === 'toHub' ? 'the hub is leaving' : 'the hub does not answer any more';
		await eventually('the hub noticed', () => log.has(hubSays), NOTICED);
		await eventually('the agent noticed', () => log.has(agentSays), NOTICED);
		await eventually('the upstream was told', () => site.service.active === 0, NOTICED);
		await eventually('the agent is back', () => site.agent.connected === 1 && hub.agents === 1, NOTICED);
		assert.equal(await apps.request({ ...EVENTS, down: 1000 }), 'whole');
		await settle();
	});
}

for (const told of ['hub', 'agent'] as const) {
	test(`a tunnel that is half open, with only the ${told} told of its end, is noticed by the other end and replaced`, async (context) => {
		const { hub, log, sites, apps, settle, ledger } = await scene(context, heartbeats);
		const [site] = sites;
		assert.ok(site);
		const running = apps.request(EVENTS);
		await eventually('it runs', () => site.service.active === 1 && ledger.startsOf(0) === 1);
		site.proxy.halfOpen(told);
		assert.ok(['cut', 'agent_lost'].includes(await running));
		// A hub that knows nothing yet takes the newcomer in place of the old tunnel.
		if (told === 'hub')
			await eventually('the agent noticed', () => log.has('the hub does not answer any more'), NOTICED);
		await eventually('the upstream was told', () => site.service.active === 0, NOTICED);
		await eventually('the agent is back', () => site.agent.connected === 1 && hub.agents === 1, NOTICED);
		assert.equal(await apps.request({ ...EVENTS, down: 1000 }), 'whole');
		await settle();
	});
}

test('a slow tunnel, 1 MB/s with full windows both ways and a heartbeat of 1 s, is never taken for a frozen one', async (context) => {
	const heartbeat = { interval: 1000, timeout: 1000 };
	const { hub, log, sites, apps, settle, ledger } = await scene(context, {
		hub: { heartbeat },
		agent: { heartbeat, numWorker: 8 },
		line: { rate: 1_000_000 },
	});
	const bulk: Plan = { protocol: 'http/1.1', up: 1_500_000, down: 1_500_000, framing: 'length', when: 'at-once' };
	const plans: Plan[] = [
		bulk,
		{ ...bulk, protocol: 'http/2' },
		{ ...bulk, up: 0 },
		{ ...bulk, down: 100, when: 'after' },
	];
	await Promise.all(plans.map((plan) => apps.request(plan)));
	await settle();
	assertNoErrors(ledger);
	assert.equal(sites[0]?.proxy.accepted, 1);
	assert.equal(log.has('does not answer any more'), false);
	assert.equal(hub.agents, 1);
});

test('a tunnel whose bytes come one at a time carries every kind of request whole', async (context) => {
	const { sites, apps, settle, ledger, below } = await scene(context, {
		upstreams: ['http/1.1', 'h2c'],
		line: { singleBytes: true },
	});
	const small = (): Plan => {
		const plan = anyPlan(below);
		return { ...plan, up: Math.min(plan.up, 5000), down: Math.min(plan.down, 5000), leaveAfter: undefined };
	};
	await drive({ apps, width: 8, next: small, goesOn: () => ledger.size < 60 });
	await settle();
	assertNoErrors(ledger);
	assert.deepEqual(
		sites.map(({ proxy }) => proxy.accepted),
		[1, 1],
	);
});

test('a tunnel with 20 ms of delay and 20 ms of jitter carries a mixed load whole, and apps that leave free their workers', async (context) => {
	const { sites, apps, settle, ledger, below } = await scene(context, {
		...heartbeats,
		upstreams: ['http/1.1', 'h2c'],
		line: { delay: 20, jitter: 20 },
	});
	await drive({ apps, width: 16, next: () => anyPlan(below), goesOn: () => ledger.size < 150 });
	await settle();
	assertNoErrors(ledger);
	assert.deepEqual(
		sites.map(({ proxy }) => proxy.accepted),
		[1, 1],
	);
});

test('a hub that cannot be reached for a while is found again, whether its address refuses or keeps silent', async (context) => {
	const { hub, log, sites, apps, settle } = await scene(context, { agent: { connectTimeout: 300 } });
	const [site] = sites;
	assert.ok(site);
	for (const newcomers of ['reset', 'silence'] as const) {
		const { accepted } = site.proxy;
		site.proxy.newcomers = newcomers;
		site.proxy.cut('fin');
		await eventually('it tried in vain', () => site.proxy.accepted > accepted);
		const waiting = apps.request({ ...EVENTS, down: 1000 });
		await eventually('one waits for it', () => hub.waiting === 1);
		assert.equal(hub.agents, 0);
		site.proxy.newcomers = 'pass';
		assert.equal(await waiting, 'whole');
	}
	assert.ok(log.has('not connected: '));
	await settle();
});

test('an agent whose hub has a name that cannot be looked up for a while finds the hub when it can', async (context) => {
	const name = fakeName(context, 'hub.test');
	const { hub, port, log, apps, settle, ledger } = await scene(context, { upstreams: [] });
	const service = await ledgerUpstream(context, ledger);
	const agent = await createAgent({
		token: await token(),
		hubs: [`http://hub.test:${port}`],
		upstreams: [service.address],
		agentID: 'far',
		reportHardware: false,
		logger: log.logger,
	});
	context.after(() => agent.close());
	const waiting = apps.request({ ...EVENTS, down: 1000 });
	await eventually('it asked more than once', () => name.asked > 1 && log.has('not connected: '));
	assert.equal(hub.agents, 0);
	name.addresses = ['127.0.0.1'];
	assert.equal(await waiting, 'whole');
	await settle();
});

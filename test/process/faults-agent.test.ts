/** Agents as processes that are killed, stopped, drained and started again under load. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type CliProcess, FULL_AND_CLOSED, startCli } from '../helpers/cli.ts';
import { allowDescriptors } from '../helpers/descriptors.ts';
import { assertNoErrors, type Scene, scene } from '../helpers/fault-scene.ts';
import { anyPlan, drive, type Plan } from '../helpers/ledger-apps.ts';
import { type LedgerUpstream, ledgerUpstream } from '../helpers/ledger-upstream.ts';
import { eventually, token } from '../helpers/stack.ts';

const WORKERS = 4;
/** A process may start, on a machine that runs many tests. */
const STARTS_MS = 60_000;
const EVENTS: Plan = { protocol: 'http/1.1', up: 0, down: 40_000, framing: 'chunked', pace: 20 };

interface Member {
	readonly service: LedgerUpstream;
	/** Starts it, and waits until the hub has it. @param shell see CliOptions */
	start(shell?: string): Promise<CliProcess>;
}

async function member(
	context: TestContext,
	{ port, hub, log, ledger }: Scene,
	id: string,
	workers = WORKERS,
): Promise<Member> {
	const service = await ledgerUpstream(context, ledger);
	const env = { SLIME_AGENT_TOKEN: await token(), SLIME_AGENT_REPORT_HARDWARE: 'false' };
	const to = [
		'--hub',
		`127.0.0.1:${port}`,
		'--upstream',
		service.address,
		'--agentID',
		id,
		'--numWorker',
		`${workers}`,
	];
	return {
		service,
		start: async (shell) => {
			const joins = () => log.lines.filter(({ msg, agent }) => msg === 'agent connected' && agent === id).length;
			const before = joins();
			const started = startCli(['agent', 'run', ...to], { env, ...(shell !== undefined && { shell }) });
			context.after(async () => {
				started.child.kill('SIGKILL');
				await started.exit;
			});
			await eventually('the hub has it', () => joins() > before && hub.agents > 0, STARTS_MS);
			return started;
		},
	};
}

async function settled({ settle, ledger }: Scene, members: readonly Member[]): Promise<void> {
	await eventually('the upstreams are idle', () => members.every(({ service }) => service.active === 0));
	for (const { service } of members) ledger.limited(service.peak, WORKERS);
	await settle();
}

test('an agent that is killed under load loses what it had begun and nothing else, and its successor serves at once', async (context) => {
	const whole = await scene(context, { upstreams: [] });
	const { hub, apps, below, ledger } = whole;
	const [killed, other] = [await member(context, whole, 'killed'), await member(context, whole, 'other')];
	const first = await killed.start();
	await other.start();
	let over = false;
	const driven = drive({ apps, width: 12, next: () => anyPlan(below), goesOn: () => !over });
	await eventually('both work', () => killed.service.active > 1 && other.service.active > 1 && ledger.size > 60);
	first.child.kill('SIGKILL');
	await first.exit;
	await eventually('the hub noticed', () => hub.agents === 1);
	const { agent_lost = 0, cut = 0 } = ledger.outcomes;
	assert.ok(agent_lost + cut <= WORKERS, 'more was lost than it had');
	await killed.start();
	killed.service.resetPeak();
	await eventually('it works again', () => killed.service.peak > 0);
	over = true;
	await driven;
	await settled(whole, [killed, other]);
});

test('an agent process that is stopped is given up by its hub, and taken back when it goes on', async (context) => {
	const whole = await scene(context, { upstreams: [], hub: { heartbeat: { interval: 300, timeout: 5000 } } });
	const { hub, apps, ledger, log } = whole;
	const only = await member(context, whole, 'stopped');
	const { child } = await only.start();
	const running = apps.request(EVENTS);
	await eventually('it runs', () => ledger.receivedOf(0) > 0);
	child.kill('SIGSTOP');
	assert.equal(await running, 'cut');
	assert.ok(log.has('the agent does not answer any more'));
	assert.equal(hub.agents, 0);
	const waiting = apps.request({ ...EVENTS, down: 1000 });
	await eventually('one waits for it', () => hub.waiting === 1);
	child.kill('SIGCONT');
	assert.equal(await waiting, 'whole');
	await settled(whole, [only]);
});

for (const [who, others] of [
	['one of two agents is', 1],
	['the only agent is', 0],
] as const) {
	test(`${who} drained and started again under load, twice: no app that waits sees an error`, async (context) => {
		const whole = await scene(context, { upstreams: [] });
		const { apps, below, ledger } = whole;
		const members = [await member(context, whole, 'restarted')];
		if (others > 0) members.push(await member(context, whole, 'steady'));
		const [restarted, steady] = members;
		assert.ok(restarted);
		let running = await restarted.start();
		await steady?.start();
		let over = false;
		const driven = drive({ apps, width: 10, next: () => anyPlan(below), goesOn: () => !over });
		for (let round = 0; round < 2; round++) {
			await eventually('it works', () => restarted.service.active > 0);
			running.child.kill('SIGTERM');
			const { code, stderr } = await running.exit;
			assert.equal(code, 0, stderr);
			running = await restarted.start();
		}
		await eventually('it works again', () => restarted.service.active > 0);
		over = true;
		await driven;
		await settled(whole, members);
		assertNoErrors(ledger);
	});
}

test('an agent that is out of file descriptors finishes its streams, and serves again when some are free', async (context) => {
	const whole = await scene(context, { upstreams: [] });
	const { hub, apps, ledger } = whole;
	const only = await member(context, whole, 'crowded', 40);
	const { child } = await only.start();
	const running = Array.from({ length: 8 }, () => apps.request(EVENTS));
	await eventually('they run', () => only.service.active === 8);
	allowDescriptors(child.pid, 2);
	const more = await Promise.all(Array.from({ length: 12 }, () => apps.request({ ...EVENTS, down: 1000 })));
	const refused = more.filter((outcome) => outcome === 'upstream_unreachable').length;
	assert.ok(
		refused > 0 && more.every((outcome) => outcome === 'whole' || outcome === 'upstream_unreachable'),
		`${more}`,
	);
	assert.deepEqual(new Set(await Promise.all(running)), new Set(['whole']));
	assert.equal(hub.agents, 1);
	const later = await Promise.all(Array.from({ length: 8 }, () => apps.request({ ...EVENTS, down: 1000 })));
	assert.deepEqual(new Set(later), new Set(['whole']));
	assert.equal(child.exitCode, null);
	await eventually('the upstream is idle', () => only.service.active === 0);
	await whole.settle();
	assert.equal(ledger.outcomes.upstream_unreachable, refused);
});

test('an agent whose log is on a full disk, and that has no stderr, goes on serving', async (context) => {
	const whole = await scene(context, { upstreams: [] });
	const only = await member(context, whole, 'silent');
	const { child, exit } = await only.start(FULL_AND_CLOSED);
	for (let i = 0; i < 5; i++) assert.equal(await whole.apps.request({ ...EVENTS, down: 1000 }), 'whole');
	child.kill('SIGTERM');
	assert.equal((await exit).code, 0);
	await settled(whole, [only]);
});

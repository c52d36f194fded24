/** Health checks of upstreams: what they ask, when, what they may not cost, and what follows from them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HubStatus, UpstreamStatus } from '../../src/admin/status.ts';
import { createAgent } from '../../src/index.ts';
import { RestartableUpstream, UPSTREAM_KINDS } from '../helpers/restartable-upstream.ts';
import {
	ask,
	assertError,
	eventually,
	LogSink,
	rawUpstream,
	type Stack,
	stack,
	token,
	WAITS,
} from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const CHECK = { path: '/health?deep', interval: 50, unhealthyThreshold: 2, healthyThreshold: 2 };

/** A service that is well or not, as `status` says, and answers everything else with its name. */
async function service(t: Parameters<typeof stack>[0], kind?: (typeof UPSTREAM_KINDS)[number]) {
	const health = { status: 200 };
	const made = await RestartableUpstream.open(t, kind, (req, res) => {
		if (req.url === '/health?deep') res.statusCode = health.status;
		res.end('served');
	});
	return Object.assign(made, { health });
}

async function upstreamsOf({ hub }: Stack): Promise<UpstreamStatus[]> {
	const { agents } = JSON.parse((await ask(hub.adminPort ?? 0, '/api/status')).body) as HubStatus;
	return agents.map(({ upstream }) => upstream);
}

const knows = ({ log }: Stack, what: string) => eventually(what, () => log.has(`the agent's upstream is ${what}`));

for (const kind of UPSTREAM_KINDS) {
	test(
		`an agent whose upstream fails its health checks is passed over until it passes them: ${kind}`,
		LIMIT,
		async (t) => {
			const ill = await service(t, kind);
			const well = await RestartableUpstream.open(t, 'http', (_req, res) => void res.end('other'));
			const scene = await stack(t, [], { hub: { adminPort: 0 } });
			await scene.join(ill.address, { healthCheck: CHECK, ca: ill.ca, agentID: 'a' });
			await scene.join(well.address, { agentID: 'b' });
			ill.health.status = 503;
			await knows(scene, 'failing');
			const [told, fine] = await upstreamsOf(scene);
			assert.ok(told?.state === 'failing', told?.state);
			assert.deepEqual([told.reason, told.message], ['check_failed', 'health check: answered 503']);
			assert.deepEqual(fine, { state: 'up' });
			for (let i = 0; i < 4; i++) assert.equal((await ask(scene.port)).body, 'other');
			ill.health.status = 301;
			await knows(scene, 'up');
			const answers = await Promise.all([ask(scene.port), ask(scene.port)]);
			assert.deepEqual(answers.map(({ body }) => body).sort(), ['other', 'served']);
		},
	);
}

test('one that fails its health checks is asked again long before a check would be due', LIMIT, async (t) => {
	const ill = await service(t);
	ill.health.status = 503;
	const healthCheck = { ...CHECK, interval: 3_600_000, unhealthyThreshold: 1 };
	const scene = await stack(t, [ill.address], { agent: { healthCheck } });
	await knows(scene, 'failing');
	ill.health.status = 200;
	await knows(scene, 'up');
});

test('one that fails its health checks is used all the same while there is nobody else', LIMIT, async (t) => {
	const ill = await service(t);
	ill.health.status = 500;
	const scene = await stack(t, [ill.address], { agent: { healthCheck: CHECK } });
	await knows(scene, 'failing');
	assert.equal((await ask(scene.port)).body, 'served');
});

test('with setAsideLast it is not: a request that does not wait is told why', LIMIT, async (t) => {
	const ill = await service(t);
	ill.health.status = 500;
	const queue = { mode: 'header', max: 8, timeout: 60_000, maxBytes: 1024, waitForUpstream: true } as const;
	const scene = await stack(t, [ill.address], { agent: { healthCheck: CHECK }, hub: { setAsideLast: true, queue } });
	await knows(scene, 'failing');
	const answer = await ask(scene.port);
	assertError(answer, 502, 'upstream_unreachable');
	assert.match(answer.body, /The upstream is not well: health check: answered 500\./);
	const waiting = ask(scene.port, '/', { headers: WAITS });
	await eventually('it waits', () => scene.hub.waiting === 1);
	ill.health.status = 204;
	assert.equal((await waiting).body, 'served');
});

test('a check that fails once, or passes once, changes nothing', LIMIT, async (t) => {
	let checks = 0;
	/** Whether each check passes, from the first on; the last two hold for all that follow. */
	const results = [true, false, true, false, true, true, false, false, true, false, true, false];
	const upstream = await RestartableUpstream.open(t, 'http', (_req, res) => {
		res.statusCode = results[Math.min(checks++, results.length - 1)] ? 200 : 503;
		res.end();
	});
	const log = new LogSink();
	const scene = await stack(t);
	await scene.join(upstream.address, { healthCheck: { ...CHECK, interval: 50 }, logger: log.logger });
	await eventually('all were made', () => checks > results.length);
	const said = log.lines.map(({ msg }) => msg).filter((msg) => String(msg).startsWith('the upstream is'));
	assert.deepEqual(said, ['the upstream is failing: health check: answered 503']);
});

test(
	'a check asks for its path and no other, with the credentials for the upstream, outside of its prefix',
	LIMIT,
	async (t) => {
		const seen: unknown[] = [];
		const upstream = await RestartableUpstream.open(t, 'http', (req, res) => {
			seen.push([req.method, req.url, req.headers.authorization, req.headers['user-agent']]);
			res.end();
		});
		const scene = await stack(t, [`${upstream.address}/v1`], {
			agent: { healthCheck: CHECK, upstreamToken: 'for it' },
		});
		await eventually('it was checked', () => seen.length > 0);
		assert.deepEqual(seen[0], ['GET', '/health?deep', 'Bearer for it', 'slime-health-check']);
		assert.equal(scene.hub.leased, 0);
	},
);

test('while all workers are busy nothing is checked, and a check takes no worker', LIMIT, async (t) => {
	const held: Array<() => void> = [];
	let checks = 0;
	const upstream = await RestartableUpstream.open(t, 'http', (req, res) => {
		if (req.url === CHECK.path) {
			checks++;
			// The first is held up, and the upstream's only worker is free all the same.
			if (checks === 1) held.push(() => res.end());
			else res.end();
		} else held.push(() => res.end('served'));
	});
	const scene = await stack(t, [upstream.address], { agent: { healthCheck: { ...CHECK, timeout: 30_000 } } });
	await eventually('it is checked', () => checks === 1);
	const answer = ask(scene.port);
	await eventually('the request is there, beside the check', () => held.length === 2);
	held.shift()?.();
	const before = upstream.paths.length;
	await new Promise((resolve) => setTimeout(resolve, 10 * CHECK.interval));
	assert.equal(upstream.paths.length, before, 'it was checked while it was busy');
	held.shift()?.();
	assert.equal((await answer).body, 'served');
	await eventually('it is checked again', () => checks > 1);
});

test('a service that answers nobody else while it works is not taken for ill', LIMIT, async (t) => {
	let release: (() => void) | undefined;
	let silent = false;
	let checks = 0;
	const upstream = await RestartableUpstream.open(t, 'http', (req, res) => {
		if (req.url !== CHECK.path) {
			release = () => res.end('served');
			return;
		}
		checks++;
		if (!silent) res.end();
	});
	const scene = await stack(t, [upstream.address], {
		agent: { healthCheck: { ...CHECK, timeout: 5000, unhealthyThreshold: 1 } },
	});
	silent = true;
	const before = checks;
	await eventually('a check is under way', () => checks > before);
	const answer = ask(scene.port);
	await eventually('it works', () => release !== undefined);
	await eventually('the check was given up', () => upstream.open <= 1);
	silent = false;
	release?.();
	assert.equal((await answer).body, 'served');
	const after = checks;
	await eventually('it was checked again', () => checks > after);
	assert.ok(!scene.log.has('the upstream is'));
});

test('a check that is not answered in time fails', LIMIT, async (t) => {
	const upstream = await rawUpstream(t, () => undefined);
	const scene = await stack(t, [upstream], {
		agent: { healthCheck: { ...CHECK, timeout: 60 } },
		hub: { adminPort: 0 },
	});
	await knows(scene, 'failing');
	const [told] = await upstreamsOf(scene);
	assert.ok(told?.state === 'failing');
	assert.deepEqual([told.reason, told.message], ['check_timeout', 'health check: no answer in 60 ms']);
});

test('an answer without end passes, and is not read for ever', LIMIT, async (t) => {
	let closed = 0;
	const upstream = await RestartableUpstream.open(t, 'http', (_req, res) => {
		const more = () => {
			while (!res.destroyed && (res as import('node:http').ServerResponse).write('x'.repeat(16_384)));
		};
		res.on('drain', more);
		res.on('close', () => closed++);
		more();
	});
	const scene = await stack(t, [upstream.address], { agent: { healthCheck: { ...CHECK, timeout: 20_000 } } });
	await eventually('two checks have ended', () => closed >= 2);
	assert.ok(!scene.log.has('the upstream is'));
});

test('where connections are refused the first failed check is enough, and the first that passes', LIMIT, async (t) => {
	const mortal = await service(t);
	const scene = await stack(t, [mortal.address], {
		agent: { healthCheck: { ...CHECK, unhealthyThreshold: 1000, healthyThreshold: 1 } },
	});
	await mortal.stop();
	await knows(scene, 'down');
	assertError(await ask(scene.port), 502, 'upstream_unreachable');
	await mortal.start();
	await knows(scene, 'up');
	assert.equal((await ask(scene.port)).body, 'served');
});

test('an upstream that takes connections again but fails its checks is failing, not down', LIMIT, async (t) => {
	const mortal = await service(t);
	const scene = await stack(t, [mortal.address], { agent: { healthCheck: CHECK } });
	await mortal.stop();
	await knows(scene, 'down');
	mortal.health.status = 503;
	await mortal.start();
	await knows(scene, 'failing');
	assert.equal((await ask(scene.port)).body, 'served');
});

test('an agent that waits for its upstream joins when it passes its health checks', LIMIT, async (t) => {
	const slow = await service(t);
	slow.health.status = 503;
	const scene = await stack(t);
	const log = new LogSink();
	const agent = await createAgent({
		token: await token(),
		hubs: [scene.hub.url],
		upstreams: [slow.address],
		agentID: 'patient',
		reportHardware: false,
		waitForUpstream: true,
		healthCheck: CHECK,
		logger: log.logger,
	});
	t.after(() => agent.close());
	await eventually('it was checked', () => log.has('the upstream is failing: health check: answered 503'));
	assert.ok(!log.has('connected'));
	slow.health.status = 200;
	await eventually('it joined', () => scene.hub.agents === 1);
});

/** Tokens that expire while their agents are connected. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { createAgent, createTokens, type GivenHubOptions } from '../../src/index.ts';
import { Arrivals, ask, assertError, eventually, LogSink, SECRET, stack, upstream } from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const HOUR = 3_600_000;
/** What clocks may differ by. */
const TOLERANCE = 60_000;

/** A token that is let in for so many milliseconds more. */
async function tokenFor(ms: number): Promise<string> {
	const tokens = await createTokens({ secret: SECRET, now: () => Date.now() - HOUR });
	return tokens.issue({ name: 'short', ageMs: HOUR - TOLERANCE + ms });
}

async function scene(t: TestContext, hub: Partial<GivenHubOptions>) {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const whole = await stack(t, [], { hub });
	const log = new LogSink();
	const token = await tokenFor(10_000);
	const agent = await createAgent({
		token,
		hubs: [whole.hub.url],
		upstreams: [service.address],
		agentID: 'a',
		numWorker: 2,
		reportHardware: false,
		logger: log.logger,
	});
	t.after(() => agent.close());
	await eventually('it joined', () => whole.hub.agents === 1);
	const running = ask(whole.port);
	const [, res] = await arrivals.next();
	await eventually('the agent is told', () => log.has('the token of this agent has expired'));
	await eventually('and is not let in again', () => log.has('answered 401: The token has expired'));
	return { ...whole, service, running, res, agent, agentLog: log };
}

describe('tokens that expire', { concurrency: true }, () => {
	test('an agent whose token expires finishes its requests and gets no new ones', LIMIT, async (t) => {
		const { port, hub, log, running, res, service } = await scene(t, {});
		assert.ok(log.has("the agent's token has expired: it gets no new requests"));
		assertError(await ask(port), 503, 'no_agent');
		assert.equal(service.active, 1);
		res.end('whole');
		const { status, body } = await running;
		assert.deepEqual([status, body], [200, 'whole']);
		await eventually('the tunnel is closed', () => hub.agents === 0);
	});

	test('with tokenExpiry close its requests are cut', LIMIT, async (t) => {
		const { port, hub, log, running, service } = await scene(t, { tokenExpiry: 'close' });
		assert.ok(log.has("the agent's token has expired: its tunnel is closed"));
		assertError(await running, 502, 'agent_lost');
		await eventually('the upstream has stopped', () => service.active === 0);
		await eventually('the tunnel is closed', () => hub.agents === 0);
		assertError(await ask(port), 503, 'no_agent');
	});
});

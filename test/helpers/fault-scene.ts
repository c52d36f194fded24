/** A hub, agents behind fault proxies, and a ledger's load on them: what the tests of failures share. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Agent, GivenHubOptions } from '../../src/index.ts';
import { FaultProxy, type Line } from './fault-proxy.ts';
import { Ledger } from './ledger.ts';
import { Apps } from './ledger-apps.ts';
import { type LedgerUpstream, ledgerUpstream } from './ledger-upstream.ts';
import { seeded } from './seeded.ts';
import { type AgentWish, eventually, type Stack, stack } from './stack.ts';

export interface Site {
	readonly proxy: FaultProxy;
	readonly service: LedgerUpstream;
	readonly agent: Agent;
	readonly numWorker: number;
}

export interface Scene extends Stack {
	readonly ledger: Ledger;
	readonly apps: Apps;
	readonly sites: Site[];
	readonly below: (below: number) => number;
	/** One more agent, behind a proxy of its own and with an upstream of its own. */
	add(protocol?: 'http/1.1' | 'h2c', wish?: AgentWish): Promise<Site>;
	/** No request is left anywhere, and nothing happened that must not. */
	settle(): Promise<void>;
}

export interface SceneOptions {
	readonly hub?: Partial<GivenHubOptions>;
	readonly agent?: AgentWish;
	/** An agent for each. */
	readonly upstreams?: ReadonlyArray<'http/1.1' | 'h2c'>;
	readonly line?: Line;
	/** False for apps that do not wait for a worker. */
	readonly waits?: boolean;
}

/** Under SLIME_TEST_SEED, which is printed. */
export async function scene(context: TestContext, options: SceneOptions = {}): Promise<Scene> {
	const seed = Number(process.env.SLIME_TEST_SEED ?? Date.now() % 1_000_000);
	context.diagnostic(`SLIME_TEST_SEED=${seed}`);
	const whole = await stack(context, [], { hub: options.hub });
	const ledger = new Ledger();
	const headers: Record<string, string> = options.waits === false ? {} : { 'slime-block': '1' };
	const apps = new Apps({ port: whole.port, ledger, headers });
	context.after(() => apps.close());
	const sites: Site[] = [];
	const add: Scene['add'] = async (protocol = 'http/1.1', wish = {}) => {
		const service = await ledgerUpstream(context, ledger, protocol);
		const proxy = await FaultProxy.open(context, whole.port, { seed: seed + sites.length, line: options.line });
		const given = { numWorker: 4, ...options.agent, ...wish };
		const agent = await whole.join(service.address, { hubs: [proxy.url], ...given });
		const site = { proxy, service, agent, numWorker: given.numWorker };
		sites.push(site);
		return site;
	};
	for (const protocol of options.upstreams ?? ['http/1.1']) await add(protocol);
	const { hub } = whole;
	const settle = async () => {
		await eventually(
			'no request is left',
			() => hub.leased === 0 && hub.waiting === 0 && sites.every(({ service }) => service.active === 0),
		);
		for (const { service, numWorker } of sites) ledger.limited(service.peak, numWorker);
		context.diagnostic(`${ledger.size} requests: ${JSON.stringify(ledger.outcomes)}`);
		assert.deepEqual(ledger.violations, []);
		assert.equal(ledger.outcomes.open, undefined);
	};
	return { ...whole, ledger, apps, sites, below: seeded(seed), add, settle };
}

/** Requests that are not refused: each came through whole, or its app left. */
export function assertNoErrors(ledger: Ledger): void {
	const { whole, left, ...others } = ledger.outcomes;
	assert.deepEqual(others, {});
	assert.ok((whole ?? 0) > 0, 'nothing was served');
}

/** An agent as a user starts it: for each upstream an identity, its slots, and a tunnel to every hub. Puts parts together. */
import type { SecureContext } from 'node:tls';
import { WindowBudget } from '../h2/window.ts';
import { UsageError } from '../shared/errors.ts';
import { version } from '../shared/version.ts';
import { within } from '../shared/within.ts';
import { clientSecureContext, loadClientTls } from '../tls/contexts.ts';
import { parsePin } from '../tls/pins.ts';
import { Reloading } from '../tls/reloading.ts';
import { parseHubAddress } from '../tunnel/address.ts';
import { describeMachine, type MachineDescription } from './hardware.ts';
import { HubTunnels } from './hub-tunnels.ts';
import { agentIdFor, loadAgentId } from './identity.ts';
import { AGENT_DEFAULTS, type AgentOptions, type GivenAgentOptions } from './options.ts';
import { Slots } from './slots.ts';
import { parseUpstream, type Upstream } from './upstream.ts';
import { accessTo } from './upstream-access.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { UpstreamHealth } from './upstream-health.ts';

export interface Agent {
	/** The ids under which the upstreams are known, in their order. */
	readonly ids: readonly string[];
	/** Tunnels that are up, of those that there are to be: one from each upstream to each hub. */
	readonly connected: number;
	readonly tunnels: number;
	/** Workers that hold a request, of all workers of all upstreams. */
	readonly busy: number;
	readonly workers: number;
	/** Reads the certificates again, for the next connections; what cannot be used changes nothing and is logged. */
	reload(): void;
	/** Ends gracefully: no new requests, those under way may finish until the drain timeout. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
}

/** Growth of the receive windows of all tunnels together. */
const PROCESS_WINDOWS = 256 * 1024 * 1024;

/** What the agents of one process have in common. */
export interface Common {
	readonly hardware: MachineDescription | undefined;
	readonly windows: WindowBudget;
}

/** @param reportHardware whether the machine is to be described, which takes a while */
export async function commonOf(reportHardware: boolean): Promise<Common> {
	const hardware = reportHardware ? await describeMachine() : undefined;
	return { hardware, windows: new WindowBudget(PROCESS_WINDOWS) };
}

/** An agent that others can take the place of while it runs. */
export interface Unit extends Agent {
	/** Of each upstream. */
	readonly slots: readonly Slots[];
	/** Begins to connect. Once. */
	start(): void;
	/**
	 * It makes no more tunnels. Those to hubs that are not among the others' end when their requests are done; each of the rest when the
	 * other is connected there, and `leave` was called.
	 */
	yieldTo(hubs: readonly string[]): void;
	/** @param hub as it is in the options */
	leave(hub: string): void;
	/** Resolves when it has left every hub, and is closed. */
	readonly left: Promise<void>;
	/** As `drain`, with a time limit in milliseconds. */
	drainWithin(timeout: number): Promise<void>;
}

/** Starts connecting and returns; hubs may come and go. @throws UsageError for addresses and files that are wrong */
export async function createAgent(given: GivenAgentOptions): Promise<Agent> {
	const unit = await buildAgent(given);
	unit.start();
	return unit;
}

/**
 * All but the connecting.
 * @param before whose place it takes; with the same upstream it has the same workers
 * @throws UsageError for addresses and files that are wrong
 */
export async function buildAgent(
	given: GivenAgentOptions,
	shared?: Common,
	before?: { readonly unit: Unit; readonly sameUpstream: boolean },
): Promise<Unit> {
	const healthCheck = { ...AGENT_DEFAULTS.healthCheck, ...given.healthCheck };
	const options: AgentOptions = { ...AGENT_DEFAULTS, ...given, healthCheck };
	const { logger } = options;
	const hubs = options.hubs.map(parseHubAddress);
	const upstreams = options.upstreams.map(parseUpstream);
	if (hubs.length === 0) throw new UsageError('an agent needs a hub: --hub');
	if (upstreams.length === 0) throw new UsageError('an agent needs an upstream: --upstream');
	const pins = options.pin?.map(parsePin);
	if (pins && !hubs.every((hub) => hub.secure)) throw new UsageError('a pin needs hubs with https:// addresses');
	if (options.serverName !== undefined && !hubs.some((hub) => hub.secure)) {
		throw new UsageError('a serverName needs a hub with an https:// address');
	}
	const stored = await loadAgentId({ agentID: options.agentID, stateDir: options.stateDir });
	const { id } = stored;
	if (!stored.persistent) {
		const { reason } = stored;
		const remedy = 'name a folder with --stateDir that can be written, or the id itself with --agentID';
		logger.warn({ agent: id, reason }, `the agent will have another id next time: ${remedy}`);
	}
	const { numWorker, scopes, labels, reportHardware } = options;
	const { hardware, windows } = shared ?? (await commonOf(reportHardware));
	const told = {
		version,
		numWorker,
		...(scopes && { scopes }),
		...(labels && { labels }),
		...(reportHardware && hardware && { hardware }),
	};
	const tls = clientCertificates(options, hubs.some((hub) => hub.secure) || upstreams.some(isHttps));

	const ids: string[] = [];
	const tunnels: HubTunnels[] = [];
	/** By the hubs as they are in the options. */
	const byHub = new Map<string, HubTunnels[]>(options.hubs.map((hub) => [hub, []]));
	const starts: (() => void)[] = [];
	const clients: UpstreamClient[] = [];
	const allSlots: Slots[] = [];
	const healths: UpstreamHealth[] = [];
	for (const [index, upstream] of upstreams.entries()) {
		const agentId = agentIdFor(id, index);
		ids.push(agentId);
		const ownLogger = logger.child({ agent: agentId });
		const kept = before?.sameUpstream ? before.unit.slots[index] : undefined;
		const slots = kept ?? new Slots(numWorker);
		allSlots.push(slots);
		const { client, connect, authorized } = accessTo(upstream, options, () => tls.current.forUpstreams);
		clients.push(client);
		const health = new UpstreamHealth({
			client,
			connect,
			check: healthCheck,
			busy: () => slots.free === 0,
			waits: options.waitForUpstream,
			logger: ownLogger.child({ upstream: upstream.label }),
		});
		healths.push(health);
		const { tracing = null } = options;
		const worker = {
			upstream: client,
			prefix: upstream.prefix,
			ownAuthorization: authorized,
			tracing,
			logger: ownLogger,
		};
		const joining: HubTunnels[] = [];
		for (const [place, hub] of hubs.entries()) {
			const name = options.hubs[place] ?? '';
			const toHub = new HubTunnels({
				hub,
				resolveInterval: options.resolveInterval,
				token: options.token,
				agentId,
				info: told,
				secureContext: () => tls.current.forHubs,
				serverName: options.serverName,
				pins,
				transport: options.transport,
				connectTimeout: options.connectTimeout,
				slots,
				worker,
				health,
				heartbeat: options.heartbeat,
				windows,
				logger: ownLogger,
				up: before && (() => before.unit.leave(name)),
			});
			byHub.get(name)?.push(toHub);
			tunnels.push(toHub);
			joining.push(toHub);
		}
		starts.push(() => {
			slots.resize(numWorker);
			ownLogger.info({ upstream: upstream.label, numWorker, hubs: hubs.map((hub) => hub.label) }, 'agent started');
			whenUp(health, () => {
				for (const toHub of joining) toHub.start();
			});
			health.start();
		});
	}

	const close = async () => {
		tls.close();
		for (const toHub of tunnels) toHub.destroy();
		for (const health of healths) health.close();
		for (const client of clients) client.close();
	};
	let markLeft: () => void = () => undefined;
	const left = new Promise<void>((resolve) => {
		markLeft = resolve;
	});
	const leave = (hub: string) => {
		// Whose place this one was to take, and may not have been able to.
		before?.unit.leave(hub);
		const leaving = byHub.get(hub) ?? [];
		if (!byHub.delete(hub)) return;
		void Promise.all(leaving.map((toHub) => toHub.drain())).then(async () => {
			remaining -= leaving.length;
			if (remaining > 0) return;
			await close();
			markLeft();
		});
	};
	let remaining = tunnels.length;
	const drainWithin = async (timeout: number) => {
		for (const health of healths) health.close();
		const drained = Promise.all(tunnels.map((toHub) => toHub.drain()));
		if (!(await within(timeout, drained))) logger.warn('the drain timeout has passed: requests under way are cut');
		await close();
	};
	return {
		ids,
		slots: allSlots,
		start: () => {
			for (const start of starts) start();
		},
		yieldTo: (others) => {
			for (const toHub of tunnels) toHub.retire();
			for (const hub of [...byHub.keys()]) if (!others.includes(hub)) leave(hub);
		},
		leave,
		left,
		drainWithin,
		get connected() {
			return tunnels.reduce((sum, { connected }) => sum + connected, 0);
		},
		get tunnels() {
			return tunnels.reduce((sum, { wanted }) => sum + wanted, 0);
		},
		get busy() {
			return allSlots.reduce((sum, { capacity, free }) => sum + capacity - free, 0);
		},
		get workers() {
			return allSlots.reduce((sum, { capacity }) => sum + capacity, 0);
		},
		reload: () => tls.reload(),
		drain: () => drainWithin(options.drainTimeout),
		close,
	};
}

/** Calls back once: at once, unless the upstream is to be waited for. */
function whenUp(health: UpstreamHealth, up: () => void): void {
	if (health.fault === null) {
		up();
		return;
	}
	const deafen = health.listen(() => {
		if (health.fault !== null) return;
		deafen();
		up();
	});
}

interface ClientContexts {
	readonly forHubs?: SecureContext;
	/** The trusted roots alone: the agent's certificate is for hubs. */
	readonly forUpstreams?: SecureContext;
}

/** @throws UsageError for files that are wrong, needed or not */
function clientCertificates({ ca, tlsCert, tlsKey, logger }: AgentOptions, needed: boolean): Reloading<ClientContexts> {
	const load = () => loadClientTls({ ca, cert: tlsCert, key: tlsKey });
	if (!needed) {
		load();
		return new Reloading({ files: [], load: () => ({}), logger });
	}
	return new Reloading<ClientContexts>({
		files: [ca, tlsCert, tlsKey].filter((file) => file !== undefined),
		load: () => {
			const tls = load();
			return { forHubs: clientSecureContext(tls), forUpstreams: clientSecureContext({ ca: tls.ca }) };
		},
		logger,
	});
}

function isHttps({ protocol }: Upstream): boolean {
	return protocol === 'https';
}

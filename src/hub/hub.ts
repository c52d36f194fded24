/** A hub: puts its parts together and takes them through their life. */
import type { AddressInfo } from 'node:net';
import { AdminAccess } from '../admin/access.ts';
import { apiRoutes, type RevokeOutcome } from '../admin/api.ts';
import { EventLoopLag } from '../admin/event-loop-lag.ts';
import { metricsRoute } from '../admin/metrics-route.ts';
import { probeRoutes, type Readiness } from '../admin/probes.ts';
import { AdminServer } from '../admin/server.ts';
import { AppAuth } from '../auth/app-auth.ts';
import { type Revocation, Revocations, type RevocationTarget } from '../auth/revocations.ts';
import { createTokens } from '../auth/tokens.ts';
import { AuditLog } from '../shared/audit-log.ts';
import { within } from '../shared/within.ts';
import { Acceptor } from './acceptor.ts';
import { AccessLog } from './access-log.ts';
import { AgentControl } from './agent-control.ts';
import type { AgentLink } from './agent-link.ts';
import { Cors } from './cors.ts';
import { Dispatcher } from './dispatcher.ts';
import type { EndedCounts } from './ended.ts';
import { Gateway } from './gateway.ts';
import { handOver } from './handover.ts';
import { type Bound, Listeners } from './listeners.ts';
import { operationsOf } from './operations.ts';
import { type GivenHubOptions, HUB_DEFAULTS, type HubOptions } from './options.ts';
import { readingsOf } from './readings.ts';
import { Statistics } from './statistics.ts';
import { Upgrades } from './upgrades.ts';

export interface Hub {
	/** Where applications arrive, and agents unless they have an address of their own. */
	readonly address: { readonly host: string; readonly port: number };
	readonly url: string;
	/** Where agents arrive, if not where applications do. */
	readonly agentAddress: { readonly host: string; readonly port: number } | undefined;
	/** What an agent on this machine is given as `--hub`. */
	readonly agentUrl: string;
	/** The admin listener's port; undefined when it is off. */
	readonly adminPort: number | undefined;
	/** Agents that are connected and have said how many workers they have. */
	readonly agents: number;
	/** Workers that those have, all together. */
	readonly slots: number;
	/** Requests that wait for a worker. */
	readonly waiting: number;
	/** Requests that hold a worker. */
	readonly leased: number;
	/** Workers that could take a request now; one that is still stopping after a cancel is neither held nor free. */
	readonly free: number;
	/** Connections that the hub ended for what they did not do, by the phase that they were in. */
	readonly ended: Readonly<EndedCounts>;
	/** Tokens that are not let in, oldest first. */
	readonly revocations: readonly Revocation[];
	/**
	 * Does not let a token in any more, and closes its tunnels; resolves when they are closed and `stateDir` holds it.
	 * @throws UsageError for what no token can be called; SlimeError when it could not be kept, so that it holds until the hub ends
	 */
	revoke(target: RevocationTarget): Promise<RevokeOutcome>;
	/** Reads the certificates and the revocations again, for connections that come from now on; what cannot be used changes nothing and is logged. */
	reload(): void;
	/** Ends gracefully: new work is refused, what is queued or running may finish until the drain timeout. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
}

/** @throws the system's error when a port cannot be listened on, UsageError for options that make no sense */
export async function createHub(given: GivenHubOptions): Promise<Hub> {
	const options: HubOptions = { ...HUB_DEFAULTS, ...given };
	const { logger, queue } = options;
	const appAuth = new AppAuth({ appPassword: options.appPassword, keys: options.keys });
	const tokens = await createTokens({ secret: options.secret, previousSecret: options.previousSecret });
	const revocations = await Revocations.open({
		directory: options.stateDir,
		changed: () => void acceptor.endRevoked(),
		logger,
	});
	const { concurrent, setAsideAfter, setAsideLast, slowStart } = options;
	const dispatcher = new Dispatcher<AgentLink>({
		concurrent,
		queue,
		standing: { setAsideAfter, setAsideLast, slowStart },
	});
	const upgrades = new Upgrades(options.upgrades);
	const statistics = new Statistics();
	const gateway = new Gateway({
		dispatcher,
		upgrades,
		appAuth,
		cors: options.cors ? new Cors(options.cors) : null,
		queue,
		firstByteTimeout: options.firstByteTimeout,
		retryIdempotent: options.retryIdempotent,
		statistics,
		accessLog: AccessLog.of(options.accessLog, logger),
		logger,
	});
	const { clientAuth } = options;
	const audit = options.auditLog ? new AuditLog(logger) : null;
	const control: AgentControl = new AgentControl(() => acceptor.all, logger);
	const acceptor = new Acceptor({
		tokens,
		revocations,
		dispatcher,
		heartbeat: options.heartbeat,
		drained: (key) => control.isDrained(key),
		certificates: options.tls?.clientCa !== undefined && clientAuth !== 'optional',
		bindIdentity: options.bindIdentity,
		statistics,
		audit,
		logger,
	});
	const listeners = new Listeners(options, upgrades, {
		request: (app) => gateway.handle(app),
		tunnel: (req, socket, head) => void acceptor.accept(req, socket, head),
		refused: (error, address) => gateway.refusedConnection(error, address),
	});
	const { listenOn } = options;
	// Whoever gave us the socket gives it to the next hub, or has given it to another one already.
	const handsOver = listenOn?.apps !== undefined;
	gateway.patientUntil = performance.now() + (options.startGrace ?? (handsOver ? START_GRACE : 0));
	let bound: Bound;
	try {
		bound = await listeners.listen();
	} catch (error) {
		revocations.close();
		listeners.close();
		throw error;
	}
	const api = operationsOf({
		gateway,
		dispatcher,
		acceptor,
		control,
		revocations,
		queueMax: queue.max,
		concurrent: options.concurrent,
		logger,
	});
	const access = new AdminAccess(options.adminToken, options.adminHost);
	const agents = () => [...acceptor.links].filter((link) => link.ready).length;
	const readiness = (): Readiness => {
		if (gateway.leaving) return 'draining';
		return options.readyNeedsAgent && agents() === 0 ? 'no agent' : 'ready';
	};
	const lag = new EventLoopLag();
	const readings = readingsOf(statistics, listeners.ended, gateway, dispatcher, acceptor);
	const admin = new AdminServer({
		routes: [...probeRoutes(readiness), metricsRoute(readings, lag.histogram), ...apiRoutes(api)],
		access,
		audit,
		ended: listeners.ended,
		logger,
	});
	let adminPort: number | undefined;
	try {
		const { adminHost: host, adminPort: port, adminRequired: required } = options;
		const at = await admin.open(listenOn?.admin === undefined ? { host, port, required } : { fd: listenOn.admin });
		adminPort = at?.port;
	} catch (error) {
		lag.stop();
		revocations.close();
		listeners.close();
		throw error;
	}
	if (adminPort !== undefined && access.off) {
		logger.warn(
			{ adminHost: options.adminHost },
			'the admin listener is beyond loopback: /metrics and /api are off, for Prometheus, slime status and slime hub revoke, until adminTokenFile is set',
		);
	}
	if (adminPort === undefined) lag.stop();
	warnIfExposed(options, appAuth, bound);

	const movesAgents = bound.agents ? listenOn?.agents !== undefined : handsOver;
	let ending: Promise<void> | undefined;
	const end = async (timeout: number, late?: () => void): Promise<void> => {
		const began = performance.now();
		gateway.leaving = true;
		revocations.close();
		if (handsOver) await handOver({ gateway, listeners, acceptor: movesAgents ? acceptor : null }, timeout);
		gateway.draining = true;
		acceptor.draining = true;
		listeners.close();
		const left = Math.max(0, timeout - (performance.now() - began));
		if (!(await within(left, gateway.idle()))) late?.();
		dispatcher.refuseAll('draining');
		acceptor.retireAll('draining');
		await within(Math.min(timeout, FAREWELL), acceptor.empty());
		acceptor.destroyAll();
		listeners.destroy();
		lag.stop();
		await admin.close();
	};
	const agentHost =
		listenOn?.agents === undefined ? (options.agentHost ?? options.host) : (bound.agents?.address ?? '');
	return {
		address: { host: handsOver ? bound.apps.address : options.host, port: bound.apps.port },
		url: urlOf(bound.apps, options),
		agentAddress: bound.agents ? { host: agentHost, port: bound.agents.port } : undefined,
		agentUrl: urlOf(bound.agents ?? bound.apps, options),
		adminPort,
		get agents() {
			return agents();
		},
		get slots() {
			return dispatcher.stats().slots;
		},
		get waiting() {
			return dispatcher.waiting;
		},
		get leased() {
			return dispatcher.stats().leased;
		},
		get free() {
			const { slots, leased } = dispatcher.stats();
			return slots - leased;
		},
		get ended() {
			return listeners.ended.counts;
		},
		get revocations() {
			return revocations.list;
		},
		revoke: api.revoke,
		reload: () => {
			listeners.reload();
			void revocations.reread();
		},
		drain: () => {
			ending ??= end(options.drainTimeout, () =>
				logger.warn('the drain timeout has passed: requests under way are cut'),
			);
			return ending;
		},
		close: () => end(0),
	};
}

/** For how long after its start a hub that was given its sockets has patience, in milliseconds: agents come back in a second or two. */
const START_GRACE = 10_000;

/** How long agents may take to close after the last request, in milliseconds. */
const FAREWELL = 1000;

function isLoopback(address: string): boolean {
	return address === '::1' || address.startsWith('127.');
}

function warnIfExposed({ tls, logger }: HubOptions, { open }: AppAuth, { apps, agents }: Bound): void {
	const exposed = !isLoopback(apps.address);
	if (exposed && (open || tls === undefined)) {
		logger.warn(
			{ host: apps.address },
			'this hub listens beyond loopback without %s: set it, or let a TLS proxy in front of it do so',
			open ? 'an appPassword or keys' : 'TLS',
		);
	} else if (agents && !isLoopback(agents.address) && tls === undefined) {
		logger.warn(
			{ agentHost: agents.address },
			'this hub listens for agents beyond loopback without TLS: set it, or let a TLS proxy in front of it do so',
		);
	}
}

/** With an address that a client on this machine can connect to. */
function urlOf({ address, port }: AddressInfo, { tls }: HubOptions): string {
	const any = address === '0.0.0.0' || address === '::';
	const host = any ? '127.0.0.1' : address.includes(':') ? `[${address}]` : address;
	return `${tls ? 'https' : 'http'}://${host}:${port}`;
}

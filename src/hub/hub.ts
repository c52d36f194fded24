/** A hub: puts its parts together and takes them through their life. */
import type { AddressInfo } from 'node:net';
import { EventLoopLag } from '../admin/event-loop-lag.ts';
import { metricsRoute } from '../admin/metrics-route.ts';
import { probeRoutes, type Readiness } from '../admin/probes.ts';
import { AdminServer } from '../admin/server.ts';
import { AppAuth } from '../auth/app-auth.ts';
import { createTokens } from '../auth/tokens.ts';
import { within } from '../shared/within.ts';
import { Acceptor } from './acceptor.ts';
import type { AgentLink } from './agent-link.ts';
import { Dispatcher } from './dispatcher.ts';
import { Gateway } from './gateway.ts';
import { type Bound, Listeners } from './listeners.ts';
import { type GivenHubOptions, HUB_DEFAULTS, type HubOptions } from './options.ts';
import { readingsOf } from './readings.ts';
import { Statistics } from './statistics.ts';

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
	/** Requests that wait for a worker. */
	readonly waiting: number;
	/** Requests that hold a worker. */
	readonly leased: number;
	/** Reads the certificates again, for connections that come from now on; what cannot be used changes nothing and is logged. */
	reload(): void;
	/** Ends gracefully: new work is refused, what is queued or running may finish until the drain timeout. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
}

/** @throws the system's error when a port cannot be listened on, UsageError for certificates that cannot be read */
export async function createHub(given: GivenHubOptions): Promise<Hub> {
	const options: HubOptions = { ...HUB_DEFAULTS, ...given };
	const { logger, queue } = options;
	const tokens = await createTokens({ secret: options.secret, previousSecret: options.previousSecret });
	const { concurrent, setAsideAfter, slowStart } = options;
	const dispatcher = new Dispatcher<AgentLink>({ concurrent, queue, standing: { setAsideAfter, slowStart } });
	const statistics = new Statistics();
	const gateway = new Gateway({
		dispatcher,
		appAuth: new AppAuth(options.appPassword),
		queue,
		firstByteTimeout: options.firstByteTimeout,
		statistics,
		logger,
	});
	const { clientAuth } = options;
	const acceptor = new Acceptor({
		tokens,
		dispatcher,
		heartbeat: options.heartbeat,
		certificates: options.tls?.clientCa !== undefined && clientAuth !== 'optional',
		bindIdentity: options.bindIdentity,
		statistics,
		logger,
	});
	const listeners = new Listeners(options, {
		request: (app) => gateway.handle(app),
		tunnel: (req, socket, head) => void acceptor.accept(req, socket, head),
		refused: (error) => statistics.requestEnded(error.status, error.code, 0),
	});
	let bound: Bound;
	try {
		bound = await listeners.listen();
	} catch (error) {
		listeners.close();
		throw error;
	}
	const agents = () => [...acceptor.links].filter((link) => link.ready).length;
	const readiness = (): Readiness => {
		if (gateway.draining) return 'draining';
		return options.readyNeedsAgent && agents() === 0 ? 'no agent' : 'ready';
	};
	const lag = new EventLoopLag();
	const readings = readingsOf(statistics, gateway, dispatcher, acceptor);
	const admin = new AdminServer({
		routes: [...probeRoutes(readiness), metricsRoute(readings, lag.histogram)],
		logger,
	});
	let adminPort: number | undefined;
	try {
		adminPort = await admin.open(options.adminHost, options.adminPort, options.adminRequired);
	} catch (error) {
		lag.stop();
		listeners.close();
		throw error;
	}
	if (adminPort === undefined) lag.stop();
	warnIfExposed(options, bound);

	let ending: Promise<void> | undefined;
	const end = async (timeout: number, late?: () => void): Promise<void> => {
		gateway.draining = true;
		acceptor.draining = true;
		listeners.close();
		if (!(await within(timeout, gateway.idle()))) late?.();
		dispatcher.refuseAll('draining');
		acceptor.retireAll('draining');
		await within(Math.min(timeout, FAREWELL), acceptor.empty());
		acceptor.destroyAll();
		listeners.destroy();
		lag.stop();
		await admin.close();
	};
	return {
		address: { host: options.host, port: bound.apps.port },
		url: urlOf(bound.apps, options),
		agentAddress: bound.agents ? { host: options.agentHost ?? options.host, port: bound.agents.port } : undefined,
		agentUrl: urlOf(bound.agents ?? bound.apps, options),
		adminPort,
		get agents() {
			return agents();
		},
		get waiting() {
			return dispatcher.waiting;
		},
		get leased() {
			return dispatcher.stats().leased;
		},
		reload: () => listeners.reload(),
		drain: () => {
			ending ??= end(options.drainTimeout, () =>
				logger.warn('the drain timeout has passed: requests under way are cut'),
			);
			return ending;
		},
		close: () => end(0),
	};
}

/** How long agents may take to close after the last request, in milliseconds. */
const FAREWELL = 1000;

function isLoopback(address: string): boolean {
	return address === '::1' || address.startsWith('127.');
}

function warnIfExposed({ appPassword, tls, logger }: HubOptions, { apps, agents }: Bound): void {
	const exposed = !isLoopback(apps.address);
	if (exposed && (appPassword === undefined || tls === undefined)) {
		logger.warn(
			{ host: apps.address },
			'this hub listens beyond loopback without %s: set it, or let a TLS proxy in front of it do so',
			appPassword === undefined ? 'an appPassword' : 'TLS',
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

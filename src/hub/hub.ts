/** A hub: puts its parts together and takes them through their life. */

import { AdminServer } from '../admin/server.ts';
import { AppAuth } from '../auth/app-auth.ts';
import { createTokens } from '../auth/tokens.ts';
import { within } from '../shared/within.ts';
import { Acceptor } from './acceptor.ts';
import type { AgentLink } from './agent-link.ts';
import { Dispatcher } from './dispatcher.ts';
import { Gateway } from './gateway.ts';
import { Listener } from './listener.ts';
import { type GivenHubOptions, HUB_DEFAULTS, type HubOptions } from './options.ts';
import { Upgrades } from './upgrades.ts';

export interface Hub {
	/** Where applications and agents arrive. */
	readonly address: { readonly host: string; readonly port: number };
	readonly url: string;
	/** The admin listener's port; undefined when it is off. */
	readonly adminPort: number | undefined;
	/** Agents that are connected and have said how many workers they have. */
	readonly agents: number;
	/** Requests that wait for a worker. */
	readonly waiting: number;
	/** Requests that hold a worker. */
	readonly leased: number;
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
	const dispatcher = new Dispatcher<AgentLink>({ concurrent: options.concurrent, queue });
	const upgrades = new Upgrades(options.upgrades);
	const gateway = new Gateway({
		dispatcher,
		upgrades,
		appAuth: new AppAuth(options.appPassword),
		queue,
		firstByteTimeout: options.firstByteTimeout,
		logger,
	});
	const acceptor = new Acceptor({
		tokens,
		dispatcher,
		heartbeat: options.heartbeat,
		certificates: options.tls?.clientCa !== undefined,
		logger,
	});
	const listener = new Listener(
		{ ...options, upgrades },
		{
			request: (app) => gateway.handle(app),
			tunnel: (req, socket, head) => void acceptor.accept(req, socket, head),
		},
	);
	const bound = await listener.listen(options.host, options.port);
	const admin = new AdminServer({ ready: () => !gateway.draining, logger });
	let adminPort: number | undefined;
	try {
		adminPort = await admin.open(options.adminHost, options.adminPort, options.adminRequired);
	} catch (error) {
		listener.close();
		throw error;
	}
	const exposed = !isLoopback(bound.address);
	if (exposed && (options.appPassword === undefined || options.tls === undefined)) {
		logger.warn(
			{ host: bound.address },
			'this hub listens beyond loopback without %s: set it, or let a TLS proxy in front of it do so',
			options.appPassword === undefined ? 'an appPassword' : 'TLS',
		);
	}

	let ending: Promise<void> | undefined;
	const end = async (timeout: number): Promise<void> => {
		gateway.draining = true;
		acceptor.draining = true;
		listener.close();
		await within(timeout, gateway.idle());
		dispatcher.refuseAll('draining');
		acceptor.retireAll('draining');
		await within(Math.min(timeout, FAREWELL), acceptor.empty());
		acceptor.destroyAll();
		listener.destroy();
		await admin.close();
	};
	return {
		address: { host: options.host, port: bound.port },
		url: `${options.tls ? 'https' : 'http'}://${reachable(bound.address)}:${bound.port}`,
		adminPort,
		get agents() {
			return [...acceptor.links].filter((link) => link.ready).length;
		},
		get waiting() {
			return dispatcher.waiting;
		},
		get leased() {
			return dispatcher.stats().leased;
		},
		drain: () => {
			ending ??= end(options.drainTimeout);
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

/** An address that a client on this machine can connect to. */
function reachable(address: string): string {
	if (address === '0.0.0.0' || address === '::') return '127.0.0.1';
	return address.includes(':') ? `[${address}]` : address;
}

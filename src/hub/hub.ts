/** A hub: puts its parts together and takes them through their life. */
import { isDeepStrictEqual } from 'node:util';
import { apiRoutes, type RevokeOutcome } from '../admin/api.ts';
import { metricsRoute } from '../admin/metrics-route.ts';
import { probeRoutes, type Readiness } from '../admin/probes.ts';
import { AppAuth } from '../auth/app-auth.ts';
import { type Revocation, Revocations, type RevocationTarget } from '../auth/revocations.ts';
import { createTokens } from '../auth/tokens.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { AuditLog } from '../shared/audit-log.ts';
import { UsageError } from '../shared/errors.ts';
import { within } from '../shared/within.ts';
import { Acceptor } from './acceptor.ts';
import { AdminListener } from './admin-listener.ts';
import { AgentControl } from './agent-control.ts';
import type { AgentLink } from './agent-link.ts';
import type { EndedCounts } from './ended.ts';
import { Gateway } from './gateway.ts';
import { handOver } from './handover.ts';
import { Listeners } from './listeners.ts';
import { operationsOf } from './operations.ts';
import { type GivenHubOptions, HUB_DEFAULTS, type HubOptions } from './options.ts';
import { urlOf, warnIfExposed } from './reach.ts';
import { readingsOf } from './readings.ts';
import { settingsOf } from './settings.ts';
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
	/**
	 * Other options from now on, all of them or, if any of them cannot be, none. Requests that are open stay as they are, tunnels too;
	 * connections go on by what they began with, and end after their next response if that has changed. `stateDir`, `startGrace`,
	 * `listenOn`, `onReload` and `logger` stay.
	 * @throws UsageError for options that make no sense, the system's error when an address cannot be listened on
	 */
	reconfigure(options: GivenHubOptions): Promise<void>;
	/** Ends gracefully: new work is refused, what is queued or running may finish until the drain timeout. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
}

/** @throws the system's error when a port cannot be listened on, UsageError for options that make no sense */
export async function createHub(given: GivenHubOptions): Promise<Hub> {
	let options: HubOptions = { ...HUB_DEFAULTS, ...given };
	const { logger, listenOn } = options;
	const appAuth = new AppAuth(options);
	let secrets = secretsOf(options);
	let tokens = await createTokens(secrets);
	const settings = settingsOf(options);
	const revocations = await Revocations.open({
		directory: options.stateDir,
		changed: () => void acceptor.endRevoked(),
		logger,
	});
	const dispatcher = new Dispatcher<AgentLink>(settings.dispatcher);
	const statistics = new Statistics();
	const gateway = new Gateway({
		...settings.gateway,
		dispatcher,
		appAuth,
		statistics,
		tracing: options.tracing ?? null,
		logger,
	});
	const audit = options.auditLog ? new AuditLog(logger) : null;
	const control: AgentControl = new AgentControl(() => acceptor.all, logger);
	const drained = (key: string) => control.isDrained(key);
	const acceptor = new Acceptor({
		...settings.acceptor,
		tokens,
		revocations,
		dispatcher,
		drained,
		statistics,
		audit,
		logger,
	});
	const listeners = new Listeners(options, settings.gateway.upgrades, {
		request: (app) => gateway.handle(app),
		tunnel: (req, socket, head) => void acceptor.accept(req, socket, head),
		refused: (error, address) => gateway.refusedConnection(error, address),
	});
	// Whoever gave us the socket gives it to the next hub, or has given it to another one already.
	const handsOver = listenOn?.apps !== undefined;
	gateway.patientUntil = performance.now() + (options.startGrace ?? (handsOver ? START_GRACE : 0));
	const agents = () => [...acceptor.links].filter((link) => link.ready).length;
	const readiness = (): Readiness => {
		if (gateway.leaving) return 'draining';
		return options.readyNeedsAgent && agents() === 0 ? 'no agent' : 'ready';
	};
	const reload = (): void => {
		listeners.reload();
		void revocations.reread();
	};
	const api = operationsOf({
		gateway,
		dispatcher,
		acceptor,
		control,
		revocations,
		limits: () => options,
		reload: async () => {
			if (options.onReload) return options.onReload();
			reload();
			return { changed: [], restart: [], warnings: [] };
		},
		logger,
	});
	const readings = readingsOf(statistics, listeners.ended, gateway, dispatcher, acceptor);
	const admin = new AdminListener(
		(lag) => [...probeRoutes(readiness), metricsRoute(readings, lag), ...apiRoutes(api)],
		{ audit, ended: listeners.ended, logger },
	);
	try {
		await listeners.listen();
		await admin.open(options);
	} catch (error) {
		revocations.close();
		listeners.close();
		throw error;
	}
	warnIfExposed(options, appAuth, listeners.bound);

	let leaving = false;
	const change = async (given: GivenHubOptions): Promise<void> => {
		const { stateDir, startGrace, onReload } = options;
		const next: HubOptions = { ...HUB_DEFAULTS, ...given, stateDir, startGrace, onReload, listenOn, logger };
		// Everything that may fail comes first.
		const settings = settingsOf(next);
		new AppAuth(next);
		const nextSecrets = secretsOf(next);
		const nextTokens = isDeepStrictEqual(nextSecrets, secrets) ? tokens : await createTokens(nextSecrets);
		const forListeners = await listeners.prepare(next, settings.gateway.upgrades);
		const prepared = [forListeners];
		try {
			prepared.push(await admin.prepare(next));
			if (leaving) throw new UsageError('the hub is ending');
		} catch (error) {
			for (const { abort } of prepared) abort();
			throw error;
		}
		[options, secrets, tokens] = [next, nextSecrets, nextTokens];
		appAuth.replace(next);
		gateway.configure(settings.gateway);
		acceptor.configure({ ...settings.acceptor, tokens });
		dispatcher.configure(settings.dispatcher);
		for (const { commit } of prepared) commit();
		warnIfExposed(options, appAuth, listeners.bound);
	};
	let changing: Promise<void> = Promise.resolve();
	const reconfigure = (given: GivenHubOptions): Promise<void> => {
		const changed = changing.then(() => change(given));
		changing = changed.catch(() => undefined);
		return changed;
	};

	let ending: Promise<void> | undefined;
	const end = async (timeout: number, late?: () => void): Promise<void> => {
		const began = performance.now();
		leaving = true;
		gateway.leaving = true;
		revocations.close();
		const movesAgents = listeners.bound.agents ? listenOn?.agents !== undefined : handsOver;
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
		// Whoever still sends would be told with a reset that the process has ended, and lose what it has not read of its response.
		await within(Math.min(timeout, FAREWELL), listeners.empty());
		listeners.destroy();
		await admin.close();
	};
	return {
		get address() {
			const { address, port } = listeners.bound.apps;
			return { host: handsOver ? address : options.host, port };
		},
		get url() {
			return urlOf(listeners.bound.apps, options);
		},
		get agentAddress() {
			const { agents: bound } = listeners.bound;
			const given = listenOn?.agents === undefined ? (options.agentHost ?? options.host) : undefined;
			return bound ? { host: given ?? bound.address, port: bound.port } : undefined;
		},
		get agentUrl() {
			return urlOf(listeners.bound.agents ?? listeners.bound.apps, options);
		},
		get adminPort() {
			return admin.port;
		},
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
		reload,
		reconfigure,
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

function secretsOf({ secret, previousSecret }: HubOptions) {
	return { secret, previousSecret };
}

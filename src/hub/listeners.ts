/**
 * Where a hub is reached: one door for everybody, or one for applications and another for agents, with a listener behind each; and the
 * certificates of both. Other options get other listeners, and other addresses other doors; who is connected stays.
 */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { SlimeError, UsageError } from '../shared/errors.ts';
import type { ListenAddress } from '../shared/listen.ts';
import { PerAddress } from '../shared/per-address.ts';
import { loadServerTls, type ServerTls } from '../tls/contexts.ts';
import { Reloading } from '../tls/reloading.ts';
import { refuseUpgrade } from '../tunnel/handshake.ts';
import { TrustedProxies } from '../tunnel/trusted-proxies.ts';
import type { AppRequest } from './app-request.ts';
import { Door } from './door.ts';
import { EndedConnections } from './ended.ts';
import { Listener, type ListenerHandler } from './listener.ts';
import type { HubOptions } from './options.ts';
import { newRequestId, requestIdOf } from './request-id.ts';
import type { Upgrades } from './upgrades.ts';

export interface Bound {
	readonly apps: AddressInfo;
	/** Null when agents arrive where applications do. */
	readonly agents: AddressInfo | null;
}

/** Everything that may fail is done: one of the two is called, once. */
export interface Prepared {
	commit(): void;
	abort(): void;
}

/** One of the hub's addresses. */
interface Entrance {
	readonly where: ListenAddress;
	readonly door: Door;
	readonly bound: AddressInfo;
	readonly perAddress: PerAddress;
	listener: Listener;
}

/** What a listener is made with. */
interface Making {
	readonly options: HubOptions;
	readonly certificates: Reloading<ServerTls> | null;
	readonly trusted: TrustedProxies | null;
	readonly upgrades: Upgrades;
	/** Agents arrive elsewhere. */
	readonly apart: boolean;
}

/** Options that a listener has for its whole life. */
const OF_LISTENER = [
	'tls',
	'clientAuth',
	'trustedProxies',
	'proxyProtocol',
	'maxRequestsPerConnection',
	'headersTimeout',
	'keepAliveTimeout',
	'handshakeTimeout',
	'upgrades',
] as const satisfies readonly (keyof HubOptions)[];

export class Listeners {
	readonly #handler: ListenerHandler;
	#making: Making;
	#apps: Entrance | null = null;
	#agents: Entrance | null = null;
	/** Listeners that others have taken the place of, while they have connections. */
	readonly #retired = new Set<Listener>();
	/** Of all. */
	readonly ended: EndedConnections;

	/** @throws UsageError for certificates that cannot be read, proxies that are no networks, and options that do not go together */
	constructor(options: HubOptions, upgrades: Upgrades, handler: ListenerHandler) {
		this.#handler = handler;
		this.ended = new EndedConnections(options.logger);
		this.#making = this.#make(options, upgrades);
	}

	/** @throws the system's error when an address cannot be listened on */
	async listen(): Promise<Bound> {
		const [apps, agents] = addressesOf(this.#making.options);
		this.#apps = await this.#open(apps, this.#making, false);
		this.#agents = agents && (await this.#open(agents, this.#making, true));
		return this.bound;
	}

	/** Only after `listen`. */
	get bound(): Bound {
		if (this.#apps === null) throw new Error('not listening');
		return { apps: this.#apps.bound, agents: this.#agents?.bound ?? null };
	}

	/** Reads the certificates now. */
	reload(): void {
		this.#making.certificates?.reload();
	}

	/**
	 * Opens what is to be open besides.
	 * @throws UsageError as the constructor does, and the system's error for an address that cannot be listened on
	 */
	async prepare(options: HubOptions, upgrades: Upgrades): Promise<Prepared> {
		const before = this.#making;
		const same = OF_LISTENER.every((name) => isDeepStrictEqual(options[name], before.options[name]));
		const [forApps, forAgents] = addressesOf(options);
		const apart = forAgents !== null;
		const kept = same && apart === before.apart;
		const making = kept ? { ...before, options } : this.#make(options, upgrades);
		const opened: Entrance[] = [];
		const entrance = async (where: ListenAddress, agents: boolean): Promise<Entrance> => {
			const known = agents ? this.#agents : this.#apps;
			if (known !== null && isDeepStrictEqual(known.where, where)) return known;
			const entered = await this.#open(where, making, agents);
			opened.push(entered);
			return entered;
		};
		const undo = () => {
			for (const { door } of opened) door.close();
			if (making.certificates !== before.certificates) making.certificates?.close();
		};
		try {
			const apps = await entrance(forApps, false);
			const agents = forAgents && (await entrance(forAgents, true));
			return { commit: () => this.#take(making, apps, agents, kept), abort: undo };
		} catch (error) {
			undo();
			throw error;
		}
	}

	/** @param kept the listeners are as they have to be */
	#take(making: Making, apps: Entrance, agents: Entrance | null, kept: boolean): void {
		const before = this.#making;
		this.#making = making;
		for (const [old, next] of [
			[this.#apps, apps],
			[this.#agents, agents],
		] as const) {
			if (old !== null && old !== next) {
				old.door.close();
				this.#retire(old.listener);
			}
			if (next === null) continue;
			next.door.maxConnections = making.options.maxConnections;
			next.perAddress.most = making.options.maxConnectionsPerAddress;
			// One that was just opened has its own.
			if (old === next && !kept) {
				this.#retire(next.listener);
				next.listener = this.#listenerOf(making, next.perAddress, next === agents);
				next.door.keeper = next.listener;
			}
		}
		this.#apps = apps;
		this.#agents = agents;
		if (making.certificates !== before.certificates) before.certificates?.close();
	}

	#retire(listener: Listener): void {
		this.#retired.add(listener);
		void listener.retire().then(() => this.#retired.delete(listener));
	}

	/** No new connections; those that are open are closed after their next response. */
	retire(): void {
		for (const { door, listener } of this.#entrances) {
			door.close();
			void listener.retire();
		}
	}

	/** No new connections; those that are idle are closed. */
	close(): void {
		this.#making.certificates?.close();
		for (const { door } of this.#entrances) door.close();
		for (const listener of this.#listeners) listener.close();
	}

	/** Resolves when no connection is open. */
	async empty(): Promise<void> {
		await Promise.all(this.#listeners.map((listener) => listener.empty()));
	}

	/** Cuts what is left. */
	destroy(): void {
		for (const listener of this.#listeners) listener.destroy();
	}

	get #entrances(): readonly Entrance[] {
		return [this.#apps, this.#agents].filter((entrance) => entrance !== null);
	}

	get #listeners(): readonly Listener[] {
		return [...this.#entrances.map(({ listener }) => listener), ...this.#retired];
	}

	#make(options: HubOptions, upgrades: Upgrades): Making {
		checkTogether(options);
		const { tls, clientAuth, trustedProxies, logger } = options;
		const trusted = trustedProxies.length > 0 ? new TrustedProxies(trustedProxies) : null;
		const certificates: Reloading<ServerTls> | null = tls
			? new Reloading({
					files: [tls.cert, tls.key, ...(tls.clientCa === undefined ? [] : [tls.clientCa])],
					load: () => loadServerTls({ ...tls, requireClient: clientAuth === 'all' }),
					renewed: (renewed) => {
						if (this.#making.certificates === certificates) this.#renew(renewed);
					},
					logger,
				})
			: null;
		return { options, certificates, trusted, upgrades, apart: addressesOf(options)[1] !== null };
	}

	async #open(where: ListenAddress, making: Making, agents: boolean): Promise<Entrance> {
		const { maxConnections, maxConnectionsPerAddress, logger } = making.options;
		const perAddress = new PerAddress(maxConnectionsPerAddress);
		const listener = this.#listenerOf(making, perAddress, agents);
		const door = new Door(listener, maxConnections, this.ended, logger);
		return { where, door, bound: await door.open(where), perAddress, listener };
	}

	#listenerOf(making: Making, perAddress: PerAddress, agents: boolean): Listener {
		const { options, certificates, trusted, upgrades, apart } = making;
		const all = certificates?.current ?? null;
		const verifyIfPresented = options.clientAuth === 'optional';
		const common = { ...options, verifyIfPresented, upgrades, trusted, perAddress, ended: this.ended };
		if (!apart) return new Listener({ ...common, tls: all }, this.#handler);
		if (agents) return new Listener({ ...common, tls: all }, { ...this.#handler, request: agentsOnly });
		return new Listener({ ...common, tls: all && withoutAgents(all, options) }, { ...this.#handler, tunnel: notHere });
	}

	#renew(tls: ServerTls): void {
		const { options, apart } = this.#making;
		this.#apps?.listener.renew(apart ? withoutAgents(tls, options) : tls);
		this.#agents?.listener.renew(tls);
	}
}

/** Of applications and everybody, or of agents too. */
function addressesOf(options: HubOptions): readonly [ListenAddress, ListenAddress | null] {
	const { host, port, agentHost, agentPort, listenOn } = options;
	const apps = listenOn?.apps === undefined ? { host, port } : { fd: listenOn.apps };
	if (listenOn?.agents !== undefined) return [apps, { fd: listenOn.agents }];
	return [apps, agentPort === undefined ? null : { host: agentHost ?? host, port: agentPort }];
}

/** Where no agent arrives, certificates that only agents need are not asked for: browsers would ask their users for one. */
function withoutAgents(tls: ServerTls, { clientAuth }: HubOptions): ServerTls {
	if (clientAuth !== 'agents') return tls;
	const { cert, key, minVersion } = tls;
	return { cert, key, minVersion, requestCert: false, rejectUnauthorized: false };
}
function checkTogether(options: HubOptions): void {
	const { tls, clientAuth, bindIdentity, agentHost, agentPort, trustedProxies, proxyProtocol } = options;
	if (tls?.clientCa === undefined) {
		if (clientAuth !== 'agents') throw new UsageError(`clientAuth ${clientAuth} needs a clientCa`);
		if (bindIdentity) throw new UsageError('bindIdentity needs a clientCa');
	}
	if (agentHost !== undefined && agentPort === undefined) throw new UsageError('agentHost needs an agentPort');
	if (proxyProtocol && trustedProxies.length === 0) {
		throw new UsageError('proxyProtocol needs trustedProxies: from nobody else a PROXY header is believed');
	}
}

function notHere(_req: IncomingMessage, socket: Duplex): void {
	refuseUpgrade(socket, new SlimeError('not_found', 'Agents connect to another address of this hub.'));
}

function agentsOnly(app: AppRequest): void {
	const requestId = requestIdOf(app.field('x-request-id')) ?? newRequestId();
	app.refuse(new SlimeError('not_found', 'Only agents are served at this address.'), requestId);
}

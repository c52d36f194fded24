/** Where a hub is reached: one listener for everybody, or one for applications and another for agents; and the certificates of both. */
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { SlimeError, UsageError } from '../shared/errors.ts';
import { loadServerTls, type ServerTls } from '../tls/contexts.ts';
import { Reloading } from '../tls/reloading.ts';
import { refuseUpgrade } from '../tunnel/handshake.ts';
import { TrustedProxies } from '../tunnel/trusted-proxies.ts';
import type { AppRequest } from './app-request.ts';
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

export class Listeners {
	readonly #options: HubOptions;
	readonly #certificates: Reloading<ServerTls> | null;
	readonly #apps: Listener;
	readonly #agents: Listener | null;
	/** Of both. */
	readonly ended: EndedConnections;

	/** @throws UsageError for certificates that cannot be read, proxies that are no networks, and options that do not go together */
	constructor(options: HubOptions, upgrades: Upgrades, handler: ListenerHandler) {
		this.#options = options;
		checkTogether(options);
		const { tls, clientAuth, agentPort, listenOn, trustedProxies, logger } = options;
		const trusted = trustedProxies.length > 0 ? new TrustedProxies(trustedProxies) : null;
		this.ended = new EndedConnections(logger);
		this.#certificates = tls
			? new Reloading({
					files: [tls.cert, tls.key, ...(tls.clientCa === undefined ? [] : [tls.clientCa])],
					load: () => loadServerTls({ ...tls, requireClient: clientAuth === 'all' }),
					renewed: (renewed) => this.#renew(renewed),
					logger,
				})
			: null;
		const verifyIfPresented = clientAuth === 'optional';
		const all = this.#certificates?.current ?? null;
		const common = { ...options, verifyIfPresented, upgrades, trusted, ended: this.ended };
		if (agentPort === undefined && listenOn?.agents === undefined) {
			this.#apps = new Listener({ ...common, tls: all }, handler);
			this.#agents = null;
		} else {
			const tlsForApps = all && this.#forApps(all);
			this.#apps = new Listener({ ...common, tls: tlsForApps }, { ...handler, tunnel: notHere });
			this.#agents = new Listener({ ...common, tls: all }, { ...handler, request: agentsOnly });
		}
	}

	/** @throws the system's error when an address cannot be listened on */
	async listen(): Promise<Bound> {
		const { host, port, agentHost, agentPort, listenOn } = this.#options;
		const at = (fd: number | undefined, where: { host: string; port: number }) => (fd === undefined ? where : { fd });
		const apps = await this.#apps.listen(at(listenOn?.apps, { host, port }));
		const forAgents = at(listenOn?.agents, { host: agentHost ?? host, port: agentPort ?? 0 });
		const agents = this.#agents ? await this.#agents.listen(forAgents) : null;
		return { apps, agents };
	}

	/** Reads the certificates now. */
	reload(): void {
		this.#certificates?.reload();
	}

	/** No new connections; those that are open are closed after their next response. */
	retire(): void {
		this.#apps.retire();
		this.#agents?.retire();
	}

	/** No new connections; those that are idle are closed. */
	close(): void {
		this.#certificates?.close();
		this.#apps.close();
		this.#agents?.close();
	}

	/** Cuts what is left. */
	destroy(): void {
		this.#apps.destroy();
		this.#agents?.destroy();
	}

	#renew(tls: ServerTls): void {
		this.#apps.renew(this.#agents ? this.#forApps(tls) : tls);
		this.#agents?.renew(tls);
	}

	/** Where no agent arrives, certificates that only agents need are not asked for: browsers would ask their users for one. */
	#forApps(tls: ServerTls): ServerTls {
		if (this.#options.clientAuth !== 'agents') return tls;
		const { cert, key, minVersion } = tls;
		return { cert, key, minVersion, requestCert: false, rejectUnauthorized: false };
	}
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

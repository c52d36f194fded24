/**
 * An agent's tunnels to one hub as its user names it: one; or, where the name has several addresses, one to each hub behind them. Looks
 * the name up again and again, for hubs come and go. How a tunnel is kept is the connector's business.
 */
import dns from 'node:dns';
import { isIP } from 'node:net';
import { messageOf } from '../shared/errors.ts';
import { egressProxy } from '../tunnel/egress-proxy.ts';
import { Connector, type ConnectorOptions } from './connector.ts';

/** So many times in a row an address has to be missing before its hub is left: some servers tell some of many addresses at a time. */
const MOST_MISSES = 3;

export interface HubTunnelsOptions extends Omit<ConnectorOptions, 'address' | 'knownHubs' | 'inTurn' | 'changed'> {
	/** Milliseconds; 0 for never, then there is one tunnel. */
	readonly resolveInterval: number;
	/** A tunnel is up. */
	readonly up?: (() => void) | undefined;
}

export class HubTunnels {
	readonly #options: HubTunnelsOptions;
	/** Goes by the name: to whichever of its addresses answers. */
	readonly #main: Connector;
	/** By address. */
	readonly #others = new Map<string, Connector>();
	/** Those of addresses that are gone, until their requests are done. */
	readonly #leaving = new Set<Connector>();
	readonly #misses = new Map<Connector, number>();
	/** The last handshake: one after the other, for the next one tells the hub to whom there is a tunnel already. */
	#handshake: Promise<unknown> = Promise.resolve();
	#addresses: readonly string[] = [];
	#timer: NodeJS.Timeout | undefined;
	#ended = false;

	constructor(options: HubTunnelsOptions) {
		this.#options = options;
		this.#main = this.#connector(undefined);
	}

	/** Tunnels that are up. */
	get connected(): number {
		return this.#all.filter(({ connected }) => connected).length;
	}

	/** Tunnels that there are to be. */
	get wanted(): number {
		return Math.max(1, this.#addresses.length);
	}

	start(): void {
		this.#main.start();
		if (this.#looksUp) void this.#look();
	}

	/** The tunnels that are up go on, and no others are made: somebody else takes over. */
	retire(): void {
		this.#end();
		for (const connector of this.#all) connector.retire();
	}

	/** No new requests; resolves when all tunnels have ended. */
	async drain(): Promise<void> {
		this.#end();
		await Promise.all([...this.#all, ...this.#leaving].map((connector) => connector.drain()));
	}

	destroy(): void {
		this.#end();
		for (const connector of [...this.#all, ...this.#leaving]) connector.destroy();
	}

	get #all(): Connector[] {
		return [this.#main, ...this.#others.values()];
	}

	/** A proxy looks names up by itself, and may lead to somewhere else. */
	get #looksUp(): boolean {
		const { hub, resolveInterval } = this.#options;
		if (resolveInterval === 0 || isIP(hub.host) !== 0) return false;
		try {
			return egressProxy(hub, process.env) === undefined;
		} catch (error) {
			// Whoever dials says so.
			this.#options.logger.debug({ reason: messageOf(error) }, 'the proxy of the environment cannot be read');
			return false;
		}
	}

	#end(): void {
		this.#ended = true;
		clearTimeout(this.#timer);
	}

	#connector(address: string | undefined): Connector {
		return new Connector({
			...this.#options,
			address,
			knownHubs: () => this.#all.flatMap(({ hubId }) => hubId ?? []),
			inTurn: (handshake) => {
				const next = this.#handshake.then(handshake, handshake);
				this.#handshake = next;
				return next;
			},
			changed: (connected) => this.#changed(connected),
		});
	}

	async #look(): Promise<void> {
		clearTimeout(this.#timer);
		const { hub, logger, resolveInterval } = this.#options;
		try {
			const found = await addressesOf(hub.host);
			if (this.#ended) return;
			this.#follow(found);
		} catch (error) {
			// What there is stays; whoever dials says so.
			logger.debug({ hub: hub.label, reason: messageOf(error) }, 'the name of the hub could not be looked up');
		}
		if (this.#ended) return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => void this.#look(), resolveInterval);
	}

	#follow(found: readonly string[]): void {
		this.#addresses = ofSeveralHubs(found);
		const at = this.#main.connectedTo;
		if (at !== undefined && this.#isGone(this.#main, found.includes(at))) this.#main.move();
		for (const [address, connector] of this.#others) {
			const here = this.#addresses.includes(address);
			if (this.#isGone(connector, here) && this.connected > Number(connector.connected))
				this.#leave(address, connector);
		}
		// Of a hub that does not say who it is nobody knows whether another address leads to it, too.
		if (!this.#all.some(({ hubId }) => hubId !== undefined)) return;
		for (const address of this.#addresses) {
			if (address === at || this.#others.has(address)) continue;
			const connector = this.#connector(address);
			this.#others.set(address, connector);
			connector.start();
		}
	}

	#isGone(connector: Connector, here: boolean): boolean {
		const misses = here ? 0 : (this.#misses.get(connector) ?? 0) + 1;
		this.#misses.set(connector, misses);
		return misses >= MOST_MISSES;
	}

	#leave(address: string, connector: Connector): void {
		const { hub, logger } = this.#options;
		logger.info(
			{ hub: hub.label, address },
			'the name of the hub has not this address any more: its tunnel is drained',
		);
		this.#others.delete(address);
		this.#misses.delete(connector);
		this.#leaving.add(connector);
		void connector.drain().then(() => this.#leaving.delete(connector));
	}

	/** With the first tunnel it is known who the hub is; with one that is lost another address may lead to the same hub. */
	#changed(connected: boolean): void {
		if (connected) this.#options.up?.();
		if (this.#ended || !this.#looksUp) return;
		if (connected && this.connected > 1) return;
		if (!connected) for (const connector of this.#all) connector.wake();
		void this.#look();
	}
}

/** All addresses of a name, in the order of the system's preference. */
function addressesOf(host: string): Promise<string[]> {
	return new Promise((resolve, reject) => {
		dns.lookup(host, { all: true }, (error, found) => {
			if (error) reject(error);
			else resolve(found.map(({ address }) => address));
		});
	});
}

/** One address of each family is one hub, mostly. Of more, those of one family: the larger one, else the preferred one. */
function ofSeveralHubs(found: readonly string[]): readonly string[] {
	const preferred = isIP(found[0] ?? '');
	const ones = found.filter((address) => isIP(address) === preferred);
	const others = found.filter((address) => isIP(address) !== preferred);
	const most = others.length > ones.length ? others : ones;
	return most.length > 1 ? most : [];
}

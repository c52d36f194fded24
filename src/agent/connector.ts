/**
 * Keeps one tunnel to one hub: dials, comes back after a loss, moves over before a hub that is leaving is gone.
 * Owns when to try again; how a try is made is the tunnel room's business.
 */
import type { SecureContext } from 'node:tls';
import type { WindowBudget } from '../h2/window.ts';
import { Backoff } from '../shared/backoff.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { HubAddress } from '../tunnel/address.ts';
import { dialTunnel, type Transport } from '../tunnel/dial.ts';
import type { AgentInfo } from '../tunnel/handshake.ts';
import { HandshakeError } from '../tunnel/handshake-error.ts';
import type { HeartbeatOptions } from '../tunnel/heartbeat.ts';
import type { Slots } from './slots.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';

export interface ConnectorOptions {
	readonly hub: HubAddress;
	readonly token: string;
	readonly agentId: string;
	readonly info: AgentInfo;
	/** The newest, for the next connection. */
	readonly secureContext: () => SecureContext | undefined;
	readonly serverName: string | undefined;
	readonly pins: readonly string[] | undefined;
	readonly transport: Transport;
	readonly connectTimeout: number;
	readonly slots: Slots;
	readonly worker: TunnelOptions['worker'];
	readonly heartbeat: HeartbeatOptions;
	readonly windows: WindowBudget;
	readonly logger: Logger;
}

export class Connector {
	readonly #options: ConnectorOptions;
	readonly #backoff = new Backoff();
	readonly #ending = new AbortController();
	/** The newest, and those that are finishing their requests. */
	readonly #tunnels = new Set<Tunnel>();
	#current: Tunnel | null = null;
	#timer: NodeJS.Timeout | undefined;
	#dialing = false;
	#whenEmpty: (() => void) | null = null;

	constructor(options: ConnectorOptions) {
		this.#options = options;
	}

	get connected(): boolean {
		return this.#current !== null;
	}

	start(): void {
		void this.#dial();
	}

	/** No new requests; resolves when all tunnels have ended. */
	async drain(): Promise<void> {
		this.#stop();
		for (const tunnel of this.#tunnels) tunnel.drain();
		if (this.#tunnels.size === 0) return;
		await new Promise<void>((resolve) => {
			this.#whenEmpty = resolve;
		});
	}

	destroy(): void {
		this.#stop();
		for (const tunnel of [...this.#tunnels]) tunnel.session.destroy();
	}

	#stop(): void {
		clearTimeout(this.#timer);
		if (!this.#ending.signal.aborted) this.#ending.abort(new Error('the agent is ending'));
	}

	async #dial(): Promise<void> {
		if (this.#dialing || this.#ending.signal.aborted) return;
		this.#dialing = true;
		const { hub, logger } = this.#options;
		try {
			const secureContext = this.#options.secureContext();
			const { socket, head, transport } = await dialTunnel({
				...this.#options,
				secureContext,
				signal: this.#ending.signal,
			});
			this.#dialing = false;
			this.#join(socket, head, transport);
		} catch (error) {
			this.#dialing = false;
			if (this.#ending.signal.aborted) return;
			// Neither a token nor a key gets right by asking often.
			const refused = error instanceof HandshakeError && (error.kind === 'unauthorized' || error.kind === 'impostor');
			const hinted = error instanceof HandshakeError ? (error.retryAfterMs ?? 0) : 0;
			const wait = refused ? this.#backoff.atCap() : Math.max(this.#backoff.next(), hinted);
			logger[refused ? 'error' : 'warn'](
				{ hub: hub.label, retryInMs: Math.round(wait) },
				`not connected: ${messageOf(error)}`,
			);
			this.#dialAfter(wait);
		}
	}

	#join(socket: TunnelOptions['socket'], head: Buffer, transport: Transport): void {
		const { hub, logger } = this.#options;
		this.#backoff.connected();
		const tunnel: Tunnel = new Tunnel({
			...this.#options,
			socket,
			head,
			leaving: (reason) => this.#onLeaving(tunnel, reason),
			closed: (error) => this.#onClosed(tunnel, error),
		});
		this.#tunnels.add(tunnel);
		this.#current = tunnel;
		logger.info({ hub: hub.label, transport }, 'connected');
	}

	/** The hub takes this tunnel out of use, now or soon: another one is wanted before it has ended. */
	#onLeaving(tunnel: Tunnel, reason: string): void {
		if (tunnel !== this.#current) return;
		const { hub, logger } = this.#options;
		this.#backoff.disconnected();
		if (reason === 'moving') {
			// What waits at this hub is still served, so it stays the current one until there is another.
			logger.info({ hub: hub.label }, 'the hub hands over to another one');
			this.#dialAfter(this.#backoff.next());
			return;
		}
		this.#current = null;
		if (reason === 'replaced') {
			logger.error(
				{ hub: hub.label },
				'another agent with this token and this id took our place: give each an --agentID',
			);
			this.#dialAfter(this.#backoff.atCap());
		} else if (reason === 'revoked') {
			logger.error({ hub: hub.label }, 'the token of this agent was revoked: make another with slime hub register');
			this.#dialAfter(this.#backoff.next());
		} else {
			logger.info({ hub: hub.label, reason: reason || undefined }, 'the hub is leaving');
			this.#dialAfter(this.#backoff.next());
		}
	}

	#onClosed(tunnel: Tunnel, error: Error | null): void {
		this.#tunnels.delete(tunnel);
		if (this.#tunnels.size === 0) this.#whenEmpty?.();
		if (tunnel !== this.#current) return;
		this.#current = null;
		this.#backoff.disconnected();
		if (this.#ending.signal.aborted) return;
		const wait = this.#backoff.next();
		const { hub, logger } = this.#options;
		logger.warn(
			{ hub: hub.label, retryInMs: Math.round(wait) },
			`disconnected: ${error ? error.message : 'the hub closed'}`,
		);
		this.#dialAfter(wait);
	}

	/** Without effect when a tunnel is on its way already. */
	#dialAfter(wait: number): void {
		if (this.#ending.signal.aborted || this.#dialing || this.#timer !== undefined) return;
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			void this.#dial();
		}, wait);
	}
}

/**
 * Keeps one tunnel to one hub: dials, comes back after a loss, moves over before a hub that is leaving is gone.
 * Owns when to try again; how a try is made is the tunnel room's business.
 */
import type { Duplex } from 'node:stream';
import type { SecureContext } from 'node:tls';
import type { WindowBudget } from '../h2/window.ts';
import { Backoff } from '../shared/backoff.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { HubAddress } from '../tunnel/address.ts';
import { type DialedTunnel, dialTunnel, type Transport } from '../tunnel/dial.ts';
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
	readonly health: TunnelOptions['health'];
	readonly heartbeat: HeartbeatOptions;
	readonly windows: WindowBudget;
	readonly logger: Logger;
	/** One of the addresses that the hub's name has; any of them if left out. */
	readonly address?: string | undefined;
	/** Hubs to which there are tunnels already: another address may lead to one of them. */
	readonly knownHubs: () => readonly string[];
	/** Whose handshake it is now. */
	readonly inTurn: <T>(handshake: () => Promise<T>) => Promise<T>;
	/** A tunnel is up, or lost. */
	readonly changed: (connected: boolean) => void;
}

/** Milliseconds until an address that led to a known hub is asked again: a balancer may lead to another one. */
const ASK_AGAIN = 60_000;

/** In milliseconds: a hub that hands over for longer is not waited for. */
const LONGEST_MOVE = 60_000;

/** So long as a hub that hands over drains, the next one may not accept yet, and a dial that gave up would only leave its place in line. */
class Moving {
	readonly over: Promise<void>;
	readonly #timer: NodeJS.Timeout;
	#end: () => void = () => undefined;

	constructor() {
		this.over = new Promise((resolve) => {
			this.#end = resolve;
		});
		this.#timer = setTimeout(this.#end, LONGEST_MOVE);
	}

	end(): void {
		clearTimeout(this.#timer);
		this.#end();
	}
}

export class Connector {
	readonly #options: ConnectorOptions;
	readonly #backoff = new Backoff();
	readonly #ending = new AbortController();
	/** The newest, and those that are finishing their requests. */
	readonly #tunnels = new Set<Tunnel>();
	/** Of tunnels, until they are closed: some time after the tunnel has ended. */
	readonly #sockets = new Set<Duplex>();
	#current: Tunnel | null = null;
	#timer: NodeJS.Timeout | undefined;
	#dialing = false;
	/** Of the tunnel that is current, or being made. */
	#hubId: string | undefined;
	#address: string | undefined;
	/** The hub at which another process has our identity. */
	#takenAt: string | undefined;
	/** There is a tunnel to the same hub, by another address. */
	#idle = false;
	/** The hub has said that it hands over, and there is no tunnel to the next one yet. */
	#moving: Moving | null = null;
	#whenEmpty: (() => void) | null = null;

	constructor(options: ConnectorOptions) {
		this.#options = options;
	}

	get connected(): boolean {
		return this.#current !== null;
	}

	/** Who the hub says that it is, at the other end of the tunnel. */
	get hubId(): string | undefined {
		return this.#hubId;
	}

	/** The address at the other end of the tunnel; none without a tunnel or behind a proxy. */
	get connectedTo(): string | undefined {
		return this.#current === null ? undefined : this.#address;
	}

	start(): void {
		void this.#dial();
	}

	/** Asks again soon whether its address leads to a hub that is not known. */
	wake(): void {
		if (!this.#idle) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#dialAfter(this.#backoff.next());
	}

	/** Makes another tunnel, and then drains the one that it has. */
	move(): void {
		void this.#dial();
	}

	/** The tunnel that is up goes on, and no other is made: somebody else takes over. */
	retire(): void {
		this.#stop();
	}

	/**
	 * No new requests; resolves when all tunnels have ended and their connections are closed: a process that ended before would take
	 * from a hub that still sends what it has not read yet.
	 */
	async drain(): Promise<void> {
		this.#stop();
		for (const tunnel of this.#tunnels) tunnel.drain();
		if (this.#sockets.size === 0) return;
		await new Promise<void>((resolve) => {
			this.#whenEmpty = resolve;
		});
	}

	destroy(): void {
		this.#stop();
		for (const tunnel of [...this.#tunnels]) tunnel.session.destroy();
	}

	#stop(): void {
		this.#endMoving();
		clearTimeout(this.#timer);
		if (!this.#ending.signal.aborted) this.#ending.abort(new Error('the agent is ending'));
	}

	async #dial(): Promise<void> {
		if (this.#dialing || this.#ending.signal.aborted) return;
		this.#dialing = true;
		const { hub, logger } = this.#options;
		try {
			const secureContext = this.#options.secureContext();
			const dialed = await dialTunnel({
				...this.#options,
				knownHubs: () => this.#knownHubs(),
				secureContext,
				// Others have their turn meanwhile if the hub is one of several.
				countFrom: this.#options.address === undefined ? this.#moving?.over : undefined,
				signal: this.#ending.signal,
				inTurn: (handshake) => this.#options.inTurn(() => this.#identified(handshake)),
			});
			this.#dialing = false;
			this.#idle = false;
			this.#join(dialed);
		} catch (error) {
			this.#dialing = false;
			if (this.#ending.signal.aborted) return;
			if (error instanceof HandshakeError && error.kind === 'known') {
				if (this.#isTaken) {
					this.#tellTaken('another agent with this token and this id has our place');
					return;
				}
				logger.debug({ hub: hub.label, address: this.#options.address }, 'another tunnel leads to the same hub');
				this.#idle = this.#current === null;
				if (this.#idle) this.#dialAfter(ASK_AGAIN);
				return;
			}
			// Neither a token nor a key gets right by asking often.
			const refused = error instanceof HandshakeError && (error.kind === 'unauthorized' || error.kind === 'impostor');
			const hinted = error instanceof HandshakeError ? (error.retryAfterMs ?? 0) : 0;
			const wait = refused ? this.#backoff.atCap() : Math.max(this.#backoff.next(), hinted);
			logger[refused ? 'error' : 'warn'](
				{ hub: hub.label, address: this.#options.address, retryInMs: Math.round(wait) },
				`not connected: ${messageOf(error)}`,
			);
			this.#dialAfter(wait);
		}
	}

	/** A hub at which another process took our place is asked for it again only when nobody has it: the two would take turns. */
	#knownHubs(): readonly string[] {
		const known = this.#options.knownHubs();
		return this.#takenAt === undefined ? known : [...known, this.#takenAt];
	}

	/** Rather than that there is a tunnel of our own, by another address. */
	get #isTaken(): boolean {
		return this.#takenAt !== undefined && !this.#options.knownHubs().includes(this.#takenAt);
	}

	#tellTaken(what: string): void {
		const { hub, logger } = this.#options;
		const wait = this.#backoff.atCap();
		logger.error({ hub: hub.label, retryInMs: Math.round(wait) }, `${what}: give each an --agentID`);
		this.#dialAfter(wait);
	}

	/** Whoever has the next handshake is to know of this one. */
	async #identified(handshake: () => Promise<DialedTunnel>): Promise<DialedTunnel> {
		const dialed = await handshake();
		this.#hubId = dialed.hubInfo.id;
		return dialed;
	}

	#join({ socket, head, transport, address }: DialedTunnel): void {
		const { hub, logger } = this.#options;
		this.#backoff.connected();
		const before = this.#current;
		const tunnel: Tunnel = new Tunnel({
			...this.#options,
			socket,
			head,
			leaving: (reason) => this.#onLeaving(tunnel, reason),
			closed: (error) => this.#onClosed(tunnel, error),
		});
		this.#tunnels.add(tunnel);
		this.#keep(socket);
		this.#current = tunnel;
		this.#takenAt = undefined;
		clearTimeout(this.#timer);
		this.#address = address;
		logger.info({ hub: hub.label, address: this.#options.address, transport }, 'connected');
		// A hub that hands over drains by itself, and serves what waits there.
		if (before !== null && this.#moving === null) before.drain();
		this.#endMoving();
		this.#options.changed(true);
	}

	#keep(socket: Duplex): void {
		if (socket.closed) return;
		this.#sockets.add(socket);
		socket.once('close', () => {
			this.#sockets.delete(socket);
			if (this.#sockets.size === 0) this.#whenEmpty?.();
		});
	}

	#endMoving(): void {
		this.#moving?.end();
		this.#moving = null;
	}

	#lost(): void {
		this.#current = null;
		this.#hubId = undefined;
		this.#options.changed(false);
	}

	/** The hub takes this tunnel out of use, now or soon: another one is wanted before it has ended. */
	#onLeaving(tunnel: Tunnel, reason: string): void {
		if (tunnel !== this.#current) return;
		const { hub, logger } = this.#options;
		if (this.#ending.signal.aborted) {
			this.#lost();
			return;
		}
		this.#backoff.disconnected();
		if (reason === 'moving') {
			// What waits at this hub is still served, so it stays the current one until there is another.
			this.#moving ??= new Moving();
			logger.info({ hub: hub.label }, 'the hub hands over to another one');
			this.#dialAfter(this.#backoff.next());
			return;
		}
		this.#endMoving();
		const hubId = this.#hubId;
		this.#lost();
		// Else it is our own next tunnel, whose 101 is on its way.
		if (reason === 'replaced' && this.#dialing) return;
		if (reason === 'replaced') {
			this.#takenAt = hubId;
			this.#tellTaken('another agent with this token and this id took our place');
		} else if (reason === 'expired') {
			logger.error({ hub: hub.label }, 'the token of this agent has expired: make another with slime hub register');
			this.#dialAfter(this.#backoff.next());
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
		if (tunnel !== this.#current) return;
		this.#endMoving();
		this.#lost();
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

/** Agents' handshakes: who may join, and what happens to the tunnel that the same agent had before. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Revocations } from '../auth/revocations.ts';
import { lastMoment, type Tokens } from '../auth/tokens.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { WindowBudget } from '../h2/window.ts';
import type { AuditLog } from '../shared/audit-log.ts';
import { messageOf, SlimeError } from '../shared/errors.ts';
import { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { version } from '../shared/version.ts';
import { peerCertificate } from '../tls/peer-certificate.ts';
import {
	acceptUpgrade,
	asksForWebSocket,
	knowsHub,
	readTunnelRequest,
	refuseUpgrade,
	tuneTunnelSocket,
} from '../tunnel/handshake.ts';
import type { HeartbeatOptions } from '../tunnel/heartbeat.ts';
import { acceptWebSocket } from '../tunnel/websocket-transport.ts';
import { type AgentIdentity, AgentLink, keyOf } from './agent-link.ts';
import { whenPast } from './expiry.ts';
import { peerOf } from './peer.ts';
import type { Statistics } from './statistics.ts';

/** Growth of the receive windows of all tunnels together. */
const PROCESS_WINDOWS = 512 * 1024 * 1024;

const NOTHING = Buffer.alloc(0);

/** What may change: for agents that come from then on. */
export interface AcceptorSettings {
	readonly tokens: Tokens;
	readonly heartbeat: HeartbeatOptions;
	/** Agents must have brought a certificate that our CA signed. */
	readonly certificates: boolean;
	/** It must be for the name of the agent's token, so that a stolen token is of no use elsewhere. */
	readonly bindIdentity: boolean;
	/** What becomes of a tunnel whose token expires: it gets nothing new, or its requests are cut as well. */
	readonly tokenExpiry: 'finish' | 'close';
}

export interface AcceptorOptions extends AcceptorSettings {
	readonly revocations: Revocations;
	readonly dispatcher: Dispatcher<AgentLink>;
	/** Whether an operator wants an agent to get nothing, also when it comes back. @param key token id and agent id */
	readonly drained: (key: string) => boolean;
	readonly statistics: Statistics;
	/** null if there is none. */
	readonly audit: AuditLog | null;
	readonly logger: Logger;
}

export class Acceptor {
	#options: AcceptorOptions;
	readonly #links = new Map<string, AgentLink>();
	/** Tunnels that were replaced or are leaving, until they end. */
	readonly #leaving = new Set<AgentLink>();
	readonly #windows = new WindowBudget(PROCESS_WINDOWS);
	readonly #refusals = new LogGate();
	/** By it an agent knows that two addresses lead to the same hub. */
	readonly #hubId = randomBytes(8).toString('hex');
	draining = false;
	#whenEmpty: (() => void) | null = null;

	constructor(options: AcceptorOptions) {
		this.#options = options;
	}

	configure(settings: AcceptorSettings): void {
		this.#options = { ...this.#options, ...settings };
	}

	get links(): Iterable<AgentLink> {
		return this.#links.values();
	}

	/** Every tunnel, also those that are leaving, by the agents' ids. */
	get all(): readonly AgentLink[] {
		const id = ({ identity }: AgentLink) => identity.agentId;
		return [...this.#links.values(), ...this.#leaving].sort((a, b) => (id(a) < id(b) ? -1 : Number(id(a) > id(b))));
	}

	/** Tunnels that were replaced or are leaving. */
	get leaving(): Iterable<AgentLink> {
		return this.#leaving;
	}

	/** Resolves when all tunnels have ended. */
	async empty(): Promise<void> {
		if (this.#isEmpty) return;
		await new Promise<void>((resolve) => {
			this.#whenEmpty = resolve;
		});
	}

	get #isEmpty(): boolean {
		return this.#links.size + this.#leaving.size === 0;
	}

	async accept(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
		const address = peerOf(req.socket).client(req.rawHeaders);
		let identity: AgentIdentity | undefined;
		try {
			identity = await this.#identify(req, address);
			const known = identity;
			if (socket.destroyed) return;
			if (this.draining) throw new SlimeError('draining');
			// In the same turn as it joins: what is revoked later finds its tunnel.
			if (this.#isRevoked(identity)) throw new SlimeError('unauthorized', REVOKED);
			if (knowsHub(req, this.#hubId) && this.#links.has(keyOf(identity))) throw new SlimeError('already_connected');
			const fields = { 'Slime-Hub-Version': version, 'Slime-Hub-Id': this.#hubId };
			if (asksForWebSocket(req)) {
				tuneTunnelSocket(socket);
				acceptWebSocket(req, socket, head, fields, (duplex) => this.#join(known, duplex, NOTHING));
			} else {
				acceptUpgrade(socket, fields);
				this.#join(known, socket, head);
			}
		} catch (error) {
			const told = error instanceof SlimeError ? error : new SlimeError('internal');
			this.#options.statistics.handshakeRefused(told.code);
			const leftOut = told.code === 'already_connected' ? null : this.#refusals.pass();
			if (leftOut !== null) this.#tellRefusal(address, identity, told.code, messageOf(error), leftOut);
			refuseUpgrade(socket, told);
		}
	}

	/** @param identity undefined where it is not believed @param leftOut how many before it were not told of */
	#tellRefusal(
		address: string,
		identity: AgentIdentity | undefined,
		outcome: string,
		reason: string,
		leftOut: number,
	): void {
		const { audit, logger } = this.#options;
		const { agentId: agent, tokenName: token, tokenId } = identity ?? {};
		logger.warn({ address, agent, token, tokenId, reason, leftOut }, 'agent refused');
		audit?.write({ event: 'handshake', address, agent, token, tokenId, outcome, reason, leftOut });
	}

	/** No agent may join any more; those that are here are told to join the hub that takes over, and serve here until they are retired. */
	moveAll(): void {
		this.draining = true;
		for (const link of this.#links.values()) link.move();
	}

	/** All agents are told to leave. */
	retireAll(reason: string): void {
		this.draining = true;
		for (const link of this.#links.values()) link.retire(reason);
	}

	/** Ends the tunnels whose tokens are revoked. @returns of each a promise that resolves when it is closed */
	endRevoked(): ReadonlyArray<Promise<void>> {
		const ended = this.all.filter(({ identity }) => this.#isRevoked(identity));
		for (const { identity } of ended) {
			const { agentId: agent, tokenName: token, tokenId } = identity;
			this.#options.logger.warn({ agent, token, tokenId }, "the agent's token was revoked: its tunnel is closed");
		}
		return ended.map((link) => link.end('revoked', "the agent's token was revoked"));
	}

	#expired(link: AgentLink): void {
		const { tokenExpiry, logger } = this.#options;
		const { agentId: agent, tokenName: token, tokenId } = link.identity;
		const closes = tokenExpiry === 'close';
		logger.warn(
			{ agent, token, tokenId },
			`the agent's token has expired: ${closes ? 'its tunnel is closed' : 'it gets no new requests'}`,
		);
		if (closes) void link.end('expired', "the agent's token has expired");
		else link.retire('expired');
	}

	#isRevoked({ tokenId, tokenName: name, issuedAt }: AgentIdentity): boolean {
		return this.#options.revocations.covers({ tokenId, name, issuedAt });
	}

	destroyAll(): void {
		for (const link of this.all) link.session.destroy();
	}

	async #identify(req: IncomingMessage, address: string): Promise<AgentIdentity> {
		const { certificates, bindIdentity, tokens } = this.#options;
		const certificate = certificates || bindIdentity ? peerCertificate(req.socket) : undefined;
		if ((certificates || bindIdentity) && !certificate?.verified) {
			throw new SlimeError('unauthorized', 'This hub wants a client certificate that its CA signed.');
		}
		const { token, agentId, info } = readTunnelRequest(req);
		const claims = await tokens.verify(token);
		if (bindIdentity && !certificate?.identities.includes(claims.name)) {
			throw new SlimeError('unauthorized', anotherName(certificate?.identities ?? [], claims.name));
		}
		return {
			tokenId: claims.tokenId,
			tokenName: claims.name,
			agentId,
			scopes: grantedScopes(claims.scopes, info.scopes),
			scopePaths: claims.scopePaths,
			issuedAt: claims.issuedAt,
			expiresAt: claims.expiresAt,
			info,
			address,
		};
	}

	#join(identity: AgentIdentity, socket: Duplex, head: Buffer): void {
		const { dispatcher, heartbeat, statistics, audit } = this.#options;
		const { tokenId, tokenName, agentId, info } = identity;
		const logger = this.#options.logger.child({ agent: agentId, token: tokenName, tokenId });
		const { expiresAt } = identity;
		const unwatch = expiresAt && whenPast(lastMoment(expiresAt), () => this.#expired(link));
		const link = new AgentLink({
			socket,
			head,
			identity,
			dispatcher,
			heartbeat,
			windows: this.#windows,
			statistics,
			logger,
			left: (gone) => {
				unwatch?.();
				this.#leaving.delete(gone);
				if (this.#links.get(gone.key) === gone) this.#links.delete(gone.key);
				if (this.#isEmpty) this.#whenEmpty?.();
			},
		});
		if (this.#options.drained(link.key)) link.drain();
		const before = this.#links.get(link.key);
		this.#links.set(link.key, link);
		statistics.tunnelOpened(link.key, before !== undefined);
		if (before) {
			this.#leaving.add(before);
			before.retire('replaced');
		}
		const { address } = identity;
		const { version: agentVersion, numWorker } = info;
		const replaced = before !== undefined;
		logger.info({ address, version: agentVersion, numWorker, replaced }, 'agent connected');
		const names = { agent: agentId, token: tokenName, tokenId };
		audit?.write({ event: 'handshake', address, ...names, version: agentVersion, replaced, outcome: 'ok' });
	}
}

/** @param wanted undefined is all that the token grants */
function grantedScopes(granted: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
	const missing = wanted?.find((scope) => !granted.includes(scope));
	if (missing === undefined) return wanted ?? granted;
	const has = granted.length === 0 ? 'none' : granted.join(', ');
	const sentence = `The agent wants the scope ${missing.slice(0, 64)}, which its token does not grant: it grants ${has.slice(0, 256)}.`;
	throw new SlimeError('unauthorized', sentence);
}

const REVOKED = 'The token was revoked; make another with slime hub register.';

/** For the agent's operator, whose certificate and token it is. */
function anotherName(identities: readonly string[], name: string): string {
	const held = identities.length === 0 ? 'nobody' : identities.slice(0, 3).join(', ').slice(0, 120);
	return `The client certificate is for ${held}, but the token is for ${name}: they must name the same agent.`;
}

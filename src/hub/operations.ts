/** What operators see of a hub and do to it, for the admin API. Changes nothing by itself: whoever owns a thing is told to. */
import type { ApiHub, ReloadOutcome, RevokeOutcome } from '../admin/api.ts';
import type { RequestStatus } from '../admin/requests.ts';
import type { TokenStatus } from '../admin/status.ts';
import type { Revocations, RevocationTarget } from '../auth/revocations.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { messageOf, SlimeError } from '../shared/errors.ts';
import type { Logger, LogLevel } from '../shared/logger.ts';
import { version } from '../shared/version.ts';
import { within } from '../shared/within.ts';
import type { Acceptor } from './acceptor.ts';
import { Admission } from './admission.ts';
import type { AgentControl } from './agent-control.ts';
import type { AgentLink } from './agent-link.ts';
import type { Gateway } from './gateway.ts';

/** How long the tunnels of a revoked token may take to close before that is not waited for, in milliseconds. */
const CLOSING = 1000;

/** Requests in one answer: more than anybody reads, and little enough to be made at once. */
const MOST_SHOWN = 1000;

export interface HubParts {
	readonly gateway: Gateway;
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly acceptor: Acceptor;
	readonly control: AgentControl;
	readonly revocations: Revocations;
	/** As they are now; `concurrent` 0 is no limit. */
	readonly limits: () => { readonly concurrent: number; readonly queue: { readonly max: number } };
	readonly reload: () => Promise<ReloadOutcome>;
	readonly logger: Logger;
}

export function operationsOf(parts: HubParts): ApiHub {
	const { gateway, dispatcher, acceptor, control, revocations, limits, logger } = parts;
	const started = performance.now();
	return {
		status() {
			const { slots: total, leased: used, waiting } = dispatcher.stats();
			const { concurrent, queue } = limits();
			return {
				version,
				uptime: Math.round(performance.now() - started),
				draining: gateway.leaving,
				agents: acceptor.all.map((link) => link.status),
				slots: { total, used, concurrent },
				queue: { waiting, max: queue.max },
			};
		},
		agents() {
			const atAgents = new Map<AgentLink, RequestStatus[]>(acceptor.all.map((link) => [link, []]));
			for (const request of firstOf(gateway.inFlight)) {
				if (request.link !== undefined) atAgents.get(request.link)?.push(request.shown);
			}
			return [...atAgents].map(([link, requests]) => link.details(requests));
		},
		requests: () => ({
			total: gateway.inFlight.length,
			requests: firstOf(gateway.inFlight).map((request) => request.shown),
		}),
		recent: () => gateway.recent.list,
		queue() {
			const waiting = dispatcher.waiters().filter((waiter) => waiter instanceof Admission);
			return {
				total: waiting.length,
				max: limits().queue.max,
				heldBytes: gateway.held.held,
				requests: firstOf(waiting).map((request) => request.shown),
			};
		},
		drained: () => control.drained,
		drain: (target) => control.drain(target),
		resume: (target) => control.resume(target),
		disconnect: (target) => control.disconnect(target),
		tokens: () => tokensOf(acceptor.all),
		revocations: () => revocations.list,
		revoke: (target) => revoke(parts, target),
		reload: parts.reload,
		get logLevel() {
			return logger.level as LogLevel;
		},
		set logLevel(level) {
			const before = logger.level;
			// Its children follow.
			logger.level = level;
			logger.info({ before, after: level }, 'an operator set the log level');
		},
	};
}

function firstOf(requests: Iterable<Admission>): Admission[] {
	const first: Admission[] = [];
	for (const request of requests) {
		if (first.push(request) === MOST_SHOWN) break;
	}
	return first;
}

/** By name. */
function tokensOf(links: readonly AgentLink[]): TokenStatus[] {
	const tokens = new Map<string, TokenStatus>();
	for (const { identity } of links) {
		const { tokenId, tokenName: name, issuedAt, expiresAt, scopes, scopePaths, agentId } = identity;
		const agents = new Set(tokens.get(tokenId)?.agents).add(agentId);
		tokens.set(tokenId, {
			tokenId,
			name,
			issuedAt: issuedAt.toISOString(),
			expiresAt: expiresAt?.toISOString(),
			scopes,
			scopePaths,
			agents: [...agents],
		});
	}
	return [...tokens.values()].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

async function revoke({ acceptor, revocations, logger }: HubParts, target: RevocationTarget): Promise<RevokeOutcome> {
	const revocation = revocations.add(target);
	logger.warn('tokenId' in target ? { tokenId: target.tokenId } : { token: target.name }, 'revoked');
	const closed = acceptor.endRevoked();
	const [kept] = await Promise.allSettled([revocations.save(), within(CLOSING, Promise.all(closed))]);
	if (kept.status === 'fulfilled') return { revocation, tunnels: closed.length };
	const reason = messageOf(kept.reason);
	logger.error({ reason }, 'a revocation was not kept: it holds until this hub ends');
	throw new SlimeError('internal', `Revoked, but only until this hub ends: it could not be kept (${reason}).`);
}

/** What operators see of a hub and do to it, for the admin API. Changes nothing by itself: whoever owns a thing is told to. */
import type { ApiHub, RevokeOutcome } from '../admin/api.ts';
import type { Revocations, RevocationTarget } from '../auth/revocations.ts';
import { messageOf, SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { version } from '../shared/version.ts';
import { within } from '../shared/within.ts';
import type { Acceptor } from './acceptor.ts';
import type { AgentControl } from './agent-control.ts';
import type { AgentLink } from './agent-link.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Gateway } from './gateway.ts';

/** How long the tunnels of a revoked token may take to close before that is not waited for, in milliseconds. */
const CLOSING = 1000;

export interface HubParts {
	readonly gateway: Gateway;
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly acceptor: Acceptor;
	readonly control: AgentControl;
	readonly revocations: Revocations;
	readonly queueMax: number;
	/** 0 is no limit. */
	readonly concurrent: number;
	readonly logger: Logger;
}

export function operationsOf(parts: HubParts): ApiHub {
	const { gateway, dispatcher, acceptor, control, revocations, queueMax, concurrent } = parts;
	const started = performance.now();
	return {
		status() {
			const { slots: total, leased: used, waiting } = dispatcher.stats();
			return {
				version,
				uptime: Math.round(performance.now() - started),
				draining: gateway.draining,
				agents: acceptor.all.map((link) => link.status),
				slots: { total, used, concurrent },
				queue: { waiting, max: queueMax },
			};
		},
		agents: () => acceptor.all.map((link) => link.details),
		drained: () => control.drained,
		drain: (target) => control.drain(target),
		resume: (target) => control.resume(target),
		disconnect: (target) => control.disconnect(target),
		revocations: () => revocations.list,
		revoke: (target) => revoke(parts, target),
	};
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

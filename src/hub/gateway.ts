/**
 * Admits one app request: who is asking, for what, and which agent takes it now or later.
 * Knows HTTP and the dispatcher; what happens on a tunnel is the exchange's business.
 */
import type { ApiKey } from '../auth/api-keys.ts';
import { type AppAuth, OPEN } from '../auth/app-auth.ts';
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { type AgentVerdict, tunnelRequest } from '../tunnel/fields.ts';
import type { AgentLink } from './agent-link.ts';
import { type AppRequest, isRepeatable, type ResponseListener } from './app-request.ts';
import { type Cors, isPreflight } from './cors.ts';
import { Deadlines } from './deadlines.ts';
import type { Dispatcher, Lease, Place, Refusal, Ticket, Waiter, Wanted } from './dispatcher.ts';
import { Exchange, type ExchangeOwner, errorOf } from './exchange.ts';
import { type BodyOwner, HeldBytes, RequestBody } from './request-body.ts';
import { newRequestId, requestIdOf } from './request-id.ts';
import type { ReplayReason, RequestOutcome, Statistics } from './statistics.ts';
import type { Upgrades } from './upgrades.ts';

const MAX_FIELDS = 1000;
/** Everything of Slime's own is below it. */
const OWN_PATHS = '/.slime/';

/** What the hub answers by itself to `OPTIONS *`, which asks about no upstream (RFC 9110 section 9.3.7). */
const ALLOWED = ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'];

const WAITS_FOR_WORKER: ReadonlySet<string> = new Set(['busy', 'queue_full', 'queue_timeout']);

export interface GatewayOptions {
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly appAuth: AppAuth;
	/** null where upstreams decide about cross-origin requests. */
	readonly cors: Cors | null;
	readonly upgrades: Upgrades;
	readonly queue: { readonly mode: 'header' | 'always'; readonly timeout: number; readonly maxBytes: number };
	readonly firstByteTimeout: number;
	/** Whether a request may be sent once more whose agent was lost, where that does no harm. */
	readonly retryIdempotent: boolean;
	readonly statistics: Statistics;
	readonly logger: Logger;
}

export class Gateway {
	readonly options: GatewayOptions;
	readonly held: HeldBytes;
	readonly deadlines: Deadlines;
	draining = false;
	#active = 0;
	#whenIdle: (() => void) | null = null;

	constructor(options: GatewayOptions) {
		this.options = options;
		this.held = new HeldBytes(options.queue.maxBytes);
		this.deadlines = new Deadlines(options.firstByteTimeout);
	}

	/** Resolves when no response is under way. */
	async idle(): Promise<void> {
		if (this.#active === 0) return;
		await new Promise<void>((resolve) => {
			this.#whenIdle = resolve;
		});
	}

	/** Requests whose responses have not ended. */
	get active(): number {
		return this.#active;
	}

	/** Seconds; by how fast workers come free where that is what is lacking. */
	retryAfter({ code, retryAfter }: SlimeError): number | undefined {
		return WAITS_FOR_WORKER.has(code) ? this.options.dispatcher.retryAfter : retryAfter;
	}

	began(): void {
		this.#active++;
	}

	ended(): void {
		if (--this.#active === 0) this.#whenIdle?.();
	}

	/** Serves a request, or answers it with an error. */
	handle(app: AppRequest): void {
		const requestId = requestIdOf(app.field('x-request-id')) ?? newRequestId();
		let admission: Admission | null;
		try {
			admission = this.#admit(app, requestId);
		} catch (error) {
			this.#refuse(app, error, requestId);
			return;
		}
		if (admission !== null) admission.begin();
	}

	/** null if it was answered. */
	#admit(app: AppRequest, requestId: string): Admission | null {
		const { method, target: url, fields } = app;
		if (fields.length > 2 * MAX_FIELDS) throw new SlimeError('headers_too_large', 'Too many header fields.');
		if (app.version === 'unknown') throw new SlimeError('bad_request', 'HTTP/1.0, 1.1 and 2 are served.');
		if (method === 'TRACE' || (method === 'CONNECT' && app.upgrade === undefined))
			throw new SlimeError('method_not_allowed');
		const { appAuth, cors } = this.options;
		if (cors !== null) app.decorator = cors.decoratorFor(app.field('origin'));
		// Browsers send no password before they know that they may.
		const preflight = cors !== null && isPreflight(app);
		const { by, key } = preflight ? OPEN : appAuth.check(app.field('slime-app-password'), app.field('authorization'));
		if (by === 'refused') throw new SlimeError('unauthorized');
		const upgrade = app.upgrade === undefined ? undefined : this.options.upgrades.serves(app.upgrade);
		if (app.upgrade !== undefined && upgrade === undefined) throw new SlimeError('not_implemented');
		const section = tunnelRequest(
			{ method, url, rawHeaders: fields, authority: app.authority, upgrade },
			{
				address: app.peer.address,
				trusted: app.peer.trusted !== null,
				secure: app.peer.secure,
				httpVersion: app.version,
				requestId,
				dropAuthorization: by === 'bearer',
			},
		);
		const target = section[section[4] === ':authority' ? 7 : 5] ?? '';
		if (preflight) {
			app.decorator = null;
			app.head(204, cors.preflight(app));
			app.finish(null, []);
			this.options.statistics.requestEnded(204, 'complete', 0);
			return null;
		}
		if (target.startsWith(OWN_PATHS)) throw new SlimeError('not_found');
		if (target === '*') {
			app.head(204, [...ALLOWED]);
			app.finish(null, []);
			this.options.statistics.requestEnded(204, 'complete', 0);
			return null;
		}
		if (this.draining) throw new SlimeError('draining');
		return new Admission(this, app, section, target, requestId, key);
	}

	#refuse(app: AppRequest, error: unknown, requestId: string): void {
		const { logger, statistics } = this.options;
		let told: SlimeError;
		if (error instanceof SlimeError) {
			told = error;
			const { method, address } = app;
			logger.debug({ requestId, address, method, error: told.code, status: told.status }, 'request refused');
		} else {
			logger.error({ requestId, err: error }, 'a request failed inside the hub');
			told = new SlimeError('internal');
		}
		statistics.requestEnded(told.status, told.code, 0);
		app.refuse(told, requestId, this.retryAfter(told));
	}
}

class Admission implements ExchangeOwner, Waiter<AgentLink>, ResponseListener, BodyOwner {
	readonly app: AppRequest;
	readonly body: RequestBody;
	readonly #gateway: Gateway;
	readonly #key: ApiKey | null;
	readonly #section: FieldList;
	readonly #requestId: string;
	readonly #wanted: Wanted;
	readonly #waits: boolean;
	readonly #queueTimeout: number;
	readonly #urgency: number;
	readonly #began = performance.now();
	#exchange: Exchange | null = null;
	#ticket: Ticket | null = null;
	#place: Place | undefined;
	/** Its place in line when it began to wait, 0 if it did not. */
	#position = 0;
	/** Milliseconds in the queue. */
	#waited = 0;
	/** When it last began to wait, from performance.now(). */
	#waitBegan = 0;

	/** Agents that refused it, and what the last one said. */
	#tried: Set<AgentLink> | undefined;
	#verdict: AgentVerdict | null = null;
	/** Its agent was lost, and it is being sent again. */
	#repeated = false;
	#over = false;
	/** The app's side is over. */
	#appClosed = false;

	/** @throws SlimeError for fields that make no sense, and for what its key does not allow */
	constructor(
		gateway: Gateway,
		app: AppRequest,
		section: FieldList,
		target: string,
		requestId: string,
		key: ApiKey | null,
	) {
		this.#gateway = gateway;
		this.#key = key;
		this.app = app;
		this.#section = section;
		this.#requestId = requestId;
		const { queue } = gateway.options;
		const query = target.indexOf('?');
		const scope = app.field('slime-scope') || undefined;
		this.#wanted = {
			scope: key === null ? scope : key.scopeFor(scope),
			path: query < 0 ? target : target.slice(0, query),
			affinity: app.field('slime-affinity') || undefined,
		};
		this.#waits = wantsToWait(app.field('slime-block'), queue.mode);
		this.#queueTimeout = queueTimeout(app.field('slime-queue-timeout'), queue.timeout);
		const urgency = urgencyOf(app.field('priority'));
		this.#urgency = key === null ? urgency : key.urgencyFor(urgency);
		key?.enter(this.#began);
		this.body = new RequestBody(app, gateway.held, gateway.options.statistics, this);
		app.listen(this);
		gateway.began();
	}

	begin(): void {
		const { dispatcher } = this.#gateway.options;
		const lease = dispatcher.acquire(this.#wanted, this.#tried, this.#urgency);
		if (typeof lease === 'object') this.granted(lease);
		else if (this.#verdict !== null) this.failed(errorOf(this.#verdict));
		else if (this.#waits) this.#wait();
		else this.failed(new SlimeError(this.#repeated ? 'agent_lost' : this.#tried ? 'busy' : lease));
	}

	#wait(): void {
		this.#waitBegan = performance.now();
		const waited = this.#waitBegan - this.#began;
		const ticket = this.#gateway.options.dispatcher.wait(
			this.#wanted,
			{
				urgency: this.#urgency,
				timeout: Math.max(0, this.#queueTimeout - waited),
				caller: this.#key === null ? this.app.address : this.#key.caller,
				place: this.#place,
			},
			this,
		);
		if (ticket === 'queue_full') {
			this.failed(new SlimeError('queue_full'));
			return;
		}
		this.#ticket = ticket;
		if (this.#position === 0) this.#position = ticket.position;
		this.body.hold();
	}

	// Waiter

	granted(lease: Lease<AgentLink>): void {
		const waited = this.#ticket !== null;
		this.#ticket = null;
		if (this.#over) {
			lease.release();
			return;
		}
		this.#place ??= lease.place;
		const { statistics } = this.#gateway.options;
		if (waited) {
			const now = performance.now();
			this.#waited = now - this.#began;
			statistics.queueWait.observe((now - this.#waitBegan) / 1000);
		}
		this.#exchange = new Exchange(this, lease, this.#gateway.deadlines, statistics);
		this.#exchange.start(this.#section);
	}

	refused(code: Refusal): void {
		this.#ticket = null;
		this.failed(new SlimeError(this.#repeated ? 'agent_lost' : code));
	}

	// ExchangeOwner

	get timing(): string | undefined {
		if (this.#position === 0) return undefined;
		return `queue;dur=${this.#waited.toFixed(1)};desc="position ${this.#position}"`;
	}

	notStarted(link: AgentLink, verdict: AgentVerdict | null): void {
		if (verdict === null && !this.#over) link.refused();
		this.#goElsewhere(link, verdict, verdict === null ? 'refused' : 'upstream');
	}

	lost(link: AgentLink): void {
		const { retryIdempotent } = this.#gateway.options;
		if (!retryIdempotent || this.#repeated || !isRepeatable(this.app)) {
			this.failed(new SlimeError('agent_lost'));
			return;
		}
		this.#repeated = true;
		this.#goElsewhere(link, null, 'lost');
	}

	#goElsewhere(link: AgentLink, verdict: AgentVerdict | null, why: ReplayReason): void {
		this.#exchange = null;
		if (this.#over) return;
		this.#gateway.options.statistics.replays[why]++;
		this.#tried ??= new Set();
		this.#tried.add(link);
		this.#verdict = verdict;
		this.begin();
	}

	failed(error: SlimeError): void {
		if (this.#over) return;
		this.#finish(error.code, error.status, error.message);
		this.app.refuse(error, this.#requestId, this.#gateway.retryAfter(error));
	}

	done(outcome: 'complete' | 'cut', reason?: string): void {
		this.#finish(outcome, this.app.status, reason);
	}

	// ResponseListener

	responseDrained(): void {
		this.#exchange?.responseDrained();
	}

	/** The app's side is over, for whatever reason. */
	responseClosed(): void {
		this.#appClosed = true;
		if (this.#over) {
			this.#gateway.ended();
			return;
		}
		// An app that has ended both sides in order is owed that the rest of what it sent arrives.
		if (this.#exchange?.sendsOn) return;
		this.#abort('app_gone');
	}

	requestBroken(): void {
		this.#abort('bad_request');
	}

	// BodyOwner

	trailersForbidden(): void {
		if (this.#over) return;
		this.#ticket?.leave();
		this.#exchange?.abort();
		if (this.app.status === undefined) {
			this.failed(new SlimeError('bad_request', 'The trailers hold a field that may not come late.'));
			return;
		}
		this.app.cut();
		this.#finish('bad_request', this.app.status);
	}

	#abort(outcome: RequestOutcome): void {
		if (this.#over) return;
		this.#ticket?.leave();
		this.#exchange?.abort();
		this.#finish(outcome, this.app.status);
	}

	#finish(outcome: RequestOutcome, status: number | undefined, reason?: string): void {
		if (this.#over) return;
		this.#over = true;
		this.#key?.leave();
		if (this.#appClosed) this.#gateway.ended();
		this.body.stop();
		const { logger, statistics } = this.#gateway.options;
		const ms = performance.now() - this.#began;
		statistics.requestEnded(status, outcome, ms);
		const level = outcome === 'complete' || outcome === 'app_gone' ? 'debug' : 'info';
		if (!logger.isLevelEnabled(level)) return;
		logger[level](
			{
				requestId: this.#requestId,
				address: this.app.address,
				key: this.#key?.name,
				method: this.app.method,
				upgrade: this.app.upgrade,
				path: this.#wanted.path,
				agent: this.#exchange?.link.identity.agentId,
				status,
				outcome,
				reason,
				queuedMs: this.#position > 0 ? Math.round(this.#waited) : undefined,
				position: this.#position || undefined,
				ms: Math.round(ms),
			},
			'request',
		);
	}
}

function wantsToWait(block: string | undefined, mode: 'header' | 'always'): boolean {
	if (block === undefined) return mode === 'always';
	const value = block.trim().toLowerCase();
	return value !== '' && value !== '0' && value !== 'false';
}

/** Milliseconds. @throws SlimeError bad_request */
function queueTimeout(seconds: string | undefined, most: number): number {
	if (seconds === undefined) return most;
	const value = /^\s*\d{1,9}(?:\.\d{1,9})?\s*$/.test(seconds) ? Number(seconds) : Number.NaN;
	if (Number.isNaN(value))
		throw new SlimeError('bad_request', 'Slime-Queue-Timeout is a number of seconds, such as 2.5.');
	return Math.min(value * 1000, most);
}

/** The `u` of RFC 9218, 3 without one. */
function urgencyOf(priority: string | undefined): number {
	const urgency = priority === undefined ? null : /(?:^|,)\s*u=([0-7])\s*(?:$|[,;])/.exec(priority);
	return urgency?.[1] === undefined ? 3 : Number(urgency[1]);
}

/**
 * One app request that was let in: which agent takes it now or later, again if it certainly did not start, and how it ended. Knows the
 * dispatcher; what happens on a tunnel is the exchange's business.
 */
import type { RequestStatus } from '../admin/requests.ts';
import type { ApiKey } from '../auth/api-keys.ts';
import type { Lease, Place, Refusal, Ticket, Waiter, Wanted } from '../dispatch/dispatcher.ts';
import type { FieldList } from '../h2/protocol.ts';
import { bounded } from '../shared/bounded.ts';
import { SlimeError } from '../shared/errors.ts';
import type { AgentVerdict } from '../tunnel/fields.ts';
import type { AccessRecord } from './access-log.ts';
import type { AgentLink } from './agent-link.ts';
import { type AppRequest, isRepeatable, type ResponseListener } from './app-request.ts';
import { Exchange, type ExchangeOwner, errorOf } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import { InFlight } from './in-flight.ts';
import { type BodyOwner, RequestBody } from './request-body.ts';
import { RequestTrace } from './request-trace.ts';
import type { ReplayReason, RequestOutcome } from './statistics.ts';
import { upstreamDown } from './upstream-report.ts';
import { queueTimeout, urgencyOf, wantsToWait } from './wishes.ts';

export class Admission extends InFlight implements ExchangeOwner, Waiter<AgentLink>, ResponseListener, BodyOwner {
	readonly app: AppRequest;
	readonly body: RequestBody;
	readonly #gateway: Gateway;
	readonly #key: ApiKey | null;
	readonly #section: FieldList;
	readonly #requestId: string;
	readonly #wanted: Wanted;
	/** It asked to wait. */
	readonly #waits: boolean;
	/** Milliseconds that it may wait, from its beginning on; 0 if it did not ask to and the hub has no reason to be patient. */
	#queueTimeout: number;
	readonly #urgency: number;
	readonly #began = performance.now();
	/** null where nothing is traced. */
	readonly #trace: RequestTrace | null;
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
	/** How many agents it was sent to. */
	#attempts = 0;
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
		super();
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
		const block = app.field('slime-block');
		this.#waits = wantsToWait(block, queue.mode);
		const timeout = queueTimeout(app.field('slime-queue-timeout'), queue.timeout);
		const patience = block === undefined ? Math.max(0, gateway.patientUntil - this.#began) : 0;
		this.#queueTimeout = this.#waits ? timeout : Math.min(timeout, patience);
		const urgency = urgencyOf(app.field('priority'));
		this.#urgency = key === null ? urgency : key.urgencyFor(urgency);
		key?.enter(this.#began);
		const { tracing } = gateway.options;
		this.#trace = tracing && new RequestTrace(tracing, app, requestId, this.#wanted.path, this.#began, key?.name);
		this.body = new RequestBody(app, gateway.held, gateway.options.statistics, this);
		app.listen(this);
		gateway.began(this);
	}

	/** The agent that has it; undefined while it waits for one. */
	get link(): AgentLink | undefined {
		return this.#exchange?.link;
	}

	/** What operators are shown. */
	get shown(): RequestStatus {
		const { method, upgrade, address, status } = this.app;
		const { scope, path } = this.#wanted;
		const age = performance.now() - this.#began;
		const begun = status === undefined ? 'sent' : 'answering';
		return {
			id: this.#requestId,
			state: this.#exchange === null ? 'waiting' : begun,
			method: bounded(method),
			path: bounded(path),
			upgrade,
			scope: scope === undefined ? undefined : bounded(String(scope)),
			address,
			key: this.#key?.name,
			urgency: this.#urgency,
			agent: this.#exchange?.link.identity.agentId,
			status,
			age: Math.round(age),
			waited: Math.round(this.#ticket === null ? this.#waited : age),
			position: this.#position || undefined,
		};
	}

	begin(): void {
		const { dispatcher } = this.#gateway.options;
		const lease = dispatcher.acquire(this.#wanted, this.#tried, this.#urgency);
		if (typeof lease === 'object') this.granted(lease);
		else if (lease === 'down') this.#upstreamsDown();
		else if (this.#verdict !== null) this.failed(errorOf(this.#verdict));
		else if (this.#waits || this.#queueTimeout > 0) this.#wait();
		else this.failed(new SlimeError(this.#repeated ? 'agent_lost' : this.#tried ? 'busy' : lease));
	}

	/** All agents that could have served it are left alone. */
	#upstreamsDown(): void {
		const { dispatcher, queue } = this.#gateway.options;
		if (this.#waits && queue.waitForUpstream) this.#wait();
		else if (this.#repeated) this.failed(new SlimeError('agent_lost'));
		else if (this.#verdict !== null) this.failed(errorOf(this.#verdict));
		else this.failed(upstreamDown(dispatcher.anyFor(this.#wanted)?.upstream.fault));
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
			this.#unserved(ticket);
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
			this.#trace?.queued(this.#waitBegan, now);
			statistics.queueWait.observe(this.#wanted.scope, (now - this.#waitBegan) / 1000);
		}
		this.#attempts++;
		this.#exchange = new Exchange(this, lease, this.#gateway.deadlines, statistics);
		this.#exchange.start(this.#trace?.sent(this.#section, lease.member.identity) ?? this.#section);
	}

	refused(code: Refusal): void {
		this.#ticket = null;
		this.#waited = performance.now() - this.#began;
		this.#unserved(code);
	}

	#unserved(code: Refusal | 'queue_full'): void {
		if (this.#waits || code === 'draining') {
			this.failed(new SlimeError(this.#repeated && code !== 'queue_full' ? 'agent_lost' : code));
			return;
		}
		// It never asked to wait: it is told what is lacking now.
		this.#queueTimeout = 0;
		this.begin();
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
		this.#trace?.settled(0, performance.now(), undefined, verdict?.code ?? why);
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
		const { logger, statistics, accessLog } = this.#gateway.options;
		const ms = performance.now() - this.#began;
		if (this.#ticket !== null) this.#waited = ms;
		statistics.requestEnded(status, outcome, ms);
		this.#endTrace(outcome, status, this.#began + ms);
		this.#gateway.over(this, {
			id: this.#requestId,
			began: this.#began,
			method: this.app.method,
			path: this.#wanted.path,
			upgrade: this.app.upgrade,
			scope: this.#wanted.scope,
			address: this.app.address,
			key: this.#key?.name,
			agent: this.#exchange?.link.identity.agentId,
			status,
			outcome,
			reason,
			waited: this.#waited,
			position: this.#position || undefined,
			total: ms,
		});
		if (accessLog?.wants(outcome, status)) accessLog.write(this.#record(outcome, status, ms));
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

	#endTrace(outcome: RequestOutcome, status: number | undefined, now: number): void {
		const trace = this.#trace;
		if (trace === null) return;
		if (this.#ticket !== null) trace.queued(this.#waitBegan, now);
		const failed = outcome !== 'complete' && outcome !== 'app_gone';
		trace.settled(this.#exchange?.headAt ?? 0, now, status, failed ? outcome : undefined);
		trace.end(now, outcome, status, this.#attempts);
	}

	#record(outcome: RequestOutcome, status: number | undefined, totalMs: number): AccessRecord {
		const exchange = this.#exchange;
		return {
			app: this.app,
			address: this.app.address,
			requestId: this.#requestId,
			traceId: this.#trace?.traceId,
			key: this.#key?.name,
			scope: this.#wanted.scope,
			path: this.#wanted.path,
			agent: exchange?.link.identity,
			attempts: this.#attempts,
			status,
			outcome,
			requestBytes: this.body.received,
			responseBytes: exchange?.responseBytes ?? 0,
			queueMs: this.#position > 0 ? this.#waited : undefined,
			firstByteMs: exchange !== null && exchange.headAt > 0 ? exchange.headAt - this.#began : undefined,
			totalMs,
		};
	}
}

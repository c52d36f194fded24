/**
 * Admits one app request: who is asking, for what, and which agent takes it now or later.
 * Knows HTTP and the dispatcher; what happens on a tunnel is the exchange's business.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppAuth } from '../auth/app-auth.ts';
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { type AgentVerdict, tunnelRequest } from '../tunnel/fields.ts';
import type { AgentLink } from './agent-link.ts';
import { answerError } from './answer.ts';
import { Deadlines } from './deadlines.ts';
import type { Dispatcher, Lease, Refusal, Ticket, Waiter, Wanted } from './dispatcher.ts';
import { Exchange, type ExchangeOwner, errorOf } from './exchange.ts';
import { HeldBytes, RequestBody } from './request-body.ts';
import { newRequestId, requestIdOf } from './request-id.ts';

const MAX_FIELDS = 1000;
/** Everything of Slime's own is below it. */
const OWN_PATHS = '/.slime/';

export interface GatewayOptions {
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly appAuth: AppAuth;
	readonly queue: { readonly mode: 'header' | 'always'; readonly timeout: number; readonly maxBytes: number };
	readonly firstByteTimeout: number;
	readonly logger: Logger;
}

/** Where the admission of a response is found when the response closes; spares a closure for every request. */
const ADMISSION = Symbol('admission');
type AdmittedResponse = ServerResponse & { [ADMISSION]?: Admission };

export class Gateway {
	readonly options: GatewayOptions;
	readonly held: HeldBytes;
	readonly deadlines: Deadlines;
	draining = false;
	/** Requests whose responses have not ended. */
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

	began(): void {
		this.#active++;
	}

	ended(): void {
		if (--this.#active === 0) this.#whenIdle?.();
	}

	/** Serves a request. @param asksFirst it said Expect: 100-continue */
	handle(req: IncomingMessage, res: ServerResponse, asksFirst: boolean): void {
		// A pipelined request waits for the response before it: unsafe ones may not overtake (RFC 9112 section 9.3.2).
		if (res.socket === null) {
			res.once('socket', () => this.handle(req, res, asksFirst));
			return;
		}
		const requestId = requestIdOf(req.headers['x-request-id']) ?? newRequestId();
		let admission: Admission;
		try {
			admission = this.#admit(req, res, requestId, asksFirst);
		} catch (error) {
			this.#refuse(req, res, error, requestId);
			return;
		}
		admission.begin();
	}

	#admit(req: IncomingMessage, res: ServerResponse, requestId: string, asksFirst: boolean): Admission {
		const method = req.method ?? '';
		const url = req.url ?? '';
		if (req.rawHeaders.length > 2 * MAX_FIELDS) throw new SlimeError('headers_too_large', 'Too many header fields.');
		if (method === 'TRACE' || method === 'CONNECT') throw new SlimeError('method_not_allowed');
		const { headers } = req;
		const verdict = this.options.appAuth.check(single(headers['slime-app-password']), headers.authorization);
		if (verdict === 'refused') throw new SlimeError('unauthorized');
		const section = tunnelRequest(
			{ method, url, rawHeaders: req.rawHeaders },
			{
				address: req.socket.remoteAddress ?? 'unknown',
				secure: 'encrypted' in req.socket,
				httpVersion: req.httpVersion,
				requestId,
				dropAuthorization: verdict === 'bearer',
			},
		);
		const target = section[section[4] === ':authority' ? 7 : 5] ?? '';
		if (target.startsWith(OWN_PATHS)) throw new SlimeError('not_found');
		if (this.draining) throw new SlimeError('draining');
		return new Admission(this, req, res, section, target, requestId, asksFirst);
	}

	#refuse(req: IncomingMessage, res: ServerResponse, error: unknown, requestId: string): void {
		const { logger } = this.options;
		let told: SlimeError;
		if (error instanceof SlimeError) {
			told = error;
			logger.debug({ requestId, method: req.method, error: told.code, status: told.status }, 'request refused');
		} else {
			logger.error({ requestId, err: error }, 'a request failed inside the hub');
			told = new SlimeError('internal');
		}
		// Whoever sends what cannot be understood might mean something else by what follows it.
		if (told.code === 'bad_request' || told.code === 'headers_too_large') res.setHeader('connection', 'close');
		answerError(req, res, told, requestId);
	}
}

class Admission implements ExchangeOwner, Waiter<AgentLink> {
	readonly req: IncomingMessage;
	readonly res: ServerResponse;
	readonly body: RequestBody;
	readonly #gateway: Gateway;
	readonly #section: FieldList;
	readonly #requestId: string;
	readonly #wanted: Wanted;
	readonly #waits: boolean;
	readonly #queueTimeout: number;
	readonly #began = performance.now();
	#exchange: Exchange | null = null;
	#ticket: Ticket | null = null;
	#seq: number | undefined;
	/** Agents that refused it, and what the last one said. */
	#tried: Set<AgentLink> | undefined;
	#verdict: AgentVerdict | null = null;
	#over = false;

	constructor(
		gateway: Gateway,
		req: IncomingMessage,
		res: AdmittedResponse,
		section: FieldList,
		target: string,
		requestId: string,
		asksFirst: boolean,
	) {
		this.#gateway = gateway;
		this.req = req;
		this.res = res;
		this.#section = section;
		this.#requestId = requestId;
		const { headers } = req;
		const { queue } = gateway.options;
		const query = target.indexOf('?');
		this.#wanted = {
			scope: single(headers['slime-scope']) || undefined,
			path: query < 0 ? target : target.slice(0, query),
			affinity: single(headers['slime-affinity']) || undefined,
		};
		this.#waits = wantsToWait(single(headers['slime-block']), queue.mode);
		this.#queueTimeout = queueTimeout(single(headers['slime-queue-timeout']), queue.timeout);
		this.body = new RequestBody(req, gateway.held, asksFirst ? () => res.writeContinue() : null);
		res[ADMISSION] = this;
		res.on('close', onResponseClosed);
		gateway.began();
	}

	begin(): void {
		const { dispatcher } = this.#gateway.options;
		const lease = dispatcher.acquire(this.#wanted, this.#tried);
		if (typeof lease === 'object') this.granted(lease);
		else if (this.#verdict !== null) this.failed(errorOf(this.#verdict));
		else if (this.#waits) this.#wait();
		else this.failed(new SlimeError(this.#tried ? 'busy' : lease));
	}

	#wait(): void {
		const waited = performance.now() - this.#began;
		const ticket = this.#gateway.options.dispatcher.wait(
			this.#wanted,
			{
				urgency: urgencyOf(single(this.req.headers.priority)),
				timeout: Math.max(0, this.#queueTimeout - waited),
				seq: this.#seq,
			},
			this,
		);
		if (ticket === 'queue_full') {
			this.failed(new SlimeError('queue_full'));
			return;
		}
		this.#ticket = ticket;
		this.body.hold();
	}

	// Waiter

	granted(lease: Lease<AgentLink>): void {
		this.#ticket = null;
		if (this.#over) {
			lease.release();
			return;
		}
		this.#seq ??= lease.seq;
		this.#exchange = new Exchange(this, lease, this.#gateway.deadlines);
		this.#exchange.start(this.#section);
	}

	refused(code: Refusal): void {
		this.#ticket = null;
		this.failed(new SlimeError(code));
	}

	// ExchangeOwner

	notStarted(link: AgentLink, verdict: AgentVerdict | null): void {
		this.#exchange = null;
		if (this.#over) return;
		this.#tried ??= new Set();
		this.#tried.add(link);
		this.#verdict = verdict;
		if (verdict === null) link.refused();
		this.begin();
	}

	failed(error: SlimeError): void {
		if (this.#over) return;
		this.#finish(error.code, error.message);
		answerError(this.req, this.res, error, this.#requestId);
	}

	done(outcome: 'complete' | 'cut', reason?: string): void {
		this.#finish(outcome, reason);
	}

	/** The app's side is over, for whatever reason. */
	responseClosed(): void {
		this.#gateway.ended();
		if (this.#over) return;
		this.#ticket?.leave();
		this.#exchange?.abort();
		this.#finish('app_gone');
	}

	#finish(outcome: string, reason?: string): void {
		if (this.#over) return;
		this.#over = true;
		this.body.stop();
		const { logger } = this.#gateway.options;
		const level = outcome === 'complete' || outcome === 'app_gone' ? 'debug' : 'info';
		if (!logger.isLevelEnabled(level)) return;
		logger[level](
			{
				requestId: this.#requestId,
				method: this.req.method,
				path: this.#wanted.path,
				agent: this.#exchange?.link.identity.agentId,
				status: this.res.headersSent ? this.res.statusCode : undefined,
				outcome,
				reason,
				ms: Math.round(performance.now() - this.#began),
			},
			'request',
		);
	}
}

function onResponseClosed(this: AdmittedResponse): void {
	this[ADMISSION]?.responseClosed();
}

/** The value of a field that may come once; joined by Node if it came more often. */
function single(value: string | string[] | undefined): string | undefined {
	return typeof value === 'string' ? value : value?.[0];
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

/** Who may ask for what: lets app requests in, as an Admission each, or answers them with an error. Knows HTTP and nothing of agents. */
import type { ApiKey } from '../auth/api-keys.ts';
import { type AppAuth, type AppVerdict, OPEN } from '../auth/app-auth.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { Tracing } from '../shared/tracing.ts';
import { tunnelRequest } from '../tunnel/fields.ts';
import type { AccessLog } from './access-log.ts';
import { Admission } from './admission.ts';
import type { AgentLink } from './agent-link.ts';
import type { AppRequest } from './app-request.ts';
import { type Cors, isPreflight } from './cors.ts';
import { Deadlines } from './deadlines.ts';
import { InFlightList } from './in-flight.ts';
import { type EndedRequest, RecentRequests } from './recent-requests.ts';
import { HeldBytes } from './request-body.ts';
import { newRequestId, requestIdOf } from './request-id.ts';
import type { RequestOutcome, Statistics } from './statistics.ts';
import type { Upgrades } from './upgrades.ts';

const MAX_FIELDS = 1000;
/** Everything of Slime's own is below it. */
const OWN_PATHS = '/.slime/';

/** What the hub answers by itself to `OPTIONS *`, which asks about no upstream (RFC 9110 section 9.3.7). */
const ALLOWED = ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'];

const WAITS_FOR_WORKER: ReadonlySet<string> = new Set(['busy', 'queue_full', 'queue_timeout']);

export interface QueueOptions {
	readonly mode: 'header' | 'always';
	readonly timeout: number;
	readonly maxBytes: number;
	/** Whether requests that wait do so also while nothing but upstreams is lacking. */
	readonly waitForUpstream?: boolean | undefined;
}

/** What may change while the gateway is at work. */
export interface GatewaySettings {
	/** null where upstreams decide about cross-origin requests. */
	readonly cors: Cors | null;
	readonly upgrades: Upgrades;
	readonly queue: QueueOptions;
	readonly firstByteTimeout: number;
	/** Whether a request may be sent once more whose agent was lost, where that does no harm. */
	readonly retryIdempotent: boolean;
	/** null if there is none. */
	readonly accessLog: AccessLog | null;
}

export interface GatewayOptions extends GatewaySettings {
	readonly dispatcher: Dispatcher<AgentLink>;
	readonly appAuth: AppAuth;
	readonly statistics: Statistics;
	/** null where nothing is traced. */
	readonly tracing: Tracing | null;
	readonly logger: Logger;
}

export class Gateway {
	options: GatewayOptions;
	readonly held: HeldBytes;
	/** Of requests that are dispatched from now on. */
	deadlines: Deadlines;
	readonly inFlight = new InFlightList<Admission>();
	readonly recent = new RecentRequests();
	/** The hub is about to end. */
	leaving = false;
	/** Requests that come now are refused. */
	draining = false;
	/** Until then, by performance.now(), requests wait that would not: agents are on their way here, or to the hub that takes over. */
	patientUntil = 0;
	/** Requests that were let in so far. */
	begun = 0;
	#active = 0;
	#whenIdle: (() => void) | null = null;

	constructor(options: GatewayOptions) {
		this.options = options;
		this.held = new HeldBytes(options.queue.maxBytes);
		this.deadlines = new Deadlines(options.firstByteTimeout);
	}

	/** For requests that come from now on; those that are here keep the limits in time that they began with. */
	configure(settings: GatewaySettings): void {
		const { queue, firstByteTimeout } = settings;
		if (firstByteTimeout !== this.options.firstByteTimeout) this.deadlines = new Deadlines(firstByteTimeout);
		this.held.max = queue.maxBytes;
		this.options = { ...this.options, ...settings };
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

	began(admission: Admission): void {
		this.begun++;
		this.#active++;
		this.inFlight.add(admission);
	}

	/** How it ended is settled; its response may still be leaving. */
	over(admission: Admission, ended: EndedRequest): void {
		this.inFlight.remove(admission);
		this.recent.add(ended);
	}

	ended(): void {
		if (--this.#active === 0) this.#whenIdle?.();
	}

	/** Serves a request, or answers it with an error. */
	handle(app: AppRequest): void {
		const requestId = requestIdOf(app.field('x-request-id')) ?? newRequestId();
		let verdict: AppVerdict = OPEN;
		let admission: Admission | null;
		try {
			verdict = this.#authenticate(app);
			admission = this.#admit(app, requestId, verdict);
		} catch (error) {
			this.#refuse(app, error, requestId, verdict.key);
			return;
		}
		if (admission !== null) admission.begin();
	}

	#authenticate(app: AppRequest): AppVerdict {
		const { method, fields } = app;
		if (fields.length > 2 * MAX_FIELDS) throw new SlimeError('headers_too_large', 'Too many header fields.');
		if (app.version === 'unknown') throw new SlimeError('bad_request', 'HTTP/1.0, 1.1 and 2 are served.');
		if (method === 'TRACE' || (method === 'CONNECT' && app.upgrade === undefined))
			throw new SlimeError('method_not_allowed');
		const { appAuth, cors } = this.options;
		if (cors !== null) app.decorator = cors.decoratorFor(app.field('origin'));
		// Browsers send no password before they know that they may.
		if (cors !== null && isPreflight(app)) return OPEN;
		const verdict = appAuth.check(app.field('slime-app-password'), app.field('authorization'));
		if (verdict.by === 'refused') throw new SlimeError('unauthorized');
		return verdict;
	}

	/** null if it was answered. */
	#admit(app: AppRequest, requestId: string, { by, key }: AppVerdict): Admission | null {
		const { method, target: url, fields } = app;
		const { cors, upgrades } = this.options;
		const upgrade = app.upgrade === undefined ? undefined : upgrades.serves(app.upgrade);
		if (app.upgrade !== undefined && upgrade === undefined) throw new SlimeError('not_implemented');
		const section = tunnelRequest(
			{ method, url, rawHeaders: fields, authority: app.authority, upgrade, asksFirst: app.asksFirst },
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
		if (cors !== null && isPreflight(app)) {
			app.decorator = null;
			this.#answer(app, requestId, key, cors.preflight(app));
			return null;
		}
		if (target.startsWith(OWN_PATHS)) throw new SlimeError('not_found');
		if (target === '*') {
			this.#answer(app, requestId, key, [...ALLOWED]);
			return null;
		}
		if (this.draining) throw new SlimeError('draining');
		return new Admission(this, app, section, target, requestId, key);
	}

	/** What the hub answers by itself. */
	#answer(app: AppRequest, requestId: string, key: ApiKey | null, fields: string[]): void {
		app.head(204, fields);
		app.finish(null, []);
		this.#ended(app, requestId, key, 204, 'complete');
	}

	#refuse(app: AppRequest, error: unknown, requestId: string, key: ApiKey | null): void {
		const { logger } = this.options;
		let told: SlimeError;
		if (error instanceof SlimeError) {
			told = error;
			const { method, address } = app;
			logger.debug({ requestId, address, method, error: told.code, status: told.status }, 'request refused');
		} else {
			logger.error({ requestId, err: error }, 'a request failed inside the hub');
			told = new SlimeError('internal');
		}
		this.#ended(app, requestId, key, told.status, told.code);
		app.refuse(told, requestId, this.retryAfter(told));
	}

	/** What a connection said was no request, and it was told so. @param address of the peer */
	refusedConnection({ status, code }: SlimeError, address: string): void {
		const { statistics, accessLog } = this.options;
		statistics.requestEnded(status, code, 0);
		if (accessLog?.wants(code, status)) accessLog.write({ address, status, outcome: code, totalMs: 0 });
	}

	/** Counts and logs a request that was answered at once. */
	#ended(app: AppRequest, requestId: string, apiKey: ApiKey | null, status: number, outcome: RequestOutcome): void {
		const { statistics, accessLog } = this.options;
		statistics.requestEnded(status, outcome, 0);
		if (!accessLog?.wants(outcome, status)) return;
		const { address, target } = app;
		const [scope, path, key] = [app.field('slime-scope'), target.split('?', 1)[0], apiKey?.name];
		accessLog.write({ app, address, requestId, key, scope, path, status, outcome, totalMs: 0 });
	}
}

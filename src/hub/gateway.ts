/** Who may ask for what: lets app requests in, as an Admission each, or answers them with an error. Knows HTTP and nothing of agents. */
import { type AppAuth, OPEN } from '../auth/app-auth.ts';
import { SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { tunnelRequest } from '../tunnel/fields.ts';
import { Admission } from './admission.ts';
import type { AgentLink } from './agent-link.ts';
import type { AppRequest } from './app-request.ts';
import { type Cors, isPreflight } from './cors.ts';
import { Deadlines } from './deadlines.ts';
import type { Dispatcher } from './dispatcher.ts';
import { InFlightList } from './in-flight.ts';
import { type EndedRequest, RecentRequests } from './recent-requests.ts';
import { HeldBytes } from './request-body.ts';
import { newRequestId, requestIdOf } from './request-id.ts';
import type { Statistics } from './statistics.ts';
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

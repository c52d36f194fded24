/** A hub's admin listener and who may use it. Another address gets another listener while the hub runs; another token the same one. */
import { isDeepStrictEqual } from 'node:util';
import { AdminAccess } from '../admin/access.ts';
import { EventLoopLag } from '../admin/event-loop-lag.ts';
import type { Route } from '../admin/router.ts';
import { type AdminAddress, AdminServer, type AdminOptions as AdminServerOptions } from '../admin/server.ts';
import type { Histogram } from '../shared/histogram.ts';
import type { Logger } from '../shared/logger.ts';
import type { Prepared } from './listeners.ts';
import type { HubOptions } from './options.ts';

type AdminOptions = Pick<HubOptions, 'adminHost' | 'adminPort' | 'adminToken' | 'adminRequired' | 'listenOn'>;

interface Running {
	/** Where it was to listen. */
	readonly where: AdminAddress;
	readonly server: AdminServer;
	readonly access: AdminAccess;
	/** Undefined if it is off. */
	readonly port: number | undefined;
	readonly lag: EventLoopLag | null;
}

export class AdminListener {
	readonly #routes: (lag: Histogram) => readonly Route[];
	readonly #common: Omit<AdminServerOptions, 'routes' | 'access'>;
	readonly #logger: Logger;
	#running: Running | null = null;
	/** Listeners that another one has taken the place of. */
	readonly #retired: AdminServer[] = [];

	/** @param routes what it answers, given how late the event loop is, in seconds */
	constructor(routes: (lag: Histogram) => readonly Route[], common: Omit<AdminServerOptions, 'routes' | 'access'>) {
		this.#routes = routes;
		this.#common = common;
		this.#logger = common.logger;
	}

	/** Undefined when it is off. */
	get port(): number | undefined {
		return this.#running?.port;
	}

	/** @throws the system's error when the address cannot be listened on and has to be */
	async open(options: AdminOptions): Promise<void> {
		this.#running = await this.#start(addressOf(options), options);
		this.#warnIfOff(options);
	}

	/** @throws the system's error when a new address cannot be listened on */
	async prepare(options: AdminOptions): Promise<Prepared> {
		const before = this.#running;
		const where = addressOf(options);
		if (before !== null && isSame(before.where, where)) {
			const commit = () => {
				before.access.replace(options.adminToken, options.adminHost);
				this.#warnIfOff(options);
			};
			return { commit, abort: () => undefined };
		}
		const next = await this.#start('fd' in where ? where : { ...where, required: true }, options);
		return {
			commit: () => {
				this.#running = next;
				before?.lag?.stop();
				before?.server.retire();
				if (before !== null) this.#retired.push(before.server);
				this.#warnIfOff(options);
			},
			abort: () => {
				next.lag?.stop();
				void next.server.close();
			},
		};
	}

	async close(): Promise<void> {
		this.#running?.lag?.stop();
		await Promise.all([this.#running?.server, ...this.#retired].map((server) => server?.close()));
	}

	async #start(where: AdminAddress, { adminToken, adminHost }: AdminOptions): Promise<Running> {
		const access = new AdminAccess(adminToken, adminHost);
		const off = 'port' in where && where.port === 'off';
		const lag = off ? null : new EventLoopLag();
		const routes = lag === null ? [] : this.#routes(lag.histogram);
		const server = new AdminServer({ ...this.#common, routes, access });
		try {
			const at = await server.open(where);
			if (at === undefined) lag?.stop();
			return { where, server, access, port: at?.port, lag };
		} catch (error) {
			lag?.stop();
			throw error;
		}
	}

	#warnIfOff({ adminHost }: AdminOptions): void {
		if (this.#running?.port === undefined || !this.#running.access.off) return;
		this.#logger.warn(
			{ adminHost },
			'the admin listener is beyond loopback: /metrics and /api are off, for Prometheus, slime status and slime hub revoke, until adminTokenFile is set',
		);
	}
}

function addressOf({
	adminHost: host,
	adminPort: port,
	adminRequired: required,
	listenOn,
}: AdminOptions): AdminAddress {
	return listenOn?.admin === undefined ? { host, port, required } : { fd: listenOn.admin };
}

/** Whether it must be had or only should makes no other address. */
function isSame(one: AdminAddress, other: AdminAddress): boolean {
	const [a, b] = [one, other].map((address) => ('fd' in address ? address : { ...address, required: true }));
	return isDeepStrictEqual(a, b);
}

/** Which handler answers which request of the admin listener: a table of methods and paths, each behind the guard or open. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditLog } from '../shared/audit-log.ts';
import { bounded } from '../shared/bounded.ts';
import { SlimeError, UsageError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { AdminAccess } from './access.ts';
import { isAudited, targetOf } from './action.ts';
import { answerError } from './answers.ts';

export interface Route {
	/** GET answers HEAD too. */
	readonly method: 'GET' | 'POST' | 'PUT';
	/** Compared whole, without the query. */
	readonly path: string;
	/** Whoever reaches the listener may ask: it tells nothing. */
	readonly open?: true;
	/** Answers. A SlimeError or UsageError that it throws is told to the client; anything else is logged, and the answer is 500. */
	handle(req: IncomingMessage, res: ServerResponse): void | Promise<void>;
}

export class Router {
	readonly #byPath = new Map<string, Route[]>();
	readonly #access: AdminAccess;
	readonly #audit: AuditLog | null;
	readonly #logger: Logger;

	constructor(routes: readonly Route[], access: AdminAccess, audit: AuditLog | null, logger: Logger) {
		for (const route of routes) this.#byPath.set(route.path, [...(this.#byPath.get(route.path) ?? []), route]);
		this.#access = access;
		this.#audit = audit;
		this.#logger = logger;
	}

	/** Answers with what the table says, 404 and 405 included. */
	async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const path = (req.url ?? '').split('?', 1)[0] ?? '';
		try {
			const route = this.#find(path, req.method, res);
			if (route.open !== true) this.#access.check(req);
			await route.handle(req, res);
			this.#record(req, path);
		} catch (error) {
			const told = res.headersSent ? new SlimeError('internal') : this.#told(error, path);
			this.#record(req, path, told);
			if (res.headersSent) {
				this.#logger.error({ err: error, path }, 'an answer to an operator broke off');
				res.destroy();
			} else {
				answerError(res, told);
			}
		}
	}

	#record(req: IncomingMessage, path: string, error?: SlimeError): void {
		if (this.#audit === null || !isAudited(req.method, error?.code)) return;
		const refused = error?.code === 'unauthorized' || error?.code === 'forbidden';
		this.#audit.write({
			event: 'admin',
			action: `${req.method} ${bounded(path)}`,
			target: targetOf(req),
			address: req.socket.remoteAddress ?? 'unknown',
			by: refused ? undefined : this.#access.by,
			outcome: error?.code ?? 'ok',
			reason: error?.message,
		});
	}

	/** @throws SlimeError `not_found` or `method_not_allowed` */
	#find(path: string, asked: string | undefined, res: ServerResponse): Route {
		const routes = this.#byPath.get(path);
		if (routes === undefined) throw new SlimeError('not_found');
		const method = asked === 'HEAD' ? 'GET' : asked;
		const route = routes.find((one) => one.method === method);
		if (route !== undefined) return route;
		res.setHeader('allow', routes.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method])).join(', '));
		throw new SlimeError('method_not_allowed');
	}

	#told(error: unknown, path: string): SlimeError {
		if (error instanceof SlimeError) return error;
		// What is wrong with what the client wrote.
		if (error instanceof UsageError) return new SlimeError('bad_request', error.message, { cause: error });
		this.#logger.error({ err: error, path }, 'a request of an operator failed');
		return new SlimeError('internal');
	}
}

/** @param line without its end */
export function answerText(res: ServerResponse, status: number, line: string): void {
	res.writeHead(status, { 'content-type': 'text/plain' }).end(`${line}\n`);
}

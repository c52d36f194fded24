/** Which handler answers which request of the admin listener: a table of methods and paths. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../shared/logger.ts';

export interface Route {
	/** GET answers HEAD too. */
	readonly method: 'GET' | 'POST';
	/** Compared whole, without the query. */
	readonly path: string;
	/** Answers. What it throws is logged and answered with 500. */
	handle(req: IncomingMessage, res: ServerResponse): void | Promise<void>;
}

export class Router {
	readonly #byPath = new Map<string, Route[]>();
	readonly #logger: Logger;

	constructor(routes: readonly Route[], logger: Logger) {
		for (const route of routes) this.#byPath.set(route.path, [...(this.#byPath.get(route.path) ?? []), route]);
		this.#logger = logger;
	}

	/** Answers with what the table says, 404 and 405 included. */
	async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const routes = this.#byPath.get((req.url ?? '').split('?', 1)[0] ?? '');
		if (routes === undefined) {
			answerText(res, 404, 'not found');
			return;
		}
		const method = req.method === 'HEAD' ? 'GET' : req.method;
		const route = routes.find((one) => one.method === method);
		if (route === undefined) {
			const allow = routes.flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method]));
			answerText(res, 405, 'method not allowed', { allow: allow.join(', ') });
			return;
		}
		try {
			await route.handle(req, res);
		} catch (error) {
			this.#logger.error({ err: error, path: route.path }, 'a request of an operator failed');
			if (res.headersSent) res.destroy();
			else answerText(res, 500, 'failed');
		}
	}
}

/** @param line without its end */
export function answerText(
	res: ServerResponse,
	status: number,
	line: string,
	headers: Readonly<Record<string, string>> = {},
): void {
	res.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(`${line}\n`);
}

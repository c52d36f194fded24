/** The last requests that ended, for operators to look at. A ring; the oldest makes room. */
import type { RecentRequest } from '../admin/requests.ts';
import { bounded } from '../shared/bounded.ts';

/** How many are remembered. */
export const RECENT = 256;

/** What is kept of one: nothing is made of it before somebody asks. */
export type EndedRequest = Omit<RecentRequest, 'began' | 'scope'> & {
	/** From performance.now(). */
	readonly began: number;
	/** Of several, any will do. */
	readonly scope: string | readonly string[] | undefined;
};

export class RecentRequests {
	readonly #ring: EndedRequest[] = [];
	#next = 0;

	add(request: EndedRequest): void {
		this.#ring[this.#next] = request;
		this.#next = (this.#next + 1) % RECENT;
	}

	/** Last ended first. */
	get list(): readonly RecentRequest[] {
		const ordered = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse();
		return ordered.map(({ began, path, method, scope, waited, total, ...rest }) => ({
			...rest,
			method: bounded(method),
			path: bounded(path),
			scope: scope === undefined ? undefined : bounded(String(scope)),
			began: new Date(performance.timeOrigin + began).toISOString(),
			waited: Math.round(waited),
			total: Math.round(total),
		}));
	}
}

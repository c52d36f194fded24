/** How long requests waited, by the scope that they asked for. Keeps few scopes apart, whatever applications ask for. */

import { type Scope, textOf } from '../dispatch/eligibility.ts';
import { Histogram } from '../shared/histogram.ts';

/** Scopes that are told apart. */
const MOST_SCOPES = 100;
/** Of those beyond, and those that no agent has had: an application can ask for any. */
const OTHER = 'other';
/** Of requests that ask for none. */
const NONE = '';

export class ScopedWaits {
	readonly bounds: readonly number[];
	/** By what `labelOf` says. */
	readonly byScope: Map<string, Histogram>;

	/** @param bounds in seconds */
	constructor(bounds: readonly number[]) {
		this.bounds = bounds;
		this.byScope = new Map([[NONE, new Histogram(bounds)]]);
	}

	/** @param scope of a request that an agent has been found for, which makes it one that agents have */
	observe(scope: Scope, seconds: number): void {
		const label = this.#labelOf(scope);
		const known = this.byScope.get(label);
		if (known !== undefined) {
			known.observe(seconds);
			return;
		}
		const named = this.byScope.size <= MOST_SCOPES ? label : OTHER;
		const histogram = this.byScope.get(named) ?? new Histogram(this.bounds);
		this.byScope.set(named, histogram);
		histogram.observe(seconds);
	}

	/**
	 * Every scope that is told apart, with its sum, 0 for none.
	 * @param counts those of one scope, once or more often each
	 */
	sums(counts: Iterable<readonly [scope: Scope, count: number]>): Record<string, number> {
		const sums: Record<string, number> = Object.fromEntries([...this.byScope.keys()].map((label) => [label, 0]));
		for (const [scope, count] of counts) {
			const label = this.#labelOf(scope);
			const named = this.byScope.has(label) ? label : OTHER;
			sums[named] = (sums[named] ?? 0) + count;
		}
		return sums;
	}

	#labelOf(scope: Scope): string {
		return scope === undefined ? NONE : textOf(scope).replaceAll('\n', ',');
	}
}

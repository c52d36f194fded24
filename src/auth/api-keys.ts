/** One application's key: what it may ask for, and how much of it. Knows nothing of requests; the key's text is app-auth's business. */
import { SlimeError } from '../shared/errors.ts';
import { type Rate, RateLimit } from './rate-limit.ts';

export interface ApiKeyOptions {
	/** Known to operators; callers take turns by it. Never the key itself. */
	readonly name: string;
	/** What the application presents. */
	readonly key: string;
	/** Scopes that it may ask for; asking for none it gets agents of these alone. Left out, there is no limit. */
	readonly scopes?: readonly string[] | undefined;
	/** The most urgent `u` of RFC 9218 that it may use, 0 to 7; 0 if left out. */
	readonly priority?: number | undefined;
	/** Most requests in progress, those that wait among them; 0, or left out, is no limit. */
	readonly concurrent?: number | undefined;
	/** Left out, there is no limit. */
	readonly rate?: Rate | undefined;
}

/** What of the options is not the key's text. */
export type ApiKeyLimits = Omit<ApiKeyOptions, 'name' | 'key'>;

export class ApiKey {
	readonly name: string;
	/** The same for all of its requests; no address looks like it. */
	readonly caller: string;
	#scopes: ReadonlySet<string> | undefined;
	/** What it gets that asks for no scope. */
	#scope: string | readonly string[] | undefined;
	#priority = 0;
	#concurrent = 0;
	#rate: RateLimit | undefined;
	#inProgress = 0;

	constructor(name: string, limits: ApiKeyLimits) {
		this.name = name;
		this.caller = `key ${name}`;
		this.limits = limits;
	}

	/** Those of requests that come from now on; what is in progress counts on, and a rate's bucket is full when it would have been. */
	set limits({ scopes, priority = 0, concurrent = 0, rate }: ApiKeyLimits) {
		this.#scopes = scopes && new Set(scopes);
		this.#scope = scopes?.length === 1 ? scopes[0] : scopes;
		this.#priority = priority;
		this.#concurrent = concurrent;
		if (rate === undefined) this.#rate = undefined;
		else if (this.#rate === undefined) this.#rate = new RateLimit(rate);
		else this.#rate.rate = rate;
	}

	/**
	 * @param asked undefined for none
	 * @returns the scope that its request then has, of several any
	 * @throws SlimeError scope_denied
	 */
	scopeFor(asked: string | undefined): string | readonly string[] | undefined {
		if (asked === undefined) return this.#scope;
		if (this.#scopes?.has(asked) === false) throw new SlimeError('scope_denied');
		return asked;
	}

	/** @param urgency of RFC 9218: 0 is the most urgent */
	urgencyFor(urgency: number): number {
		return Math.max(urgency, this.#priority);
	}

	/**
	 * Counts a request in; `leave` counts it out.
	 * @param now milliseconds of a clock that never goes back
	 * @throws SlimeError key_busy; rate_limited, which says when there is room again
	 */
	enter(now: number): void {
		// First, so that a request which cannot be served takes nothing of the rate.
		if (this.#concurrent > 0 && this.#inProgress >= this.#concurrent) throw new SlimeError('key_busy');
		const early = this.#rate?.take(now) ?? 0;
		if (early > 0) throw new SlimeError('rate_limited', undefined, { retryAfter: Math.ceil(early / 1000) });
		this.#inProgress++;
	}

	leave(): void {
		this.#inProgress--;
	}
}

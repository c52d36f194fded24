/** Which agents may serve which requests: scopes and path patterns. Knows nothing of slots, queues or HTTP messages. */

/** The scope that an agent must have; of several any will do. `undefined` is any agent. */
export type Scope = string | readonly string[] | undefined;

export interface Wanted {
	readonly scope: Scope;
	/** As the application sent it, without the query. */
	readonly path: string;
	readonly affinity: string | undefined;
}

/** What a token allows its agent to serve. */
export interface Grants {
	readonly scopes: readonly string[];
	/** Each is an exact path, or `/prefix/*`; none is every path. */
	readonly scopePaths: readonly string[];
}

/**
 * A segment that some server may take for `..`: plain, percent-encoded once or more often, after any kind of slash, with
 * whatever an upstream may cut off behind it (`..;x`, `..%00`). Such a path could leave every prefix.
 */
const DOT_DOT = /(?:^|[/\\]|%(?:25)*(?:2f|5c))(?:\.|%(?:25)*2e){2}(?![\w.~-])/i;

/** A text of its own for each scope. Apps choose single ones, which as header values hold no line feed. */
export function textOf(scope: string | readonly string[]): string {
	return typeof scope === 'string' ? scope : scope.join('\n');
}

/** Whether one agent may serve a request of this scope, whose path matches these patterns. */
export function mayServe(grants: Grants, scope: Scope, patterns: readonly string[]): boolean {
	if (typeof scope === 'string' && !grants.scopes.includes(scope)) return false;
	if (typeof scope === 'object' && !scope.some((one) => grants.scopes.includes(one))) return false;
	return grants.scopePaths.length === 0 || grants.scopePaths.some((pattern) => patterns.includes(pattern));
}

/** Path patterns, looked up by what they match: the cost is that of the lengths of prefixes in use, not of the patterns. */
export class PathPatterns {
	readonly #all: ReadonlySet<string>;
	readonly #byPrefix = new Map<string, string>();
	readonly #lengths: readonly number[];

	constructor(patterns: Iterable<string>) {
		this.#all = new Set(patterns);
		for (const pattern of this.#all) {
			if (isPrefix(pattern)) this.#byPrefix.set(pattern.slice(0, -1), pattern);
		}
		const lengths = new Set([...this.#byPrefix.keys()].map((prefix) => prefix.length));
		this.#lengths = [...lengths].sort((a, b) => a - b);
	}

	has(pattern: string): boolean {
		return this.#all.has(pattern);
	}

	/** The patterns that this path matches, always in the same order. Everything but a dot segment is compared literally. */
	matching(path: string): readonly string[] {
		const found = this.#all.has(path) && !isPrefix(path) ? [path] : [];
		if (this.#lengths.length === 0 || DOT_DOT.test(path)) return found;
		for (const length of this.#lengths) {
			if (length > path.length) break;
			const pattern = this.#byPrefix.get(path.slice(0, length));
			if (pattern !== undefined) found.push(pattern);
		}
		return found;
	}
}

function isPrefix(pattern: string): boolean {
	return pattern.endsWith('/*');
}

/** Those with one scope. */
class Shelf<P> {
	/** `undefined` is no pattern demanded. */
	readonly byPattern = new Map<string | undefined, Set<P>>();
	/** Whoever has one of these patterns or demands none, by `patternsKey`: worked out once, for every request asks. */
	readonly found = new Map<string, ReadonlySet<P>>();
}

const NOBODY: ReadonlySet<never> = new Set<never>();

/** Profiles (agents with equal grants) by scope, then by path pattern. */
export class Eligibility<P extends Grants> {
	/** `undefined` is no scope asked for. */
	readonly #shelves = new Map<string | undefined, Shelf<P>>();
	readonly #profiles = new Set<P>();
	#patterns = new PathPatterns([]);

	/** True if it brought a path pattern that was not known: what `patterns` said until now is then out of date. */
	add(profile: P): boolean {
		this.#profiles.add(profile);
		for (const scope of scopesOf(profile)) {
			const shelf = this.#shelves.get(scope) ?? new Shelf<P>();
			this.#shelves.set(scope, shelf);
			shelf.found.clear();
			for (const pattern of patternsOf(profile)) {
				shelf.byPattern.set(pattern, (shelf.byPattern.get(pattern) ?? new Set()).add(profile));
			}
		}
		if (profile.scopePaths.every((pattern) => this.#patterns.has(pattern))) return false;
		// Patterns that nobody has any more are dropped here, and not when they go: an agent that comes back changes nothing.
		this.#patterns = new PathPatterns([...this.#profiles].flatMap(({ scopePaths }) => scopePaths));
		return true;
	}

	remove(profile: P): void {
		this.#profiles.delete(profile);
		for (const scope of scopesOf(profile)) {
			const shelf = this.#shelves.get(scope);
			shelf?.found.clear();
			for (const pattern of patternsOf(profile)) {
				const profiles = shelf?.byPattern.get(pattern);
				profiles?.delete(profile);
				if (profiles?.size === 0) shelf?.byPattern.delete(pattern);
			}
			if (shelf?.byPattern.size === 0) this.#shelves.delete(scope);
		}
	}

	/** The known patterns that this path matches. Requests with the same scope and patterns have the same profiles. */
	patterns(path: string): readonly string[] {
		return this.#patterns.matching(path);
	}

	/** The profiles that may serve such a request; a view, to be read at once. @param patterns of `patterns` */
	profiles(scope: Scope, patterns: readonly string[]): ReadonlySet<P> {
		if (typeof scope === 'object') return new Set(scope.flatMap((one) => [...this.profiles(one, patterns)]));
		const shelf = this.#shelves.get(scope);
		if (shelf === undefined) return NOBODY;
		if (patterns.length === 0) return shelf.byPattern.get(undefined) ?? NOBODY;
		const key = patternsKey(patterns);
		const known = shelf.found.get(key);
		if (known !== undefined) return known;
		const found = collect(shelf, patterns);
		shelf.found.set(key, found);
		return found;
	}
}

/** The same for equal patterns, which a path with a line feed matches none of. Mostly there is one, or none. */
export function patternsKey(patterns: readonly string[]): string {
	return patterns.length > 1 ? patterns.join('\n') : (patterns[0] ?? '');
}

function collect<P>({ byPattern }: Shelf<P>, patterns: readonly string[]): ReadonlySet<P> {
	const found = new Set(byPattern.get(undefined));
	for (const pattern of patterns) {
		for (const profile of byPattern.get(pattern) ?? []) found.add(profile);
	}
	return found;
}

function scopesOf(grants: Grants): readonly (string | undefined)[] {
	return [undefined, ...grants.scopes];
}

function patternsOf(grants: Grants): readonly (string | undefined)[] {
	return grants.scopePaths.length === 0 ? [undefined] : grants.scopePaths;
}

/** What is wrong with a configuration, and where: one line a mistake. Knows no sources and no keys. */
import { UsageError } from '../shared/errors.ts';
import { type Expansion, withoutHeld } from './interpolation.ts';

/** Where a value came from: a flag, a variable, or a place in a file. */
export interface Origin {
	readonly source: 'flag' | 'variable' | 'file';
	/** `--port`, `SLIME_HUB_PORT` or `FILE:LINE:COL`. */
	readonly where: string;
	/** Offset in the file, for the order of mistakes; 0 elsewhere. */
	readonly offset: number;
	/** Of a value that was written with variables. */
	readonly expansion?: Expansion | undefined;
}

/** A value as it was written: text, or a list of texts (with the origin of each) where the file has a list. */
export interface Entry {
	readonly value: string | readonly string[];
	readonly origin: Origin;
	readonly items?: readonly Origin[] | undefined;
	/** The file that a secret was read from. */
	readonly heldBy?: string | undefined;
	/** It is another key's, and stands here because this section does not say otherwise: what is wrong with it is said there. */
	readonly shared?: true | undefined;
	/** Why it has no value: a mistake if the value is needed. */
	readonly fault?: { readonly origin: Origin; readonly text: string } | undefined;
}

export class Mistakes {
	readonly #keys = new Set<string>();
	readonly #found: { readonly origin: Origin | undefined; readonly text: string }[] = [];

	/**
	 * @param key the key's path; it is named where the origin is a place, flags and variables name themselves
	 * @param text never holds a secret, but perhaps what a variable holds: that is taken out
	 */
	add(origin: Origin | undefined, key: string | undefined, text: string): void {
		const subject = key === undefined || (origin && origin.source !== 'file') ? '' : `${key}: `;
		const told = origin?.expansion === undefined ? text : withoutHeld(text, origin.expansion);
		this.#found.push({ origin, text: `${subject}${told}` });
		if (key !== undefined) this.#keys.add(key);
	}

	/** Whether something was found wrong with this key. */
	concern(key: string): boolean {
		return this.#keys.has(key);
	}

	/** @throws ConfigError if there are any */
	raise(): void {
		if (this.#found.length === 0) return;
		const place = (origin: Origin | undefined) =>
			origin?.source === 'file' ? origin.offset : Number.POSITIVE_INFINITY;
		const inOrder = this.#found.toSorted((a, b) => {
			const [left, right] = [place(a.origin), place(b.origin)];
			return left === right ? 0 : left - right;
		});
		throw new ConfigError(inOrder.map(({ origin, text }) => `${origin?.where ?? 'slime'}: ${text}`));
	}
}

/** Every mistake of a configuration, a line each: `FILE:LINE:COL: …`, `--flag: …`, `VARIABLE: …` or `slime: …`. */
export class ConfigError extends UsageError {
	readonly mistakes: readonly string[];

	constructor(mistakes: readonly string[]) {
		super(mistakes.join('\n'));
		this.name = 'ConfigError';
		this.mistakes = mistakes;
	}
}

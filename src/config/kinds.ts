/** For each kind of value: what may be written for it, in JSON Schema's words, and how one that was read is written again. Knows no keys. */
import { z } from 'zod';

export interface Kind {
	/** Keywords of JSON Schema. */
	readonly json: Readonly<Record<string, unknown>>;
	/** The text, or texts, that would be read as this value. */
	readonly write: (value: unknown) => string | readonly string[];
	/** A file may have names with a value each, which is read as a list of `name=value`. */
	readonly map?: boolean | undefined;
}

const KINDS = z.registry<Kind>();

/** @returns the type itself */
export function ofKind<T extends z.ZodType>(
	type: T,
	json: Kind['json'],
	write: Kind['write'] = String,
	map?: boolean,
): T {
	KINDS.add(type, { json, write, map });
	return type;
}

export function kindOf(type: z.core.$ZodType): Kind | undefined {
	return KINDS.get(type);
}

/** Any text may hold `${NAME}`, and says then what the variable does. */
const VARIABLE = '\\$\\{';

export const TEXT = { type: ['string', 'number'] } as const;

/** @param pattern of the whole text, where it is one */
export function textLike(pattern: string, ...further: readonly ('integer' | 'number' | 'boolean')[]): Kind['json'] {
	return { type: ['string', ...further], pattern: `^(?:${pattern})$|${VARIABLE}` };
}

export function choiceOf(choices: readonly string[]): Kind['json'] {
	return { anyOf: [{ enum: choices }, { type: 'string', pattern: VARIABLE }] };
}

export function listLike(least: number, items: Kind['json'] = TEXT): Kind['json'] {
	return { anyOf: [{ type: 'array', items, minItems: least }, TEXT] };
}

/** @param name a pattern that the names match */
export function mapLike(name: string, most: number): Kind['json'] {
	const object = { type: 'object', propertyNames: { pattern: name }, additionalProperties: TEXT, maxProperties: most };
	return { anyOf: [object, { type: 'array', items: TEXT }, TEXT] };
}

/** The schema's keys as paths (`hub.queue.max`), sections, variables and secrets: all derived from it, none listed twice. */
import { z } from 'zod';
import { schema } from './schema.ts';

/** What may stand under a section: keys with a value (`undefined`) and further sections. */
export type Section = ReadonlyMap<string, Section | undefined>;

export const ROOT: Section = sectionOf(schema);

/** Paths of all keys that take a value. */
export const KEYS: readonly string[] = pathsOf(ROOT, '');

/** Paths of secrets: the keys beside which there is one that names a file. */
export const SECRETS: readonly string[] = KEYS.filter((key) => KEYS.includes(fileForm(key)));

/** Variables and the keys that they set. */
export const VARIABLES: ReadonlyMap<string, string> = new Map(KEYS.map((key) => [variableOf(key), key]));

export function fileForm(secret: string): string {
	return `${secret}File`;
}

/** `hub.queue.maxBytes` is SLIME_HUB_QUEUE_MAX_BYTES. */
export function variableOf(key: string): string {
	return `SLIME_${key
		.replaceAll('.', '_')
		.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
		.toUpperCase()}`;
}

function sectionOf(object: z.ZodObject): Section {
	return new Map(
		Object.entries(object.shape).map(([name, value]) => {
			const inner = value instanceof z.ZodPrefault ? value.def.innerType : value;
			return [name, inner instanceof z.ZodObject ? sectionOf(inner) : undefined];
		}),
	);
}

function pathsOf(section: Section, prefix: string): string[] {
	return [...section].flatMap(([name, below]) => {
		const key = `${prefix}${name}`;
		return below ? pathsOf(below, `${key}.`) : [key];
	});
}

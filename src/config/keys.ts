/** The schema's keys as paths (`hub.queue.max`), sections, variables and secrets: all derived from it, none listed twice. */
import { z } from 'zod';
import { kindOf } from './kinds.ts';
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

export interface KeyDetails {
	/** One sentence or two, in Markdown. */
	readonly description: string;
	/** As it would be written; undefined if there is none. */
	readonly standard: string | readonly string[] | undefined;
	/** The text for a value that was read. */
	readonly write: (value: unknown) => string | readonly string[];
}

/** What is known of each key. */
export const DETAILS: ReadonlyMap<string, KeyDetails> = new Map(detailsOf(schema, ''));

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
			const inner = innerOf(value);
			return [name, inner instanceof z.ZodObject ? sectionOf(inner) : undefined];
		}),
	);
}

/** Without what makes it optional or gives it a default. */
function innerOf(type: z.core.$ZodType): z.core.$ZodType {
	const wrapped = type instanceof z.ZodPrefault || type instanceof z.ZodDefault || type instanceof z.ZodOptional;
	return wrapped ? innerOf(type.def.innerType) : type;
}

function detailsOf(object: z.ZodObject, prefix: string): [string, KeyDetails][] {
	return Object.entries(object.shape).flatMap(([name, type]): [string, KeyDetails][] => {
		const inner = innerOf(type);
		const key = `${prefix}${name}`;
		if (inner instanceof z.ZodObject) return detailsOf(inner, `${key}.`);
		const write = kindOf(inner)?.write ?? String;
		const standard = type instanceof z.ZodDefault ? write(type.def.defaultValue) : undefined;
		return [[key, { description: z.globalRegistry.get(type)?.description ?? '', standard, write }]];
	});
}

function pathsOf(section: Section, prefix: string): string[] {
	return [...section].flatMap(([name, below]) => {
		const key = `${prefix}${name}`;
		return below ? pathsOf(below, `${key}.`) : [key];
	});
}

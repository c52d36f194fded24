/**
 * The schema's keys as paths (`hub.queue.max`), sections, variables and secrets: all derived from it, none listed twice. A list of
 * sections has `[]` behind its name where a key of the schema is meant (`agents[].token`), and a number there in a file (`agents[0].token`).
 */
import { z } from 'zod';
import { kindOf } from './kinds.ts';
import { schema } from './schema.ts';

/** What may stand under a section: keys with a value (`undefined`), further sections, and lists of sections. */
export type Section = ReadonlyMap<string, Section | SectionList | undefined>;

export interface SectionList {
	readonly each: Section;
}

export interface KeyDetails {
	/** One sentence or two, in Markdown. */
	readonly description: string;
	/** As it would be written; undefined if there is none. */
	readonly standard: string | readonly string[] | undefined;
	/** The text for a value that was read. */
	readonly write: (value: unknown) => string | readonly string[];
	/** It takes names with values each. */
	readonly map: boolean;
}

export const ROOT: Section = sectionOf(schema);

/** What is known of each key that takes a value. */
export const DETAILS: ReadonlyMap<string, KeyDetails> = new Map(detailsOf(schema, ''));

/** Paths of all keys that are in no list: those that flags and variables can set. */
export const KEYS: readonly string[] = [...DETAILS.keys()].filter((key) => !key.includes('[]'));

/** Paths of secrets: the keys beside which there is one that names a file. */
export const SECRETS: readonly string[] = [...DETAILS.keys()].filter((key) => DETAILS.has(fileForm(key)));

/** Variables and the keys that they set. */
export const VARIABLES: ReadonlyMap<string, string> = new Map(KEYS.map((key) => [variableOf(key), key]));

/** `agents[0].token` is `agents[].token` in the schema. */
export function schemaKey(key: string): string {
	return key.replaceAll(/\[\d+\]/g, '[]');
}

export function isSecret(key: string): boolean {
	return SECRETS.includes(schemaKey(key));
}

export function fileForm(secret: string): string {
	return `${secret}File`;
}

/** The secret that a key names a file of. */
export function secretOf(key: string): string | undefined {
	const secret = key.replace(/File$/, '');
	return secret !== key && isSecret(secret) ? secret : undefined;
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
		Object.entries(object.shape).map(([name, value]): [string, Section | SectionList | undefined] => {
			const inner = innerOf(value);
			if (inner instanceof z.ZodObject) return [name, sectionOf(inner)];
			const each = eachOf(inner);
			return [name, each && { each: sectionOf(each) }];
		}),
	);
}

/** What each item of a list of sections is. */
function eachOf(type: z.core.$ZodType): z.ZodObject | undefined {
	const each = type instanceof z.ZodArray ? innerOf(type.def.element) : undefined;
	return each instanceof z.ZodObject ? each : undefined;
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
		const each = eachOf(inner);
		if (each) return detailsOf(each, `${key}[].`);
		const kind = kindOf(inner);
		const write = kind?.write ?? String;
		const standard = type instanceof z.ZodDefault ? write(type.def.defaultValue) : undefined;
		const description = z.globalRegistry.get(type)?.description ?? '';
		return [[key, { description, standard, write, map: kind?.map ?? false }]];
	});
}

/** The configuration as it is in effect, as a file would say it, with where each value comes from. Secrets are masked. */
import { isAddress } from './exposure.ts';
import { DETAILS, isSecret, schemaKey } from './keys.ts';
import type { Entry } from './mistakes.ts';
import { valueAt } from './tree.ts';

/** What stands in the place of a secret. */
const MASK = '********';

/**
 * @param sections `hub`, `agent`, `agents`, `log`: those that are shown
 * @param entries what was written, with secrets in the place of the files that hold them
 * @param configuration what was made of it
 * @returns lines of YAML, which could be read again but for what is masked
 */
export function effectiveLines(
	sections: readonly string[],
	entries: ReadonlyMap<string, Entry>,
	configuration: unknown,
): readonly string[] {
	const keys = [...new Set([...DETAILS.keys()].flatMap((key) => instancesOf(key, configuration)))]
		.filter((key) => sections.includes(/^\w+/.exec(key)?.[0] ?? ''))
		.filter((key) => isShown(key, entries));
	const lines: string[] = [];
	const values = keys.map((key) => ({ key, text: textOf(key, valueAt(configuration, key)), entry: entries.get(key) }));
	const shown = values.filter(({ text }) => text !== undefined);
	// A list's items stand together: the schema's order has their keys apart.
	shown.sort((a, b) => order(a.key) - order(b.key));
	let open: readonly string[] = [];
	for (const { key, text, entry } of shown) {
		const path = key.split('.');
		const above = path.slice(0, -1);
		const same = above.findIndex((name, index) => open[index] !== name);
		const from = same < 0 ? above.length : same;
		for (const [index, name] of above.entries()) {
			if (index < from) continue;
			const [, list, number] = /^(\w+)\[(\d+)\]$/.exec(name) ?? [];
			if (list === undefined) lines.push(`${indent(index, above)}${name}:`);
			else if (number === '0') lines.push(`${indent(index, above)}${list}:`);
		}
		const first = above.some((name, index) => index >= from && name.endsWith(']'));
		const margin = indent(above.length, above);
		const start = first ? `${margin.slice(0, -2)}- ` : margin;
		lines.push(`${start}${path.at(-1)}: ${text} # ${sourceOf(entry)}`);
		open = above;
	}
	return lines;
}

/** Values by key, each as a text that is equal if they are: for comparing, not for showing. */
export function valuesOf(sections: readonly string[], configuration: unknown): ReadonlyMap<string, string> {
	const keys = [...DETAILS.keys()].filter((key) => sections.includes(/^\w+/.exec(key)?.[0] ?? ''));
	const values = keys
		.flatMap((key) => instancesOf(key, configuration))
		.map((key) => [key, valueAt(configuration, key)] as const);
	return new Map(values.flatMap(([key, value]) => (value === undefined ? [] : [[key, JSON.stringify(value)]])));
}

/** A section in a list is indented by two more, for its dash. */
function indent(level: number, above: readonly string[]): string {
	const inLists = above.slice(0, level).filter((name) => name.endsWith(']')).length;
	return '  '.repeat(level + inLists);
}

/** `agents[].hub` is `agents[0].hub`, `agents[1].hub` … */
function instancesOf(key: string, configuration: unknown): readonly string[] {
	const [list, rest] = key.split('[]');
	if (rest === undefined || list === undefined) return [key];
	const items = valueAt(configuration, list);
	return Array.isArray(items) ? items.map((_, index) => `${list}[${index}]${rest}`) : [];
}

const PLACES = [...DETAILS.keys()];

function order(key: string): number {
	const place = PLACES.indexOf(schemaKey(key)) / PLACES.length;
	const list = /^([\w.]+)\[(\d+)\]/.exec(key);
	if (list === null) return PLACES.indexOf(schemaKey(key));
	const first = PLACES.findIndex((other) => other.startsWith(`${list[1]}[]`));
	return first + (Number(list[2]) + place) / 1_000_000;
}

/** Of a list's section only what it says itself, and of a secret the file that holds it, if one does. */
function isShown(key: string, entries: ReadonlyMap<string, Entry>): boolean {
	const entry = entries.get(key);
	if (isSecret(key) && entry?.heldBy !== undefined) return false;
	return !key.includes('[') || (entry !== undefined && !entry.shared);
}

function textOf(key: string, value: unknown): string | undefined {
	if (value === undefined) return undefined;
	if (isSecret(key)) return scalar(MASK);
	const written = DETAILS.get(schemaKey(key))?.write(value) ?? String(value);
	const texts = (typeof written === 'string' ? [written] : written).map((text) =>
		isAddress(key) ? withoutUser(text) : text,
	);
	return typeof written === 'string' ? scalar(texts[0] ?? '') : `[${texts.map(scalar).join(', ')}]`;
}

/** An address without its user and password. */
function withoutUser(address: string): string {
	return address.replace(/^(\w+:\/\/)?[^/]*@/, (_, scheme: string | undefined) => `${scheme ?? ''}${MASK}@`);
}

/** Quoted unless every reader of YAML takes it for the text that it is. */
function scalar(text: string): string {
	const plain = /^[\w./][\w./:+@%-]*$/.test(text) && !text.endsWith(':') && !/^(?:null|~)$/i.test(text);
	return plain ? text : JSON.stringify(text.replaceAll('${', () => '$${'));
}

function sourceOf(entry: Entry | undefined): string {
	if (entry === undefined) return 'default';
	const { where, expansion } = entry.origin;
	return expansion === undefined ? where : `${where} ${JSON.stringify(expansion.written)}`;
}

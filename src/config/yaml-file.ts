/** A YAML file as a source of values, each with its place. Knows the sections and keys, not what values mean. */
import {
	Composer,
	type CST,
	type Document,
	isAlias,
	isMap,
	isScalar,
	isSeq,
	LineCounter,
	type Node,
	Parser,
	type Scalar,
	type YAMLMap,
	type YAMLSeq,
} from 'yaml';
import { suggestion } from './closest.ts';
import { expand } from './interpolation.ts';
import { DETAILS, ROOT, type Section, type SectionList, schemaKey } from './keys.ts';
import type { Entry, Mistakes, Origin } from './mistakes.ts';
import { spellings } from './spellings.ts';
import { sentence } from './yaml-faults.ts';

/** The parser's recursion would exhaust the stack long before this program's three levels make sense. */
const MAX_DEPTH = 64;
/** Each one is looked for through the whole document. */
const MAX_ALIASES = 100;
/** Sections in one list. */
const MAX_SECTIONS = 1000;

export interface YamlFile {
	readonly entries: ReadonlyMap<string, Entry>;
	/** The text is not YAML, so that there are no entries. */
	readonly broken: boolean;
	/** Variables that values were written with. */
	readonly variables: ReadonlySet<string>;
	/** Lists of sections, and how many each has. */
	readonly lists: ReadonlyMap<string, number>;
	/** Where a section begins, for mistakes about what it lacks; the beginning of the file if it is not there. */
	sectionOrigin(name: string): Origin;
}

/**
 * @param file how the user named it, for the mistakes' positions
 * @param env what `${NAME}` in a value stands for
 */
export function readYaml(text: string, file: string, mistakes: Mistakes, env: NodeJS.ProcessEnv = {}): YamlFile {
	return new YamlReader(text, file, mistakes, env).read();
}

/** The key of a section that was written in one of its spellings; what was written if there is none. */
function keyMeant(written: string, section: Section): string {
	if (section.has(written) || !written.includes('-')) return written;
	for (const name of section.keys()) if (spellings(name).includes(written)) return name;
	return written;
}

class YamlReader {
	readonly #text: string;
	readonly #file: string;
	readonly #mistakes: Mistakes;
	readonly #env: NodeJS.ProcessEnv;
	readonly #variables = new Set<string>();
	readonly #lines = new LineCounter();
	readonly #entries = new Map<string, Entry>();
	readonly #sections = new Map<string, Origin>();
	readonly #lists = new Map<string, number>();
	#document: Document | undefined;
	#broken = false;
	#aliases = 0;

	constructor(text: string, file: string, mistakes: Mistakes, env: NodeJS.ProcessEnv) {
		this.#text = text;
		this.#file = file;
		this.#mistakes = mistakes;
		this.#env = env;
	}

	read(): YamlFile {
		const tokens = [...new Parser(this.#lines.addNewLine).parse(this.#text)];
		const deep = tooDeep(tokens);
		if (deep === undefined) this.#readDocuments(tokens);
		else this.#break(deep, `more than ${MAX_DEPTH} levels deep`);
		return {
			entries: this.#entries,
			broken: this.#broken,
			variables: this.#variables,
			lists: this.#lists,
			sectionOrigin: (name) => this.#sections.get(name) ?? this.#at(0),
		};
	}

	#readDocuments(tokens: readonly CST.Token[]): void {
		// With the failsafe schema every value is the text that was written: 0123, off and 1e3 stay what they are.
		const composer = new Composer({
			schema: 'failsafe',
			stringKeys: true,
			prettyErrors: false,
			uniqueKeys: false,
			lineCounter: this.#lines,
		});
		const [document, second] = composer.compose(tokens, true, this.#text.length);
		if (!document) return;
		this.#document = document;
		for (const fault of [...document.errors, ...document.warnings]) {
			// What is left over behind the first fault follows from it.
			if (this.#broken && fault.code === 'UNEXPECTED_TOKEN') continue;
			const variable = this.#text.slice(fault.pos[0] - 1, fault.pos[0] + 1) === '${';
			this.#break(fault.pos[0], variable ? 'put ${ } in quotes within [ ] and { }' : sentence(fault));
		}
		if (second) this.#break(second.range[0], 'a second document begins here; write one');
		// What a broken text seems to say would only add mistakes that are none.
		if (!this.#broken && document.contents) this.#readSection(document.contents, ROOT, '');
	}

	#break(offset: number, text: string): void {
		this.#broken = true;
		this.#mistakes.add(this.#at(offset), undefined, text);
	}

	#readSection(node: Node, section: Section, prefix: string): void {
		const map = this.#resolved(node, undefined);
		if (!map) return;
		if (!isMap(map)) {
			if (!isNothing(map)) this.#refuse(node, nameOf(prefix), 'is a section: write keys with values under it');
			return;
		}
		const lines = new Map<string, number>();
		for (const { key, value } of (map as YAMLMap<Node, Node | null>).items) {
			const name = keyMeant(isScalar(key) ? String(key.value) : '', section);
			const origin = this.#at(key.range?.[0] ?? 0);
			const first = lines.get(name);
			if (first !== undefined) {
				this.#mistakes.add(origin, undefined, `${prefix}${name} is given twice, first on line ${first}`);
				continue;
			}
			lines.set(name, this.#lines.linePos(origin.offset).line);
			if (!section.has(name)) {
				const shown = JSON.stringify(name.slice(0, 64)).slice(1, -1);
				const meant = suggestion(name, section.keys());
				this.#mistakes.add(origin, undefined, `unknown key ${prefix}${shown}${meant || oneOfThese(section)}`);
				continue;
			}
			const below = section.get(name);
			if (below) this.#sections.set(`${prefix}${name}`, origin);
			if (below === undefined) this.#readValue(value ?? undefined, origin, `${prefix}${name}`);
			else if ('each' in below) this.#readSections(value ?? undefined, origin, below, `${prefix}${name}`);
			else if (value) this.#readSection(value, below, `${prefix}${name}.`);
		}
	}

	#readSections(written: Node | undefined, keyOrigin: Origin, { each }: SectionList, name: string): void {
		const node = written && this.#resolved(written, undefined);
		if (written && !node) return;
		if (!written || !isSeq(node) || node.items.length === 0) {
			const origin = written ? this.#of(written) : keyOrigin;
			this.#mistakes.add(origin, undefined, `${name} is a list of sections: write a - before the first key of each`);
			return;
		}
		if (node.items.length > MAX_SECTIONS) {
			this.#mistakes.add(keyOrigin, undefined, `${name} has more than ${MAX_SECTIONS} sections`);
			return;
		}
		this.#lists.set(name, node.items.length);
		for (const [index, item] of (node.items as Node[]).entries()) {
			this.#sections.set(`${name}[${index}]`, this.#of(item));
			this.#readSection(item, each, `${name}[${index}].`);
		}
	}

	#readValue(written: Node | undefined, keyOrigin: Origin, key: string): void {
		const node = written && this.#resolved(written, key);
		if (written && !node) return;
		if (!written || !node || isNothing(node)) {
			this.#mistakes.add(keyOrigin, key, 'has no value: give it one or take the line out');
		} else if (isScalar(node) && this.#runsOn(node)) {
			this.#refuse(written, key, 'goes on in the next line; put a space after each key and its colon, or use quotes');
		} else if (isScalar(node)) {
			this.#entries.set(key, this.#expanded(node, this.#of(written)));
		} else if (isSeq(node)) {
			this.#readList(node, this.#of(written), key);
		} else if (isMap(node) && DETAILS.get(schemaKey(key))?.map) {
			this.#readMap(node as YAMLMap<Node, Node | null>, this.#of(written), key);
		} else {
			this.#refuse(written, key, 'takes a value, not a section');
		}
	}

	#readList(list: YAMLSeq, origin: Origin, key: string): void {
		const values: string[] = [];
		const items: Origin[] = [];
		let fault: Entry['fault'];
		for (const written of list.items as Node[]) {
			const node = this.#resolved(written, key);
			if (!node) return;
			if (!isScalar(node) || isNothing(node)) {
				this.#refuse(written, key, 'an item of the list is not a text');
				return;
			}
			const item = this.#expanded(node, this.#of(written));
			fault ??= item.fault;
			values.push(item.value);
			items.push(item.origin);
		}
		this.#entries.set(key, { value: values, origin, items, fault });
	}

	/** As a list of `name=value`. */
	#readMap(map: YAMLMap<Node, Node | null>, origin: Origin, key: string): void {
		const values: string[] = [];
		const items: Origin[] = [];
		let fault: Entry['fault'];
		for (const { key: name, value: written } of map.items) {
			const node = written && this.#resolved(written, key);
			if (written && !node) return;
			if (!isScalar(name) || !isScalar(node) || isNothing(node)) {
				this.#refuse(name, key, 'takes names with a text each');
				return;
			}
			const item = this.#expanded(node, this.#of(written ?? name));
			fault ??= item.fault;
			values.push(`${name.value}=${item.value}`);
			items.push(item.origin);
		}
		this.#entries.set(key, { value: values, origin, items, fault });
	}

	#expanded({ value }: Scalar, origin: Origin): Entry & { readonly value: string } {
		const expanded = expand(String(value), this.#env);
		if (expanded.fault !== undefined) return { value: '', origin, fault: { origin, text: expanded.fault } };
		const { text, expansion } = expanded;
		for (const name of expansion?.names ?? []) this.#variables.add(name);
		return { value: text, origin: expansion ? { ...origin, expansion } : origin };
	}

	/** @returns undefined after adding a mistake */
	#resolved(node: Node, key: string | undefined): Node | undefined {
		if (!isAlias(node)) return node;
		if (!this.#document) return undefined;
		this.#aliases += 1;
		const target = this.#aliases > MAX_ALIASES ? undefined : node.resolve(this.#document);
		// A secret that begins with an asterisk looks like an alias: its text is not repeated.
		if (!target) this.#refuse(node, key, aliasFault(this.#aliases));
		return target;
	}

	#refuse(node: Node, key: string | undefined, text: string): void {
		this.#mistakes.add(this.#of(node), key, text);
	}

	/** A line without a space after its colon is, to YAML, more text of the value above: nobody means that. */
	#runsOn({ type, range }: Scalar): boolean {
		return type === 'PLAIN' && !!range && /[\r\n]/.test(this.#text.slice(range[0], range[1]));
	}

	#of(node: Node): Origin {
		return this.#at(node.range?.[0] ?? 0);
	}

	#at(offset: number): Origin {
		// An empty file has no lines.
		const { line, col } = this.#lines.linePos(offset);
		return { source: 'file', where: `${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}`, offset };
	}
}

/** Without recursion, which is the point. @returns the offset of the first token that is too deep */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
	const open: { token: CST.Token; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }));
	for (let entry = open.pop(); entry; entry = open.pop()) {
		const { token, depth } = entry;
		if (depth > MAX_DEPTH) return token.offset;
		if (token.type === 'document' && token.value) open.push({ token: token.value, depth: depth + 1 });
		if (!('items' in token)) continue;
		for (const item of token.items) {
			if (item.key) open.push({ token: item.key, depth: depth + 1 });
			if (item.value) open.push({ token: item.value, depth: depth + 1 });
		}
	}
	return undefined;
}

/** Nothing, `~` and `null` without quotes: what YAML calls null. */
function isNothing(node: Node): boolean {
	return isScalar(node) && node.type === 'PLAIN' && /^(~|null|)$/i.test(String(node.value));
}

function nameOf(prefix: string): string {
	return prefix === '' ? 'the configuration' : prefix.slice(0, -1);
}

function oneOfThese(section: Section): string {
	return `; there are ${[...section.keys()].join(', ')}`;
}

function aliasFault(aliases: number): string {
	if (aliases > MAX_ALIASES) return `more than ${MAX_ALIASES} aliases`;
	return 'there is no anchor of this name before; put a text that begins with * in quotes';
}

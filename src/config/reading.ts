/** One command's way from written values to a configuration. Every step adds the mistakes that it finds; the end raises them all. */
import { resolve } from 'node:path';
import type { z } from 'zod';
import { UsageError } from '../shared/errors.ts';
import type { Values } from './changes.ts';
import { effectiveLines, valuesOf } from './effective.ts';
import { exposedConfiguration, exposedFile, namesPrivateFile } from './exposure.ts';
import { checkReadable, isRegular, readText } from './files.ts';
import { DETAILS, fileForm, isSecret, schemaKey, secretOf, variableOf } from './keys.ts';
import { type Entry, Mistakes, type Origin } from './mistakes.ts';
import { type Configuration, PEM_FILES, schema } from './schema.ts';
import { type Gathered, gather, type Sources, twinOf } from './sources.ts';
import { keyOf, treeOf } from './tree.ts';
import { itemsOf } from './values.ts';

const MAX_SECRET_BYTES = 64 * 1024;
/** Fewer characters than this can be guessed. */
const SHORT_SECRET = 16;

/** What is wrong with keys together, said of one of them; undefined for nothing. */
export type Rule = (read: Configuration) => { readonly key: string; readonly text: string } | undefined;

export class Reading {
	/** `hub`, `agent` or one of `agents`: where the keys are that a step is told. */
	readonly #section: string;
	readonly #prefix: string;
	readonly #gathered: Gathered;
	readonly #mistakes: Mistakes;
	readonly #rules: Rule[];
	readonly #warnings: string[];

	/** @throws ConfigError if the file cannot be read */
	static async begin(section: 'hub' | 'agent', sources: Sources): Promise<Reading> {
		const mistakes = new Mistakes();
		const gathered = await gather(section, sources, mistakes);
		return new Reading(section, gathered, mistakes, [], [...gathered.warnings]);
	}

	private constructor(section: string, gathered: Gathered, mistakes: Mistakes, rules: Rule[], warnings: string[]) {
		this.#section = section;
		this.#prefix = `${section}.`;
		this.#gathered = gathered;
		this.#mistakes = mistakes;
		this.#rules = rules;
		this.#warnings = warnings;
	}

	/** The same reading, whose further steps are about another section. */
	at(section: string): Reading {
		return new Reading(section, this.#gathered, this.#mistakes, this.#rules, this.#warnings);
	}

	/** Sentences for the log. */
	get warnings(): readonly string[] {
		return this.#warnings;
	}

	has(name: string): boolean {
		return this.#entries.has(this.#prefix + name);
	}

	/** Forgets all but these of the section; a secret's name stands for both of its forms. */
	keepOnly(...names: readonly string[]): void {
		const keys = names.map((name) => this.#prefix + name);
		for (const other of [...this.#entries.keys()]) {
			if (!keys.some((key) => other === key || other === fileForm(key))) this.#entries.delete(other);
		}
	}

	/** Makes paths absolute, puts secrets in the place of the files that hold them, and looks whether the others can be read. */
	async openFiles(): Promise<void> {
		this.#judgeVariables();
		for (const [key, entry] of [...this.#entries]) {
			if (typeof entry.value !== 'string' || !this.#owns(key)) continue;
			const secret = secretOf(key);
			const isPem = PEM_FILES.has(schemaKey(key));
			if (secret === undefined && !isPem && !key.endsWith('.stateDir')) continue;
			const path = this.#absolute(entry.value, entry);
			await this.#adding(entry, key, path, async () => {
				if (secret !== undefined) this.#entries.set(secret, { ...entry, value: await readSecret(path), heldBy: path });
				if (isPem) await checkReadable(path);
				if (namesPrivateFile(key)) this.#warn(await exposedFile(key, entry, path));
			});
			this.#entries.set(key, { ...entry, value: path });
		}
		const { file } = this.#gathered;
		if (file !== undefined) this.#warn(await exposedConfiguration(file, this.#entries));
	}

	#warn(warning: string | undefined): void {
		if (warning !== undefined) this.#warnings.push(warning);
	}

	/** Of the command's own section, or of a list of such sections. */
	#owns(key: string): boolean {
		return key.startsWith(this.#prefix) || key.startsWith(`${this.#section}s[`);
	}

	/**
	 * Puts a section's values into each one of a list of such sections, where that does not say otherwise. What flags and variables
	 * say stands above the file, there too.
	 * @param own keys that the list's sections do not have
	 * @returns the list's sections
	 */
	share(list: string, own: readonly string[]): readonly Reading[] {
		const sections = this.#sectionsOf(list);
		for (const [key, entry] of [...this.#entries]) {
			const name = key.slice(this.#prefix.length);
			if (!key.startsWith(this.#prefix) || own.includes(name)) continue;
			for (const section of sections) this.#shareOne(`${section}.${name}`, entry);
		}
		return sections.map((section) => this.at(section));
	}

	/** The sections of a list of this section. */
	each(list: string): readonly Reading[] {
		return this.#sectionsOf(this.#prefix + list).map((section) => this.at(section));
	}

	#sectionsOf(list: string): readonly string[] {
		return Array.from({ length: this.#gathered.lists.get(list) ?? 0 }, (_, index) => `${list}[${index}]`);
	}

	#shareOne(key: string, entry: Entry): void {
		const twin = twinOf(key);
		const said = [key, twin]
			.map((one) => one !== undefined && this.#entries.get(one))
			.find((one) => one && !one.shared);
		if (said && entry.origin.source === 'file') return;
		if (said && twin !== undefined) this.#entries.delete(twin);
		this.#entries.set(key, { ...entry, shared: true });
	}

	/** Forgets a list of sections that a flag or a variable stands above. */
	forget(list: string): void {
		this.#gathered.lists.delete(list);
		for (const key of [...this.#entries.keys()]) if (key.startsWith(`${list}[`)) this.#entries.delete(key);
	}

	/** Where a value of the section comes from, if there is one. */
	originOf(name: string): Origin | undefined {
		return this.#entries.get(this.#prefix + name)?.origin;
	}

	/** A mistake at a key that was given. */
	refuse(name: string, text: string): void {
		const key = this.#prefix + name;
		this.#mistakes.add(this.#entries.get(key)?.origin, key, text);
	}

	/** Values without their variables are mistakes of this section, and none of another's, which may be for another machine. */
	#judgeVariables(): void {
		for (const [key, { fault }] of [...this.#entries]) {
			if (fault === undefined) continue;
			this.#entries.delete(key);
			if (this.#owns(key) || key.startsWith('log.')) this.#mistakes.add(fault.origin, key, fault.text);
		}
	}

	/** @param sentence what is lacking; how to give it is added */
	require(name: string, sentence: string): void {
		const key = this.#prefix + name;
		const named = isSecret(key) ? fileForm(name) : name;
		const forms = [key, this.#prefix + named];
		if (forms.some((form) => this.#entries.has(form) || this.#mistakes.concern(form))) return;
		const shared = this.#section.replace(/s\[\d+\]$/, '');
		const global = `${shared}.${named}`;
		if (this.#mistakes.concern(global)) return;
		const remedy = `--${named}, ${variableOf(global)} or ${this.#prefix}${named} in the configuration`;
		this.#mistakes.add(this.#gathered.sectionOrigin(this.#section), undefined, `${sentence}: give ${remedy}`);
	}

	/**
	 * @param name a key that means nothing without the other, unless it is given its default
	 * @param harmless a value of it that needs no other
	 */
	requireBeside(name: string, other: string, harmless: (text: string) => boolean = () => false): void {
		const entry = this.#entries.get(this.#prefix + name);
		const standard = DETAILS.get(schemaKey(this.#prefix + name))?.standard;
		if (String(entry?.value) === String(standard)) return;
		if (!entry || entry.shared || this.has(other) || (typeof entry.value === 'string' && harmless(entry.value))) return;
		this.#mistakes.add(entry.origin, this.#prefix + name, `needs ${this.#prefix}${other} beside it`);
	}

	/** As `require`, of what only a file can say. @param sentence what is lacking, and how to say it */
	requireInFile(name: string, sentence: string): void {
		const key = this.#prefix + name;
		if ([key, fileForm(key)].some((form) => this.#entries.has(form) || this.#mistakes.concern(form))) return;
		this.#mistakes.add(this.#gathered.sectionOrigin(this.#section), this.#section, sentence);
	}

	/**
	 * A mistake at a key if the list of another is not as the key needs it.
	 * @param fits is told the other key's items
	 */
	requireOf(name: string, other: string, fits: (items: readonly string[]) => boolean, sentence: string): void {
		const entry = this.#entries.get(this.#prefix + name);
		const list = this.#entries.get(this.#prefix + other);
		if (entry?.shared && list?.shared) return;
		if (entry && list && !fits(itemsOf(list.value))) this.#mistakes.add(entry.origin, this.#prefix + name, sentence);
	}

	/**
	 * What is wrong in a file that a key names is a mistake at that key. Pipes are left to whoever needs what is in them.
	 * @param open is told the files of the keys; throws UsageError, with the file's path before what is wrong with it
	 */
	tryFiles(names: readonly string[], open: (file: (name: string) => string | undefined) => unknown): void {
		const keys = names.map((name) => this.#prefix + name);
		if (keys.some((key) => this.#mistakes.concern(key))) return;
		if (keys.every((key) => this.#entries.get(key)?.shared !== undefined || !this.#entries.has(key))) return;
		const file = (name: string) => {
			const value = this.#entries.get(this.#prefix + name)?.value;
			return typeof value === 'string' ? value : undefined;
		};
		if (names.some((name) => this.has(name) && !isRegular(file(name) ?? ''))) return;
		try {
			open(file);
		} catch (error) {
			if (!(error instanceof UsageError)) throw error;
			const { message } = error;
			const name = names.find((candidate) => message.startsWith(`${file(candidate)}: `)) ?? names[0] ?? '';
			const key = this.#prefix + name;
			const origin = this.#entries.get(key)?.origin;
			this.#mistakes.add(origin, key, asWritten(message, file(name), origin));
		}
	}

	/** @param check throws UsageError for what is no item of the list */
	checkItems(name: string, check: (text: string) => unknown): void {
		const key = this.#prefix + name;
		const entry = this.#entries.get(key);
		for (const [index, item] of entry && !entry.shared ? itemsOf(entry.value).entries() : []) {
			if (item === '') continue;
			try {
				check(item);
			} catch (error) {
				if (!(error instanceof UsageError)) throw error;
				this.#mistakes.add(entry?.items?.[index] ?? entry?.origin, key, error.message);
			}
		}
	}

	/** Looks, at the end, at keys that are right each for itself. `rule` names one of the section, and says what is wrong with it. */
	check(rule: Rule): void {
		this.#rules.push(rule);
	}

	/** Sentences for the log, and what to do about it. */
	shortSecrets(...names: readonly string[]): string[] {
		return names.flatMap((name) => {
			const entry = this.#entries.get(this.#prefix + name);
			if (!entry || entry.value.length >= SHORT_SECRET) return [];
			const advice = 'it can be guessed; make a longer one, for instance with openssl rand -hex 32';
			return [`${entry.origin.where}: ${this.#prefix}${name} has fewer than ${SHORT_SECRET} characters: ${advice}`];
		});
	}

	/** @throws ConfigError with every mistake of every step */
	finish(): Configuration {
		const result = schema.safeParse(treeOf([...this.#entries].map(([key, { value }]) => [key, value] as const)));
		for (const issue of result.error?.issues ?? []) this.#addIssue(issue);
		for (const rule of this.#rules) {
			const fault = result.data && rule(result.data);
			if (fault === undefined) continue;
			const key = this.#prefix + fault.key;
			this.#mistakes.add(this.#entries.get(key)?.origin, key, fault.text);
		}
		this.#mistakes.raise();
		if (!result.success) throw result.error;
		return result.data;
	}

	/** Lines of YAML that say what is in effect and why, without secrets. @param configuration what `finish` returned */
	effective(configuration: Configuration): readonly string[] {
		return effectiveLines(this.#shown, this.#entries, configuration);
	}

	/** @param configuration what `finish` returned */
	values(configuration: Configuration): Values {
		return valuesOf(this.#shown, configuration);
	}

	get #shown(): readonly string[] {
		return [this.#section, `${this.#section}s`, 'log'];
	}

	#addIssue(issue: z.core.$ZodIssue): void {
		const last = issue.path.at(-1);
		const whole = keyOf(issue.path);
		const index = typeof last === 'number' && !this.#entries.has(whole) ? last : undefined;
		const key = index === undefined ? whole : keyOf(issue.path.slice(0, -1));
		const entry = this.#entries.get(key);
		if (entry?.shared) return;
		this.#mistakes.add((index === undefined ? undefined : entry?.items?.[index]) ?? entry?.origin, key, issue.message);
	}

	async #adding(entry: Entry, key: string, path: string, step: () => Promise<void>): Promise<void> {
		try {
			await step();
		} catch (error) {
			if (!(error instanceof UsageError)) throw error;
			this.#mistakes.add(entry.origin, key, asWritten(error.message, path, entry.origin));
		}
	}

	/** Paths in a file are relative to its folder, the others to the current one. */
	#absolute(path: string, { origin }: Entry): string {
		return origin.source === 'file' ? resolve(this.#gathered.directory, path) : resolve(path);
	}

	get #entries(): Map<string, Entry> {
		return this.#gathered.entries;
	}
}

/** A sentence about a file, under the name that it has in the configuration if that is written with variables. */
function asWritten(sentence: string, path: string | undefined, origin: Origin | undefined): string {
	const written = origin?.expansion?.written;
	return path === undefined || written === undefined ? sentence : sentence.replaceAll(path, () => written);
}

/** Editors and echo end a file with a line break that is not part of the secret. */
async function readSecret(path: string): Promise<string> {
	const text = (await readText(path, MAX_SECRET_BYTES)).replace(/\r?\n$/, '');
	if (text === '') throw new UsageError(`cannot read ${path}: it is empty`);
	return text;
}

/** One command's way from written values to a configuration. Every step adds the mistakes that it finds; the end raises them all. */
import { resolve } from 'node:path';
import type { z } from 'zod';
import { UsageError } from '../shared/errors.ts';
import { checkReadable, isRegular, openToOthers, readText } from './files.ts';
import { fileForm, KEYS, SECRETS, variableOf } from './keys.ts';
import { type Entry, Mistakes, type Origin } from './mistakes.ts';
import { type Configuration, PEM_FILES, schema } from './schema.ts';
import { type Gathered, gather, type Sources } from './sources.ts';
import { itemsOf } from './values.ts';

const MAX_SECRET_BYTES = 64 * 1024;
/** Fewer characters than this can be guessed. */
const SHORT_SECRET = 16;

/** What is wrong with keys together, said of one of them; undefined for nothing. */
export type Rule = (read: Configuration) => { readonly key: string; readonly text: string } | undefined;

export class Reading {
	/** `hub.` or `agent.`, before every key that a step is told. */
	readonly #prefix: string;
	readonly #section: string;
	readonly #gathered: Gathered;
	readonly #mistakes: Mistakes;
	readonly #rules: Rule[] = [];
	readonly #warnings: string[];

	/** @throws ConfigError if the file cannot be read */
	static async begin(section: 'hub' | 'agent', sources: Sources): Promise<Reading> {
		const mistakes = new Mistakes();
		return new Reading(section, await gather(section, sources, mistakes), mistakes);
	}

	private constructor(section: string, gathered: Gathered, mistakes: Mistakes) {
		this.#section = section;
		this.#prefix = `${section}.`;
		this.#gathered = gathered;
		this.#mistakes = mistakes;
		this.#warnings = [...gathered.warnings];
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
		for (const key of KEYS) {
			const entry = this.#entries.get(key);
			if (!entry || typeof entry.value !== 'string' || !key.startsWith(this.#prefix)) continue;
			const secret = SECRETS.find((candidate) => fileForm(candidate) === key);
			if (secret === undefined && !PEM_FILES.has(key) && !key.endsWith('.stateDir')) continue;
			const path = this.#absolute(entry.value, entry);
			await this.#adding(entry, key, path, async () => {
				if (secret !== undefined) this.#entries.set(secret, { ...entry, value: await readSecret(path), heldBy: path });
				if (PEM_FILES.has(key)) await checkReadable(path);
				if (secret !== undefined || key.endsWith('.tlsKey')) await this.#warnIfOpen(path, entry, key);
			});
			this.#entries.set(key, { ...entry, value: path });
		}
		await this.#warnOfFile();
	}

	/** Values without their variables are mistakes of this section, and none of another's, which may be for another machine. */
	#judgeVariables(): void {
		for (const [key, { fault }] of [...this.#entries]) {
			if (fault === undefined) continue;
			this.#entries.delete(key);
			if (key.startsWith(this.#prefix) || key.startsWith('log.')) this.#mistakes.add(fault.origin, key, fault.text);
		}
	}

	async #warnIfOpen(path: string, { origin }: Entry, key: string): Promise<void> {
		const may = await openToOthers(path);
		if (may === undefined) return;
		const shown = origin.expansion?.written ?? path;
		this.#warnings.push(`${origin.where}: ${key}: every user of this machine can ${may} ${shown}; chmod o= it`);
	}

	/** The configuration's own file: to be read by few if it holds a secret, and to be changed by few. */
	async #warnOfFile(): Promise<void> {
		const { file } = this.#gathered;
		const may = file === undefined ? undefined : await openToOthers(file);
		if (may === undefined) return;
		const secret = [...this.#entries].find(([key, entry]) => holdsSecret(key, entry));
		if (may === 'change') this.#warnings.push(`${file}: every user of this machine can change it; chmod o= it`);
		else if (secret) {
			const [key, { origin }] = secret;
			const remedy = `chmod o= it, or put the secret in a file of its own`;
			this.#warnings.push(`${origin.where}: ${key}: every user of this machine can read it; ${remedy}`);
		}
	}

	/** @param sentence what is lacking; how to give it is added */
	require(name: string, sentence: string): void {
		const key = this.#prefix + name;
		const named = SECRETS.includes(key) ? fileForm(name) : name;
		const forms = [key, this.#prefix + named];
		if (forms.some((form) => this.#entries.has(form) || this.#mistakes.concern(form))) return;
		const remedy = `--${named}, ${variableOf(this.#prefix + named)} or ${this.#prefix}${named} in the configuration`;
		this.#mistakes.add(this.#gathered.sectionOrigin(this.#section), undefined, `${sentence}: give ${remedy}`);
	}

	/**
	 * @param name a key that means nothing without the other
	 * @param harmless a value of it that needs no other
	 */
	requireBeside(name: string, other: string, harmless: (text: string) => boolean = () => false): void {
		const entry = this.#entries.get(this.#prefix + name);
		if (!entry || this.has(other) || (typeof entry.value === 'string' && harmless(entry.value))) return;
		this.#mistakes.add(entry.origin, this.#prefix + name, `needs ${this.#prefix}${other} beside it`);
	}

	/**
	 * A mistake at a key if the list of another is not as the key needs it.
	 * @param fits is told the other key's items
	 */
	requireOf(name: string, other: string, fits: (items: readonly string[]) => boolean, sentence: string): void {
		const entry = this.#entries.get(this.#prefix + name);
		const list = this.#entries.get(this.#prefix + other);
		if (entry && list && !fits(itemsOf(list.value))) this.#mistakes.add(entry.origin, this.#prefix + name, sentence);
	}

	/**
	 * What is wrong in a file that a key names is a mistake at that key. Pipes are left to whoever needs what is in them.
	 * @param open is told the files of the keys; throws UsageError, with the file's path before what is wrong with it
	 */
	tryFiles(names: readonly string[], open: (file: (name: string) => string | undefined) => unknown): void {
		const keys = names.map((name) => this.#prefix + name);
		if (keys.some((key) => this.#mistakes.concern(key))) return;
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
		for (const [index, item] of entry ? itemsOf(entry.value).entries() : []) {
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
		const result = schema.safeParse(tree(this.#entries));
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

	#addIssue(issue: z.core.$ZodIssue): void {
		const path = issue.path.map(String);
		const last = Number(issue.path.at(-1));
		const key = Number.isInteger(last) ? path.slice(0, -1).join('.') : path.join('.');
		const entry = this.#entries.get(key);
		this.#mistakes.add(entry?.items?.[last] ?? entry?.origin, key, issue.message);
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

/** Whether a value in the file itself, and no variable, is or has a secret. */
function holdsSecret(key: string, { value, origin, items, heldBy }: Entry): boolean {
	if (origin.source !== 'file' || heldBy !== undefined) return false;
	if (SECRETS.includes(key)) return origin.expansion === undefined;
	if (key !== 'agent.hub' && key !== 'agent.upstream') return false;
	return itemsOf(value).some((item, index) => item.includes('@') && (items?.[index] ?? origin).expansion === undefined);
}

/** Editors and echo end a file with a line break that is not part of the secret. */
async function readSecret(path: string): Promise<string> {
	const text = (await readText(path, MAX_SECRET_BYTES)).replace(/\r?\n$/, '');
	if (text === '') throw new UsageError(`cannot read ${path}: it is empty`);
	return text;
}

/** `hub.queue.max` → `{hub: {queue: {max}}}`; the keys are the schema's own. */
function tree(entries: ReadonlyMap<string, Entry>): Record<string, unknown> {
	const root: Record<string, unknown> = {};
	for (const [key, { value }] of entries) {
		const names = key.split('.');
		const last = names.pop() ?? '';
		let section = root;
		for (const name of names) {
			const below = (section[name] ?? {}) as Record<string, unknown>;
			section[name] = below;
			section = below;
		}
		section[last] = value;
	}
	return root;
}

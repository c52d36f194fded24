/** Reads the command line's words and flags, strictly, and writes them in the one form that the parser cannot misread. */

import { suggestion } from '../config/closest.ts';
import { spellings } from '../config/spellings.ts';
import { UsageError } from '../shared/errors.ts';
import type { Command, Flag } from './command.ts';

export type Request =
	| { readonly kind: 'version' }
	/** `topic` is the command or group that help was asked for; '' is the program. */
	| { readonly kind: 'help'; readonly topic: string }
	/** `flags`: `--port==8080` each, as `parserForm` says. */
	| { readonly kind: 'run'; readonly command: Command; readonly flags: readonly string[] };

const HELP = ['--help', '-h'];
const VERSION = ['--version', '-v'];
const BOOLEAN_WORDS = ['true', 'false'];

/**
 * @param words what follows the program's name
 * @throws UsageError, whose sentence repeats no value: it may be a secret
 */
export function readArguments(words: readonly string[], commands: readonly Command[]): Request {
	const [before, rest] = leadingConfig(words);
	const [first, second] = rest;
	const group = commands.filter(({ name }) => name.startsWith(`${first} `));
	const command = commands.find(({ name }) => name === first || name === `${first} ${second}`);
	if (command) {
		const given = [...before, ...rest.slice(command.name.split(' ').length)];
		return readFlags(given, command);
	}
	const next = group.length > 0 ? second : first;
	const topic = group.length > 0 ? `${first}` : '';
	if (next !== undefined && HELP.includes(next)) return { kind: 'help', topic };
	if (next !== undefined && VERSION.includes(next)) return { kind: 'version' };
	throw unknownCommand(topic, next, group.length > 0 ? group : commands);
}

/** `slime --config FILE hub run` is how some are used to say it. */
function leadingConfig(words: readonly string[]): [readonly string[], readonly string[]] {
	const [first, second] = words;
	if (first === '--config' && second !== undefined) return [[`--config=${second}`], words.slice(2)];
	return first?.startsWith('--config=') ? [[first], words.slice(1)] : [[], words];
}

function unknownCommand(topic: string, word: string | undefined, candidates: readonly Command[]): UsageError {
	const names = candidates.map(({ name }) => name);
	if (word === undefined) {
		return mistake(`a command is missing: write ${names.map((name) => `slime ${name}`).join(', ')}`, topic);
	}
	if (word.startsWith('-')) {
		const flag = flagName(word).slice(0, 64);
		return mistake(`no command before ${flag}: write slime ${names[0]} ${flag}`, topic);
	}
	const groups = topic === '' ? names.map((name) => name.split(' ', 1)[0] ?? name) : [];
	const wanted = spaced(topic, word.slice(0, 64));
	return mistake(`unknown command ${JSON.stringify(wanted)}${suggestion(wanted, [...names, ...groups])}`, topic);
}

function readFlags(words: readonly string[], command: Command): Request {
	if (words.some((word) => HELP.includes(word))) return { kind: 'help', topic: command.name };
	if (words.some((word) => VERSION.includes(word))) return { kind: 'version' };
	const flags: string[] = [];
	const seen = new Set<Flag>();
	let previous = `slime ${command.name}`;
	for (let index = 0; index < words.length; index++) {
		const word = words[index] ?? '';
		if (!word.startsWith('-') || word === '-' || word === '--') {
			throw mistake(`what follows ${previous} belongs to no flag: put a value with spaces in quotes`, command.name);
		}
		const written = flagName(word);
		const { flag, negated } = findFlag(written, command) ?? {};
		if (!flag) throw unknownFlag(written, command);
		previous = written;
		if (seen.has(flag) && !flag.list) throw mistake(`--${flag.name} is given twice: give it once`, command.name);
		seen.add(flag);
		let value = word.includes('=') ? word.slice(written.length + 1) : undefined;
		if (value === undefined && takesNext(flag, words[index + 1], command)) value = words[++index];
		if (flag.value === undefined && value === undefined) value = 'true';
		if (negated) value = negation(value, written, command);
		if (value === undefined || value === '') {
			throw mistake(`--${flag.name} needs a value: --${flag.name} ${flag.value ?? 'true'}`, command.name);
		}
		flags.push(parserForm(flag, value));
	}
	return { kind: 'run', command, flags };
}

/** Whether the next word is this flag's value rather than the next flag. */
function takesNext(flag: Flag, next: string | undefined, command: Command): boolean {
	if (next === undefined) return false;
	if (flag.value === undefined) return BOOLEAN_WORDS.includes(next);
	return !next.startsWith('--') || findFlag(flagName(next), command) === undefined;
}

function negation(value: string | undefined, written: string, command: Command): string {
	if (value !== 'true') throw mistake(`${written} takes no value`, command.name);
	return 'false';
}

function unknownFlag(written: string, { name, flags }: Command): UsageError {
	const names = flags.map((flag) => `--${flag.name}`);
	return mistake(`unknown flag ${written.slice(0, 64)}${suggestion(written, names)}`, name);
}

function findFlag(written: string, { flags }: Command): { flag: Flag; negated: boolean } | undefined {
	for (const flag of flags) {
		if (flagForms(flag.name).includes(written)) return { flag, negated: false };
		if (flag.value === undefined && flagForms(flag.name, 'no-').includes(written)) return { flag, negated: true };
	}
	return undefined;
}

/** `agentID` is --agentID, --agentId and --agent-id. */
function flagForms(name: string, prefix = ''): readonly string[] {
	return spellings(name).map((spelling) => `--${prefix}${spelling}`);
}

function flagName(word: string): string {
	return word.split('=', 1)[0] ?? word;
}

/**
 * The parser would turn 0123 into 123 and nothing into 0, and take a value that begins with a dash for a flag. Behind a
 * second equals sign it leaves a value alone. `originalText` takes that sign off again.
 */
function parserForm(flag: Flag, value: string): string {
	return `--${flag.name}==${value}`;
}

/** What `parserForm` wrote, as the parser read it. */
export function originalText(parsed: unknown): string {
	const values = Array.isArray(parsed) ? parsed : [parsed];
	return values.map((value) => String(value).slice(1)).join(',');
}

function mistake(sentence: string, topic: string): UsageError {
	const help = spaced('slime', topic, '--help');
	return new UsageError(sentence.endsWith('?') ? `${sentence} See ${help}` : `${sentence}; see ${help}`);
}

function spaced(...words: readonly string[]): string {
	return words.filter((word) => word !== '').join(' ');
}

/** The only owner of cac: parses flags in the form that `arguments` gives them, and writes the help. */
import { type CAC, cac } from 'cac';
import { version } from '../shared/version.ts';
import { originalText } from './arguments.ts';
import type { Command, Flag } from './command.ts';

/** Only one word can name a command of cac. */
const SEPARATOR = ':';

/** @returns values by the flags' names */
export function parseFlags(command: Command, flags: readonly string[]): ReadonlyMap<string, string> {
	const cli = parserOf([command]);
	const { options } = cli.parse(['node', 'slime', word(command), ...flags], { run: false });
	return new Map(
		command.flags.flatMap(({ name }) =>
			options[name] === undefined ? [] : [[name, originalText(options[name])] as const],
		),
	);
}

/** @param topic a command's name, a group's (`hub`), or '' for everything */
export function printHelp(topic: string, commands: readonly Command[]): void {
	const command = commands.find(({ name }) => name === topic);
	const shown = topic === '' || command ? commands : commands.filter(({ name }) => name.startsWith(`${topic} `));
	const cli = parserOf(shown);
	if (topic !== '') cli.usage(`${topic} <command> [flags]`);
	cli.parse(['node', 'slime', ...(command ? [word(command)] : [])], { run: false });
	cli.outputHelp();
}

function parserOf(commands: readonly Command[]): CAC {
	const cli = cac('slime');
	cli.usage('<command> [flags]');
	for (const command of commands) {
		const declared = cli.command(word(command), command.summary).usage(`${command.name} [flags]`);
		for (const flag of command.flags) declared.option(`--${flag.name} ${placeholder(flag)}`, flag.help);
	}
	cli.version(version);
	cli.help((sections) =>
		sections
			.filter(({ title }) => !title?.startsWith('For more info'))
			.map((section) => ({ ...section, body: readable(section.body, commands) })),
	);
	return cli;
}

function word({ name }: Command): string {
	return name.replace(' ', SEPARATOR);
}

/** A flag that cac holds for a boolean would not take the values that `arguments` writes. */
function placeholder({ value }: Flag): string {
	return value === undefined ? '[true|false]' : `<${value}>`;
}

function readable(body: string, commands: readonly Command[]): string {
	let text = body.replaceAll(/ +$/gm, '');
	for (const command of commands) text = text.replaceAll(word(command), command.name);
	return text;
}

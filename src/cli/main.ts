#!/usr/bin/env node
/** The program: reads the command line, runs one command, ends with its code. The only one that exits. */
import { ConfigError } from '../config/mistakes.ts';
import { UsageError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { readArguments } from './arguments.ts';
import { sourcesOf } from './command.ts';
import { COMMANDS } from './commands.ts';
import { failureLine, isDefect } from './failure.ts';
import { parseFlags, printHelp } from './parser.ts';
import { versionLine } from './version.ts';

/** Where a crash is reported once a command has a log. */
let log: Logger | undefined;

/** What runs this program may stop reading what it says; that is no reason to crash. */
for (const stream of [process.stdout, process.stderr]) {
	stream.on('error', (error: NodeJS.ErrnoException) => {
		if (error.code !== 'EPIPE') crash(error);
	});
}
process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);

void main(process.argv.slice(2)).then(end);

async function main(words: readonly string[]): Promise<number> {
	try {
		return await run(words);
	} catch (error) {
		// Its lines begin with where the mistakes are.
		const subject = error instanceof ConfigError ? '' : 'slime: ';
		if (error instanceof UsageError) {
			process.stderr.write(`${subject}${error.message}\n`);
			return 2;
		}
		if (isDefect(error)) crash(error);
		process.stderr.write(`slime: ${failureLine(error)}\n`);
		return 1;
	}
}

async function run(words: readonly string[]): Promise<number> {
	const request = readArguments(words, COMMANDS);
	if (request.kind === 'help') printHelp(request.topic, COMMANDS);
	if (request.kind === 'version') process.stdout.write(`${versionLine()}\n`);
	if (request.kind !== 'run') return 0;
	const { command } = request;
	const flags = parseFlags(command, request.flags);
	return command.run({
		flags,
		sources: sourcesOf(command, flags, process.env),
		reportTo(logger) {
			log = logger;
		},
	});
}

function crash(error: unknown): never {
	const stack = error instanceof Error ? error.stack : String(error);
	if (log?.isLevelEnabled('fatal')) log.fatal({ err: error }, 'crashed');
	else process.stderr.write(`slime: crashed: ${stack}\n`);
	process.exit(1);
}

/** Pipes may still hold what was written. */
function end(code: number): void {
	process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

/** What a command of the program is: its words, its flags, what it does. Knows no command and no parser. */
import type { FlagValue, Loaded, Sources } from '../config/load.ts';
import type { Logger } from '../shared/logger.ts';

export interface Flag {
	/** In camelCase, without dashes; kebab-case is accepted as well. */
	readonly name: string;
	/** What stands for its value in the help; a flag without one is true or false. */
	readonly value?: string;
	/** May be given more than once, or with commas. */
	readonly list?: true;
	/** The configuration's key that it sets, if it is one. */
	readonly key?: string;
	readonly help: string;
}

export interface Call {
	/** By the flag's name; the text as it was given, of a list with commas. */
	readonly flags: ReadonlyMap<string, string>;
	/** What the flags, the environment and --config say of the configuration. */
	readonly sources: Sources;
	/** The log in which a crash is reported from now on, instead of stderr. */
	reportTo(logger: Logger): void;
}

export interface Command {
	/** `hub run`. */
	readonly name: string;
	readonly summary: string;
	readonly flags: readonly Flag[];
	/**
	 * @returns the exit code
	 * @throws UsageError for exit code 2; other errors end with 1
	 */
	run(call: Call): Promise<number>;
}

export const CONFIG_FLAG: Flag = {
	name: 'config',
	value: 'FILE',
	help: 'Configuration (default: $SLIME_CONFIG, else ~/.slime.yaml if there is one)',
};

export const PRINT_FLAG: Flag = {
	name: 'print',
	help: 'Print what is in effect and where each value comes from, secrets masked (default: false)',
};

/** Says that a configuration is right, or what it is; mistakes have been thrown before. */
export function reportCheck(
	{ flags }: Call,
	{ warnings, effective }: Pick<Loaded<unknown>, 'warnings' | 'effective'>,
): number {
	for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
	const print = flags.get(PRINT_FLAG.name) === 'true';
	process.stdout.write(print ? `${effective().join('\n')}\n` : 'ok\n');
	return 0;
}

/** What the given flags say of the configuration's keys. */
export function sourcesOf(command: Command, flags: ReadonlyMap<string, string>, env: NodeJS.ProcessEnv): Sources {
	const values = new Map<string, FlagValue>();
	for (const { name, key } of command.flags) {
		const value = flags.get(name);
		if (key !== undefined && value !== undefined) values.set(key, { flag: `--${name}`, value });
	}
	return { flags: values, env, configFile: flags.get(CONFIG_FLAG.name) };
}

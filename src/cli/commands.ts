/** All commands of the program, in the order of the help, with those that are too small for a file. */
import { ConfigError } from '../config/mistakes.ts';
import { AGENT_COMMANDS } from './agent.ts';
import { CERTS } from './certs.ts';
import type { Call, Command } from './command.ts';
import { HUB_COMMANDS } from './hub.ts';
import { serve } from './service.ts';
import { STATUS } from './status.ts';
import { TOP } from './top.ts';
import { versionLine } from './version.ts';

const DEMO: Command = {
	name: 'demo',
	summary: 'Run a hub, two agents and a model that streams, to try it out',
	flags: [
		{ name: 'port', value: 'PORT', help: 'Port of the hub, 0 for any free one (default: 0)' },
		{ name: 'interval', value: 'MS', help: 'Milliseconds between two tokens of the model (default: 50)' },
	],
	run: runDemoCommand,
};

const VERSION: Command = {
	name: 'version',
	summary: 'Print the version',
	flags: [],
	async run() {
		process.stdout.write(`${versionLine()}\n`);
		return 0;
	},
};

export const COMMANDS: readonly Command[] = [...HUB_COMMANDS, ...AGENT_COMMANDS, STATUS, TOP, CERTS, DEMO, VERSION];

async function runDemoCommand({ flags, reportTo }: Call): Promise<number> {
	const port = wholeNumber(flags, 'port', 0, 65_535);
	const interval = wholeNumber(flags, 'interval', 50, 60_000);
	const { createConsoleLogger } = await import('../shared/logger.ts');
	const logger = await createConsoleLogger('warn');
	reportTo(logger);
	return serve(async () => {
		const { runDemo } = await import('./demo.ts');
		return runDemo({ port, interval, logger });
	}, logger);
}

function wholeNumber(flags: ReadonlyMap<string, string>, name: string, standard: number, most: number): number {
	const text = flags.get(name);
	if (text === undefined) return standard;
	if (/^\d{1,9}$/.test(text) && Number(text) <= most) return Number(text);
	const shown = JSON.stringify(text.slice(0, 64));
	throw new ConfigError([`--${name}: ${shown} is out of range: write a whole number from 0 to ${most}`]);
}

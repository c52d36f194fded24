/** Logs: JSON lines, readable ones on a terminal. The only owner of pino. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { LogOutput } from './log-output.ts';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger that drops everything, for programs that embed a hub or an agent and for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** @param to where JSON lines go; stdout if left out */
export function createLogger(level: LogLevel, to?: DestinationStream): Logger {
	return pino(loggerOptions(level), to ?? standardOutput());
}

/** The program's own log on stdout: readable lines when that is a terminal, JSON lines otherwise. */
export async function createConsoleLogger(level: LogLevel): Promise<Logger> {
	const to = process.stdout.isTTY ? await readableLines() : undefined;
	return createLogger(level, to);
}

/** @returns undefined where pino-pretty is not installed: an installation without it logs JSON on terminals too */
async function readableLines(): Promise<DestinationStream | undefined> {
	try {
		const { default: pretty } = await import('pino-pretty');
		// Synchronous, so that the last line before an exit is not lost.
		return pretty({ destination: 1, sync: true, singleLine: true, translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l' });
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
		throw error;
	}
}

let shared: LogOutput | undefined;

/** One for all loggers, so that their lines do not mix. Pino's own would try for ever to write its last lines to a closed pipe. */
function standardOutput(): LogOutput {
	if (shared) return shared;
	const output = new LogOutput(process.stdout.fd);
	process.once('exit', () => output.flushSync());
	shared = output;
	return output;
}

function loggerOptions(level: LogLevel) {
	return {
		level,
		base: null,
		timestamp: pino.stdTimeFunctions.isoTime,
		formatters: { level: (label: string) => ({ level: label }) },
	};
}

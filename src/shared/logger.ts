/** Logs: JSON lines, readable ones on a terminal. The only owner of pino. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** A logger that drops everything, for programs that embed a hub or an agent and for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** @param to where JSON lines go; stdout if left out */
export function createLogger(level: LogLevel, to?: DestinationStream): Logger {
	return to ? pino(loggerOptions(level), to) : pino(loggerOptions(level));
}

function loggerOptions(level: LogLevel) {
	return {
		level,
		base: null,
		timestamp: pino.stdTimeFunctions.isoTime,
		formatters: { level: (label: string) => ({ level: label }) },
	};
}

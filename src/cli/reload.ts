/** Reads a configuration again for a service that runs: what is right is taken over, what is wrong changes nothing and is said. */
import type { ReloadOutcome } from '../admin/api.ts';
import { changesOf, type Values } from '../config/changes.ts';
import type { Loaded } from '../config/load.ts';
import { ConfigError } from '../config/mistakes.ts';
import { messageOf, UsageError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { failureLine, isDefect } from './failure.ts';

export interface ReloadOptions<Settings> {
	/** What is in use. */
	readonly loaded: Loaded<Settings>;
	/** @throws ConfigError */
	readonly load: () => Promise<Loaded<Settings>>;
	/** Takes settings over, or nothing of them and throws. */
	readonly apply: (settings: Settings) => Promise<void>;
	/** Keys that wait for a restart here, beside those that always do. */
	readonly fixed?: (key: string) => boolean;
	readonly logger: Logger;
}

/** @returns reads it again; one after the other if it is called while it does. Logs what came of it, and throws UsageError if nothing did */
export function reloader<Settings>(options: ReloadOptions<Settings>): () => Promise<ReloadOutcome> {
	let values = options.loaded.values;
	let last: Promise<unknown> = Promise.resolve();
	const reload = async (): Promise<ReloadOutcome> => {
		try {
			const [outcome, now] = await attempt(options, values);
			values = now;
			return outcome;
		} catch (error) {
			if (isDefect(error)) throw error;
			const mistakes = error instanceof ConfigError ? error.mistakes : [failureLine(error)];
			options.logger.error({ mistakes }, 'the configuration was not reloaded: nothing has changed');
			throw error instanceof UsageError ? error : new UsageError(mistakes.join('\n'), { cause: error });
		}
	};
	return () => {
		const next = last.then(reload);
		last = next.catch((error: unknown) => messageOf(error));
		return next;
	};
}

async function attempt<Settings>(
	{ load, apply, fixed, logger }: ReloadOptions<Settings>,
	before: Values,
): Promise<[ReloadOutcome, Values]> {
	const { settings, logLevel, warnings, values } = await load();
	const { live, restart } = changesOf(before, values, fixed);
	if (live.length > 0) await apply(settings);
	if (live.includes('log.level')) logger.level = logLevel;
	for (const warning of warnings) logger.warn(warning);
	logger.info({ changed: live }, 'the configuration was reloaded');
	if (restart.length > 0) logger.warn({ restart }, 'what these keys say is in use after a restart');
	const now = new Map(values);
	for (const key of restart) {
		const old = before.get(key);
		if (old === undefined) now.delete(key);
		else now.set(key, old);
	}
	return [{ changed: live, restart, warnings }, now];
}

/** For a signal, whose sender is told nothing: what was refused is in the log. */
export async function unlessRefused(reload: () => Promise<unknown>): Promise<void> {
	try {
		await reload();
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
	}
}

/** A hub or an agent as a process: runs until a signal, drains, ends. Does not know which of them it is. */
import type { Logger } from '../shared/logger.ts';
import { settleYoungGeneration } from '../shared/young-generation.ts';

export interface Service {
	/** Lets what is in progress finish; resolves when nothing is left open. */
	drain(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Starts a service; the first signal drains it, the second ends at once.
 * @param start rejects when the service cannot run
 * @returns the exit code
 */
export async function serve(start: () => Promise<Service>, logger: Logger): Promise<number> {
	settleYoungGeneration();
	const { first, second } = signals();
	const whole = async () => {
		const service = await start();
		const signal = await first;
		logger.info({ signal }, 'draining');
		await service.drain();
		logger.info('stopped');
		return 0;
	};
	return Promise.race([whole(), second.then(() => 1)]);
}

function signals(): { first: Promise<string>; second: Promise<string> } {
	const waiting: ((signal: string) => void)[] = [];
	const next = () => new Promise<string>((resolve) => waiting.push(resolve));
	for (const signal of SIGNALS) process.on(signal, () => waiting.shift()?.(signal));
	return { first: next(), second: next() };
}

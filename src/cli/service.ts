/** A hub or an agent as a process: runs until a signal, drains, ends. Does not know which of them it is. */
import type { Logger } from '../shared/logger.ts';
import { settleYoungGeneration } from '../shared/young-generation.ts';

export interface Service {
	/** Reads again what may change while it runs; what SIGHUP asks for. */
	reload?(): void;
	/** Lets what is in progress finish; resolves when nothing is left open. */
	drain(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a service; the first signal drains it, the second ends at once. SIGHUP reloads what can be reloaded, and is a signal like
 * the others where nothing can.
 * @param start rejects when the service cannot run
 * @returns the exit code
 */
export async function serve(start: () => Promise<Service>, logger: Logger): Promise<number> {
	settleYoungGeneration();
	let running: Service | undefined;
	let early = false;
	const { first, second } = signals((signal) => {
		if (signal !== 'SIGHUP') return false;
		if (running === undefined) early = true;
		else if (running.reload) running.reload();
		else return false;
		return true;
	});
	const whole = async () => {
		const service = await start();
		running = service;
		if (early) process.emit('SIGHUP', 'SIGHUP');
		const signal = await first;
		logger.info({ signal }, 'draining');
		await service.drain();
		logger.info('stopped');
		return 0;
	};
	return Promise.race([whole(), second.then(() => 1)]);
}

/** @param taken whether a signal was for something else */
function signals(taken: (signal: string) => boolean): { first: Promise<string>; second: Promise<string> } {
	const waiting: ((signal: string) => void)[] = [];
	const next = () => new Promise<string>((resolve) => waiting.push(resolve));
	for (const signal of SIGNALS) {
		process.on(signal, () => {
			if (!taken(signal)) waiting.shift()?.(signal);
		});
	}
	return { first: next(), second: next() };
}

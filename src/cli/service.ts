/** A hub or an agent as a process: runs until a signal, drains, ends. Does not know which of them it is. */
import type { Logger } from '../shared/logger.ts';
import { settleYoungGeneration } from '../shared/young-generation.ts';
import { Notifier } from './notify.ts';

export interface Service {
	/** How it is, in one line. */
	status(): string;
	/** Milliseconds that drain() may take. */
	readonly drainTimeout: number;
	/** Reads again what may change while it runs; what SIGHUP asks for. */
	reload?(): void | Promise<void>;
	/** Lets what is in progress finish; resolves when nothing is left open. */
	drain(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a service; the first signal drains it, the second ends at once. SIGHUP reloads what can be reloaded, and is a signal like
 * the others where nothing can. Whoever started it with NOTIFY_SOCKET is told what becomes of it.
 * @param start rejects when the service cannot run
 * @returns the exit code
 */
export async function serve(start: () => Promise<Service>, logger: Logger): Promise<number> {
	settleYoungGeneration();
	let running: Service | undefined;
	let early = false;
	const notifier = Notifier.from({ env: process.env, pid: process.pid, logger });
	const reload = async (service: Service) => {
		notifier?.reloading();
		try {
			await service.reload?.();
		} finally {
			notifier?.reloaded();
		}
	};
	const { first, second } = signals((signal) => {
		if (signal !== 'SIGHUP') return false;
		if (running === undefined) early = true;
		else if (running.reload) void reload(running);
		else return false;
		return true;
	});
	const whole = async () => {
		const service = await start();
		running = service;
		notifier?.ready(() => service.status());
		if (early) process.emit('SIGHUP', 'SIGHUP');
		const signal = await first;
		logger.info({ signal }, 'draining');
		notifier?.stopping(service.drainTimeout);
		await service.drain();
		logger.info('stopped');
		await notifier?.close();
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

/** A hub or an agent as a process: runs until a signal, drains, ends. Does not know which of them it is. */
import type { Logger } from '../shared/logger.ts';
import { settleV8 } from '../shared/v8-settings.ts';
import { Notifier } from './notify.ts';

export interface Service {
	/** How it is, in one line. */
	status(): string;
	/** Milliseconds that drain() may take. */
	readonly drainTimeout: number;
	/** Reads again what may change while it runs; what SIGHUP asks for. Does not reject, and announces itself. */
	reload?(): Promise<void>;
	/** Lets what is in progress finish; resolves when nothing is left open. */
	drain(): Promise<void>;
}

/** Does what a reload is, and tells whoever started this program when it begins and that it is over. */
export type Reloading = <T>(work: () => Promise<T>) => Promise<T>;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a service; the first signal drains it, the second ends at once. SIGHUP reloads what can be reloaded, and is a signal like
 * the others where nothing can. Whoever started it with NOTIFY_SOCKET is told what becomes of it.
 * @param start rejects when the service cannot run; is given what tells whoever started it that a reload is under way
 * @returns the exit code
 */
export async function serve(start: (reloading: Reloading) => Promise<Service>, logger: Logger): Promise<number> {
	settleV8();
	let running: Service | undefined;
	let early = false;
	const notifier = Notifier.from({ env: process.env, pid: process.pid, logger });
	const reloading: Reloading = async (work) => {
		notifier?.reloading();
		try {
			return await work();
		} finally {
			notifier?.reloaded();
		}
	};
	const { first, second } = signals((signal) => {
		if (signal !== 'SIGHUP') return false;
		if (running === undefined) early = true;
		else if (running.reload) void running.reload();
		else return false;
		return true;
	});
	const whole = async () => {
		const service = await start(reloading);
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

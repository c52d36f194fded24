/** Something made of PEM files that is made anew when they change, or when asked for. What cannot be used changes nothing. */
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { FileWatch } from './file-watch.ts';

export interface ReloadingOptions<T> {
	/** The files that `load` reads. */
	readonly files: readonly string[];
	/** @throws UsageError naming the file and what is wrong with it */
	readonly load: () => T;
	/** Hears of every value but the first. */
	readonly renewed?: (value: T) => void;
	readonly logger: Logger;
}

export class Reloading<T> {
	readonly #options: ReloadingOptions<T>;
	readonly #watch: FileWatch | null;
	#current: T;
	/** Why the files cannot be used, as it was logged; null while they can. */
	#fault: string | null = null;

	/** @throws what the first `load` throws */
	constructor(options: ReloadingOptions<T>) {
		this.#options = options;
		// It looks at the files before they are read: a change in between is seen.
		this.#watch = options.files.length === 0 ? null : new FileWatch(options.files, () => this.#load());
		try {
			this.#current = options.load();
		} catch (error) {
			this.#watch?.close();
			throw error;
		}
	}

	get current(): T {
		return this.#current;
	}

	/** Reads the files now. */
	reload(): void {
		if (this.#watch === null) return;
		this.#watch.acknowledge();
		this.#fault = null;
		this.#load();
	}

	/** Looks at the files no more. */
	close(): void {
		this.#watch?.close();
	}

	#load(): void {
		const { files, load, renewed, logger } = this.#options;
		try {
			const value = load();
			renewed?.(value);
			this.#current = value;
		} catch (error) {
			const fault = messageOf(error);
			if (fault !== this.#fault) {
				logger.error({ reason: fault }, 'the certificates were not reloaded: those from before stay in use');
			}
			this.#fault = fault;
			return;
		}
		this.#fault = null;
		logger.info({ files }, 'certificates reloaded');
	}
}

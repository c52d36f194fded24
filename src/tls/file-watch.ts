/**
 * Tells when any of a few files has changed, by looking at them every few seconds. So it does not matter whether a file is written,
 * replaced by rename, or reached by a link that is moved, as Kubernetes moves those of mounted secrets. Reads no contents.
 */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf } from '../shared/errors.ts';

const INTERVAL_MS = 2000;
/** A certificate and its key are two files: both should have been replaced before anybody is told. */
const SETTLE_MS = 200;

export class FileWatch {
	readonly #files: readonly string[];
	readonly #changed: () => void;
	/** What was told last, and what was seen last. */
	#told: string;
	#seen: string;
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	/** Begins to look. Keeps no process alive. @param changed must not throw */
	constructor(files: readonly string[], changed: () => void) {
		this.#files = files;
		this.#changed = changed;
		this.#told = this.#lookNow();
		this.#seen = this.#told;
		this.#lookAfter(INTERVAL_MS);
	}

	/** What the files are now is known, and no change. */
	acknowledge(): void {
		this.#told = this.#lookNow();
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	#lookAfter(ms: number): void {
		if (this.#closed) return;
		this.#timer = setTimeout(() => void this.#poll(), ms);
		this.#timer.unref();
	}

	async #poll(): Promise<void> {
		const marks = await Promise.all(this.#files.map((file) => stat(file, { bigint: true }).then(mark, absent)));
		const now = marks.join('\n');
		const settled = now === this.#seen;
		this.#seen = now;
		if (this.#closed) return;
		if (settled && now !== this.#told) {
			this.#told = now;
			this.#changed();
		}
		this.#lookAfter(settled ? INTERVAL_MS : SETTLE_MS);
	}

	#lookNow(): string {
		return this.#files.map(markNow).join('\n');
	}
}

interface Stats {
	readonly dev: bigint;
	readonly ino: bigint;
	readonly size: bigint;
	readonly mtimeNs: bigint;
	readonly ctimeNs: bigint;
	isFile(): boolean;
}

function markNow(file: string): string {
	try {
		return mark(statSync(file, { bigint: true }));
	} catch (error) {
		return absent(error);
	}
}

/** A pipe changes by being read, and has nothing more to give. */
function mark(stats: Stats): string {
	const { dev, ino, size, mtimeNs, ctimeNs } = stats;
	return stats.isFile() ? [dev, ino, size, mtimeNs, ctimeNs].join(' ') : 'no file';
}

/** That a file cannot be reached is a state of it like any other; whoever reads it then says what is wrong. */
function absent(error: unknown): string {
	return error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
}

/** Where the lines of a log go: a file descriptor that may be slow or closed. Never waits for it and never fails; knows no format. */
import { writeSync } from 'node:fs';

/** What a reader that is slow or paused may fall behind; lines beyond it are dropped and counted. */
const MOST_WAITING = 8 * 1024 * 1024;
const RETRY_MS = 20;
/** How long the last lines may take at the end of the process. */
const LAST_TRIES = 25;

/**
 * A line is written at once, so that a crash loses none. What a pipe does not take now is tried again, in order.
 * The descriptor has to be non-blocking where it is a pipe: Node makes that of stdout when `process.stdout` is first used.
 */
export class LogOutput {
	readonly #fd: number;
	readonly #write: typeof writeSync;
	readonly #waiting: Buffer[] = [];
	#bytes = 0;
	#lost = 0;
	#failing = false;
	#closed = false;
	#retry: NodeJS.Timeout | undefined;

	/** @param write stands in for the system in tests */
	constructor(fd: number, write: typeof writeSync = writeSync) {
		this.#fd = fd;
		this.#write = write;
	}

	/** One line with its end. */
	write(line: string): void {
		if (this.#closed) return;
		const bytes = Buffer.from(line);
		if (this.#bytes + bytes.length > MOST_WAITING) {
			this.#lost += 1;
			return;
		}
		this.#waiting.push(bytes);
		this.#bytes += bytes.length;
		if (this.#retry === undefined) this.#drain();
	}

	/** Tries for half a second, which is for the last lines of a process. */
	flushSync(): void {
		for (let tries = 0; tries < LAST_TRIES && this.#waiting.length > 0; tries++) {
			if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
			this.#drain();
		}
	}

	#drain(): void {
		clearTimeout(this.#retry);
		this.#retry = undefined;
		let done = 0;
		while (done < this.#waiting.length && this.#dealWith(done)) done += 1;
		this.#waiting.splice(0, done);
		// A retry does not keep a process alive that has nothing else to do: flushSync comes at its end.
		if (this.#waiting.length > 0) this.#retry = setTimeout(() => this.#drain(), RETRY_MS).unref();
		else if (this.#lost > 0 && !this.#failing) this.#reportLoss();
	}

	/** @returns whether that line is written or given up, so that the next one can follow */
	#dealWith(index: number): boolean {
		const line = this.#waiting[index] ?? Buffer.alloc(0);
		try {
			const written = this.#write(this.#fd, line);
			this.#bytes -= written;
			this.#failing = false;
			this.#waiting[index] = line.subarray(written);
			return written === line.length;
		} catch (error) {
			const code = error instanceof Error && 'code' in error ? error.code : undefined;
			if (code === 'EAGAIN' || code === 'EBUSY') return false;
			// Nobody reads it any more; with other faults, such as a full disk, a later line may get through.
			this.#closed = code === 'EPIPE' || code === 'EBADF';
			this.#failing = true;
			this.#bytes -= line.length;
			this.#lost += 1;
			return true;
		}
	}

	#reportLoss(): void {
		const line = { level: 'warn', time: new Date().toISOString(), lost: this.#lost, msg: 'log lines were lost' };
		this.#lost = 0;
		this.write(`${JSON.stringify(line)}\n`);
	}
}

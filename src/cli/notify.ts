/**
 * Tells systemd how the service is (sd_notify(3)), through the program systemd-notify: Node has no datagram sockets of AF_UNIX. One
 * message at a time, in order, each bounded in time. Knows nothing of hubs and agents.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import type { Logger } from '../shared/logger.ts';
import { within } from '../shared/within.ts';

const PROGRAM = 'systemd-notify';
/** The shortest time between signs of life, in milliseconds. */
const LEAST_WATCHDOG = 250;
/** What a drain may take beyond its timeout, in milliseconds. */
const BEYOND_DRAIN = 10_000;

export interface NotifierOptions {
	/** What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say is taken out, so that no child believes it is meant. */
	readonly env: NodeJS.ProcessEnv;
	readonly pid: number;
	readonly logger: Logger;
	/** Milliseconds between two looks at the status; each message is a process, so what changes all the time is told now and then. */
	readonly statusInterval?: number;
	/** Milliseconds for each message. The program itself waits 5 s for systemd to have read it. */
	readonly limit?: number;
}

interface ProgramEnvironment extends NodeJS.ProcessEnv {
	readonly NOTIFY_SOCKET: string;
	readonly PATH: string | undefined;
}

export class Notifier {
	readonly #log: Logger;
	readonly #pid: number;
	readonly #statusInterval: number;
	readonly #limit: number;
	/** All that the program is told of our environment, in which there may be secrets. */
	readonly #env: ProgramEnvironment;
	/** Milliseconds between signs of life, half of what systemd allows; undefined if it does not ask for any. */
	readonly #watchdog: number | undefined;
	readonly #timers: NodeJS.Timeout[] = [];
	/** Messages that wait for the one under way, oldest first. */
	#waiting: (readonly string[])[] = [];
	/** Set while the program runs. */
	#underWay: Promise<void> | null = null;
	/** A sign of life is due, and a look at the status. One message does for both, and for all that were due meanwhile. */
	#alive = false;
	#statusDue = false;
	#status: () => string = () => '';
	#told = '';
	/** The program cannot be run: there is no use in trying again. */
	#off = false;
	/** It said that it stops; a reload that is still under way is nobody's business any more. */
	#ending = false;
	/** The last message failed, which was logged. */
	#failing = false;

	/** Null if nobody wants to be told. */
	static from(options: NotifierOptions): Notifier | null {
		const { env, pid } = options;
		const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = env;
		for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
		if (!NOTIFY_SOCKET) return null;
		const watched = WATCHDOG_PID === undefined || WATCHDOG_PID === `${pid}`;
		const limit = watched ? Number(WATCHDOG_USEC) / 1000 : Number.NaN;
		const watchdog = limit > 0 ? Math.max(limit / 2, LEAST_WATCHDOG) : undefined;
		return new Notifier({ NOTIFY_SOCKET, PATH: env.PATH }, watchdog, options);
	}

	private constructor(env: ProgramEnvironment, watchdog: number | undefined, options: NotifierOptions) {
		this.#env = env;
		this.#watchdog = watchdog;
		this.#pid = options.pid;
		this.#log = options.logger;
		this.#statusInterval = options.statusInterval ?? 5000;
		this.#limit = options.limit ?? 10_000;
	}

	/**
	 * The service runs. From now on its status is told when it has changed, and that it lives: by a timer of this event loop, so that
	 * a loop which hangs is found out.
	 * @param status one line for `systemctl status`
	 */
	ready(status: () => string): void {
		this.#status = status;
		// The process that systemd started may be one that started us.
		this.#tell(`MAINPID=${this.#pid}`, 'READY=1', this.#statusLine());
		this.#every(this.#statusInterval, () => {
			this.#statusDue = true;
			this.#next();
		});
		if (this.#watchdog === undefined) return;
		this.#every(this.#watchdog, () => {
			this.#alive = true;
			this.#next();
		});
	}

	/** Its configuration is being read again; reloaded() has to follow. */
	reloading(): void {
		if (this.#ending) return;
		// CLOCK_MONOTONIC in microseconds, by which systemd tells this reload from one before it.
		this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
	}

	reloaded(): void {
		if (!this.#ending) this.#tell('READY=1', this.#statusLine());
	}

	/** @param drainTimeout milliseconds; systemd gives that much time, even if TimeoutStopSec= is shorter */
	stopping(drainTimeout: number): void {
		this.#ending = true;
		this.#status = () => 'draining';
		this.#tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${(drainTimeout + BEYOND_DRAIN) * 1000}`, this.#statusLine());
	}

	/** Nothing more will be told; resolves when what was is delivered, or cannot be in time. */
	async close(): Promise<void> {
		this.#stopTimers();
		await within(this.#limit, this.#allSent());
		this.#off = true;
	}

	#stopTimers(): void {
		for (const timer of this.#timers) clearInterval(timer);
		this.#alive = false;
		this.#statusDue = false;
	}

	async #allSent(): Promise<void> {
		while (this.#underWay !== null) await this.#underWay;
	}

	#every(interval: number, then: () => void): void {
		this.#timers.push(setInterval(then, interval).unref());
	}

	#statusLine(): string {
		this.#told = this.#status();
		return `STATUS=${this.#told}`;
	}

	#tell(...assignments: readonly string[]): void {
		this.#waiting.push(assignments);
		this.#next();
	}

	/** The next message, if there is one and none is under way. */
	#next(): void {
		if (this.#underWay !== null || this.#off) return;
		const message = this.#waiting.shift() ?? this.#routine();
		if (message.length === 0) return;
		this.#underWay = this.#run(message).then(() => {
			this.#underWay = null;
			this.#next();
		});
	}

	/** Whatever is not about a change of state goes together. */
	#routine(): readonly string[] {
		const message: string[] = [];
		if (this.#alive) message.push('WATCHDOG=1');
		this.#alive = false;
		if (this.#statusDue && this.#status() !== this.#told) message.push(this.#statusLine());
		this.#statusDue = false;
		return message;
	}

	#run(message: readonly string[]): Promise<void> {
		return new Promise((resolve) => {
			const options = { env: this.#env, timeout: this.#limit, killSignal: 'SIGKILL' } as const;
			execFile(PROGRAM, message, options, (error, _stdout, stderr) => {
				if (error) this.#failed(error, stderr);
				else this.#failing = false;
				resolve();
			});
		});
	}

	#failed(error: ExecFileException, stderr: string): void {
		if (error.code === 'ENOENT' || error.code === 'EACCES') {
			this.#off = true;
			this.#stopTimers();
			const reason = `${PROGRAM} cannot be run (${error.code})`;
			this.#log.warn({ reason }, 'systemd is told nothing: install the program, or write Type=exec instead of notify');
		} else if (!this.#failing) {
			this.#failing = true;
			const reason = error.killed ? `no end after ${this.#limit / 1000} s` : stderr.trim().slice(0, 200);
			this.#log.warn({ reason: `${PROGRAM}: ${reason || error.message}` }, 'systemd could not be told');
		}
	}
}

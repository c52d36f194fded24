/**
 * Shows something again and again: on a terminal as a screen that is drawn over, elsewhere as text that goes on. Owns the terminal while
 * it runs, and leaves it as it was; knows nothing of what is shown.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import { messageOf } from '../shared/errors.ts';
import { fit, printable } from './table.ts';

export interface LiveOptions<T> {
	/** What is to be shown next. The first time, what it throws ends the command; later it is shown, above what was there before. */
	readonly load: () => Promise<T>;
	/** Lines of printable text, for a screen. */
	readonly lines: (data: T) => readonly string[];
	/** For what is no terminal. */
	readonly print: (data: T) => void;
	/** Milliseconds between the end of one look and the next. */
	readonly interval: number;
	readonly input?: ReadStream;
	readonly output?: WriteStream;
}

const ESC = '\u001b[';
/** Another screen, so that what was on this one is there again afterwards; no cursor; no wrapping of long lines. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** Terminals that know it show what is between the two at once. */
const BEGIN_FRAME = `${ESC}?2026h${ESC}H`;
const END_FRAME = `${ESC}J${ESC}?2026l`;
const END_OF_LINE = `${ESC}K`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** In raw mode Ctrl-C is a byte. */
const QUITS = ['q', 'Q', '\u0003', '\u0004'];

/** Resolves when the user has had enough, or nobody reads any more. */
export async function live<T>(options: LiveOptions<T>): Promise<void> {
	const { load, print, interval, input = process.stdin, output = process.stdout } = options;
	let data = await load();
	let fault = '';
	let over = false;
	let timer: NodeJS.Timeout | undefined;
	let finish = () => {};
	const finished = new Promise<void>((resolve) => {
		finish = resolve;
	});
	const stop = () => {
		over = true;
		clearTimeout(timer);
		finish();
	};
	const screen = output.isTTY ? new Screen(input, output, stop) : null;
	const show = () => {
		if (screen === null) print(data);
		else screen.draw(fault === '' ? options.lines(data) : [fault, '', ...options.lines(data)]);
	};
	const later = () => {
		timer = setTimeout(() => void look(), interval);
	};
	const look = async () => {
		try {
			data = await load();
			fault = '';
		} catch (error) {
			fault = printable(messageOf(error));
		}
		if (over) return;
		if (screen === null && fault !== '') process.stderr.write(`slime: ${fault}\n`);
		else show();
		later();
	};
	for (const signal of SIGNALS) process.once(signal, stop);
	output.once('error', stop);
	output.on('resize', show);
	show();
	later();
	await finished;
	for (const signal of SIGNALS) process.off(signal, stop);
	output.off('error', stop);
	output.off('resize', show);
	screen?.close();
}

class Screen {
	readonly #input: ReadStream;
	readonly #output: WriteStream;
	readonly #onKey: (keys: Buffer) => void;
	readonly #leave = () => void this.#output.write(LEAVE);

	constructor(input: ReadStream, output: WriteStream, quit: () => void) {
		this.#input = input;
		this.#output = output;
		this.#onKey = (keys) => {
			if (QUITS.some((key) => keys.includes(key))) quit();
		};
		if (input.isTTY) {
			input.setRawMode(true);
			input.on('data', this.#onKey);
		}
		output.write(ENTER);
		// Also when the program crashes.
		process.once('exit', this.#leave);
	}

	/** Writes over what is there, in one piece: nothing is blank in between. */
	draw(lines: readonly string[]): void {
		const { columns = 80, rows = 24 } = this.#output;
		const shown = lines.length > rows ? [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more`] : lines;
		const text = shown.map((line) => fit(line, columns) + END_OF_LINE).join('\n');
		this.#output.write(BEGIN_FRAME + text + END_FRAME);
	}

	close(): void {
		process.off('exit', this.#leave);
		this.#leave();
		if (!this.#input.isTTY) return;
		this.#input.off('data', this.#onKey);
		this.#input.setRawMode(false);
		this.#input.pause();
	}
}

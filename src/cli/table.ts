/** Tables: aligned for eyes on a terminal, columns between tabs for programs. Knows nothing of what is in them. */

interface Output {
	readonly isTTY?: boolean;
	write(text: string): unknown;
}

/** What came from elsewhere must not move the cursor, nor split a row. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
/** East Asian characters take two columns, combining marks none. */
const WIDE =
	/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/gu;
const NO_WIDTH = /\p{M}/gu;

/** One line that does nothing to a terminal, whatever the text was. */
export function printable(text: unknown): string {
	return String(text).replaceAll(UNPRINTABLE, '?');
}

/** JSON that does nothing to a terminal either, and means the same. @param space as JSON.stringify takes it */
export function printableJson(value: unknown, space = 0): string {
	return JSON.stringify(value, null, space).replaceAll(UNPRINTABLE, (text) =>
		text === '\n' ? text : [...Array(text.length).keys()].map((at) => escaped(text.charCodeAt(at))).join(''),
	);
}

function escaped(unit: number): string {
	return `\\u${unit.toString(16).padStart(4, '0')}`;
}

export function writeTable(output: Output, head: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
	output.write(`${tableLines(head, rows, output.isTTY === true).join('\n')}\n`);
}

/** @param align for eyes: then columns whose cells are all numbers stand to the right */
export function tableLines(
	head: readonly string[],
	rows: ReadonlyArray<readonly string[]>,
	align: boolean,
): readonly string[] {
	const lines = [head, ...rows].map((cells) => cells.map(printable));
	return align ? aligned(lines) : lines.map((cells) => cells.join('\t'));
}

/** As much of a line as so many columns hold. */
export function fit(line: string, columns: number): string {
	if (width(line) <= columns) return line;
	let kept = '';
	let left = columns - 1;
	for (const character of line) {
		left -= width(character);
		if (left < 0) break;
		kept += character;
	}
	return `${kept}…`;
}

function aligned(lines: ReadonlyArray<readonly string[]>): readonly string[] {
	const [head = [], ...rows] = lines;
	const widths = head.map((_, column) => Math.max(...lines.map((cells) => width(cells[column] ?? ''))));
	const toRight = head.map(
		(_, column) => rows.length > 0 && rows.every((cells) => /^[\d.]+\S*$/.test(cells[column] ?? '')),
	);
	return lines.map((cells) =>
		cells
			.map((cell, column) => {
				const space = ' '.repeat((widths[column] ?? 0) - width(cell));
				return toRight[column] ? space + cell : cell + space;
			})
			.join('  ')
			.trimEnd(),
	);
}

function width(text: string): number {
	const bare = text.replaceAll(NO_WIDTH, '');
	return [...bare].length + (bare.match(WIDE)?.length ?? 0);
}

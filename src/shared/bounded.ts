/** Texts of unknown length, cut for people to read. */
const MOST = 256;

/** Its beginning, with an ellipsis if there is more. */
export function bounded(text: string): string {
	return text.length > MOST ? `${text.slice(0, MOST - 1)}…` : text;
}

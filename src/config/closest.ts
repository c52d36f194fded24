/** What someone may have meant by a word that does not exist. Pure. */

/** @returns the candidate that differs least from the word, if it differs little */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
	const wanted = plain(word);
	let best: string | undefined;
	let fewest = Math.max(1, Math.floor(wanted.length / 3)) + 1;
	for (const candidate of candidates) {
		const edits = distance(wanted, plain(candidate));
		if (edits < fewest) [best, fewest] = [candidate, edits];
	}
	return best;
}

/** `; did you mean X?`, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
	const meant = closest(word, candidates);
	return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** Case and word separators are the first things that people get wrong, so they do not count. */
function plain(word: string): string {
	return word.slice(0, 100).toLowerCase().replaceAll(/[-_]/g, '');
}

/** Insertions, deletions, substitutions and swapped neighbours that turn one word into the other. */
function distance(from: string, to: string): number {
	let beforeLast: number[] = [];
	let last = Array.from({ length: to.length + 1 }, (_, column) => column);
	for (let row = 1; row <= from.length; row++) {
		const current = [row];
		for (let column = 1; column <= to.length; column++) {
			const same = from[row - 1] === to[column - 1];
			let cost = Math.min(
				(last[column] ?? 0) + 1,
				(current[column - 1] ?? 0) + 1,
				(last[column - 1] ?? 0) + (same ? 0 : 1),
			);
			const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
			if (row > 1 && column > 1 && swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
			current.push(cost);
		}
		[beforeLast, last] = [last, current];
	}
	return last[to.length] ?? 0;
}

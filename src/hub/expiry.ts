/** Tells when a moment of the wall clock has come: however far it is, and however the clock is set meanwhile. Knows nothing of tokens. */

/** Milliseconds between two looks at the clock: so late it may be noticed that the clock was set forward. */
const LOOK = 60_000;

/**
 * @param moment as Date.now() tells it
 * @param past is called once, never before this returned
 * @returns ends it
 */
export function whenPast(moment: number, past: () => void): () => void {
	let timer: NodeJS.Timeout | undefined;
	const wait = () => {
		timer = setTimeout(look, Math.max(0, Math.min(LOOK, moment - Date.now())));
	};
	const look = () => {
		if (Date.now() >= moment) past();
		else wait();
	};
	wait();
	return () => clearTimeout(timer);
}

/** Waiting that ends. */

/** Waits for work, but no longer than `timeout` milliseconds. @returns whether the work was done in time */
export async function within(timeout: number, work: Promise<unknown>): Promise<boolean> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<boolean>((resolve) => {
		timer = setTimeout(() => resolve(false), timeout);
	});
	const inTime = await Promise.race([work.then(() => true), late]);
	clearTimeout(timer);
	return inTime;
}

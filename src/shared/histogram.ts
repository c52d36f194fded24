/** Measurements counted by size, so that many cost no more memory than few. Pure; who reads it makes of it what they like. */

export class Histogram {
	/** Upper bounds, ascending; what is at one belongs to it. */
	readonly bounds: readonly number[];
	/** How many were at most the bound at the same place, and above the one before; the last one, above all bounds. */
	readonly counts: number[];
	sum = 0;

	constructor(bounds: readonly number[]) {
		this.bounds = bounds;
		this.counts = new Array<number>(bounds.length + 1).fill(0);
	}

	observe(value: number): void {
		const { bounds } = this;
		let at = 0;
		while (at < bounds.length && value > (bounds[at] as number)) at++;
		this.counts[at] = (this.counts[at] as number) + 1;
		this.sum += value;
	}
}

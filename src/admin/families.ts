/** The shape of a family of metrics whose numbers are kept elsewhere and read when somebody asks. Knows no package. */

export interface Sample {
	readonly value: number;
	/** A value for each of the family's labels. */
	readonly labels?: Readonly<Record<string, string>>;
}

/** Measurements by size; `counts` has one place more than `bounds`, for what is above them all. */
export interface Distribution {
	readonly bounds: readonly number[];
	readonly counts: readonly number[];
	readonly sum: number;
}

interface Described {
	readonly name: string;
	readonly help: string;
}

export interface NumberFamily extends Described {
	readonly type: 'counter' | 'gauge';
	readonly labels: readonly string[];
	/** No two of the samples have the same labels. */
	read(): Iterable<Sample>;
}

/** One of a family's distributions, with a value for each of its labels. */
export interface LabelledDistribution {
	readonly distribution: Distribution;
	readonly labels?: Readonly<Record<string, string>>;
}

export interface DistributionFamily extends Described {
	readonly type: 'histogram';
	readonly labels: readonly string[];
	/** Of all its distributions. */
	readonly bounds: readonly number[];
	/** No two of them have the same labels. */
	read(): Iterable<LabelledDistribution>;
}

export type Family = NumberFamily | DistributionFamily;

/** Families of metrics as Prometheus reads them. Owns prom-client, which keeps no numbers: they are read for each scrape. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DistributionFamily, Family, LabelledDistribution, NumberFamily } from './families.ts';

export type { Registry };

/** A registry that reads the families anew whenever it is asked. */
export function registryOf(families: readonly Family[]): Registry {
	const registry = new Registry();
	for (const family of families) {
		if (family.type === 'histogram') registry.registerMetric(new ReadHistogram(family));
		else addNumbers(registry, family);
	}
	return registry;
}

function addNumbers(registry: Registry, { type, name, help, labels, read }: NumberFamily): void {
	const options = { name, help, labelNames: [...labels], registers: [registry] };
	if (type === 'gauge') {
		new Gauge({
			...options,
			collect() {
				this.reset();
				for (const { value, labels = {} } of read()) this.set(labels, value);
			},
		});
	} else {
		new Counter({
			...options,
			collect() {
				this.reset();
				for (const { value, labels = {} } of read()) this.inc(labels, value);
			},
		});
	}
}

/** Tells a distribution that was counted elsewhere, which prom-client's own cannot be given. */
class ReadHistogram extends Histogram<string> {
	readonly #family: DistributionFamily;

	constructor(family: DistributionFamily) {
		const { name, help, bounds, labels } = family;
		super({ name, help, buckets: [...bounds], labelNames: [...labels], registers: [] });
		this.#family = family;
	}

	/** What a registry, and get(), ask for the numbers. */
	async getForPromString(): Promise<object> {
		const { type, name, help } = this.#family;
		const values = [...this.#family.read()].flatMap((one) => cumulative(name, one));
		return { type, name, help, aggregator: 'sum', values };
	}
}

function cumulative(name: string, { distribution, labels = {} }: LabelledDistribution) {
	const { bounds, counts, sum } = distribution;
	let below = 0;
	const buckets = counts.map((count, place) => {
		below += count;
		return { metricName: `${name}_bucket`, value: below, labels: { le: bounds[place] ?? '+Inf', ...labels } };
	});
	return [
		...buckets,
		{ metricName: `${name}_sum`, value: sum, labels },
		{ metricName: `${name}_count`, value: below, labels },
	];
}

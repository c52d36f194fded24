/** All families of metrics that a hub tells, without a hub. */
import type { Family } from '../../src/admin/families.ts';
import { type HubReadings, hubFamilies } from '../../src/admin/hub-metrics.ts';
import { processFamilies } from '../../src/admin/process-metrics.ts';
import { Histogram } from '../../src/shared/histogram.ts';

const nothing = new Histogram([1]);

const READINGS: HubReadings = {
	version: '0',
	draining: false,
	requestsInProgress: 0,
	queueDepth: {},
	heldBytes: 0,
	duration: nothing,
	firstByte: nothing,
	gap: nothing,
	queueWait: { bounds: [1], byScope: new Map() },
	bodyBytes: {},
	tunnelBytes: {},
	tunnels: {},
	opened: {},
	closed: {},
	cancels: {},
	replays: {},
	refusedHandshakes: {},
	endedConnections: {},
	requests: () => [],
	agents: () => [],
};

export const ALL_FAMILIES: readonly Family[] = [
	...hubFamilies(READINGS, nothing),
	...processFamilies(() => ({ open: 0, most: null })),
];

/** Its row in docs/observability.md. */
export function tableRow(family: Family): string {
	const { name, type, help } = family;
	const labels = family.labels.map((label) => `\`${label}\``);
	const unit = /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? '';
	return `| \`${name}\` | ${type} | ${labels.join(', ')} | ${unit} | ${help} |`;
}

/** Every metric of a hub: name, labels, meaning, and where its numbers are read. docs/observability.md says the same. */
import type { Distribution, Family, LabelledDistribution, Sample } from './families.ts';

/** One agent, all its tunnels together. */
export interface AgentReading {
	readonly agent: string;
	/** The token's name. */
	readonly token: string;
	/** What the hub may have open at it, and has. */
	readonly slots: number;
	readonly used: number;
	/** It has said that it takes nothing. */
	readonly paused: boolean;
	readonly aside: boolean;
	/** Why its upstream is down or fails its health checks, as one of a few words; null while neither is so. */
	readonly fault: string | null;
	/** Seconds; null before it was measured. */
	readonly roundTrip: number | null;
}

type Counts = Readonly<Record<string, number>>;

/** Seconds in the queue. */
export interface ScopedWaits {
	readonly bounds: readonly number[];
	readonly byScope: ReadonlyMap<string, Distribution>;
}

/** What a hub has to tell. Records are label values with their numbers. */
export interface HubReadings {
	readonly version: string;
	readonly draining: boolean;
	readonly requestsInProgress: number;
	/** By scope. */
	readonly queueDepth: Counts;
	readonly heldBytes: number;
	readonly duration: Distribution;
	readonly firstByte: Distribution;
	readonly gap: Distribution;
	readonly queueWait: ScopedWaits;
	readonly bodyBytes: Counts;
	readonly tunnelBytes: Counts;
	readonly tunnels: Counts;
	readonly opened: Counts;
	readonly closed: Counts;
	readonly cancels: Counts;
	readonly replays: Counts;
	readonly refusedHandshakes: Counts;
	readonly endedConnections: Counts;
	requests(): Iterable<{ readonly status: string; readonly outcome: string; readonly count: number }>;
	agents(): Iterable<AgentReading>;
}

export function hubFamilies(hub: HubReadings, lag: Distribution): readonly Family[] {
	return [
		numbers(
			'counter',
			'requests_total',
			'Requests that ended, by class of status and by how',
			['status', 'outcome'],
			() => requests(hub),
		),
		gauge('requests_in_progress', 'Requests that wait or are being answered', () => hub.requestsInProgress),
		histogram('request_duration_seconds', "From a request's arrival to the end of its answer", hub.duration),
		histogram('time_to_first_byte_seconds', "From a request's dispatch to the head of its response", hub.firstByte),
		histogram('chunk_gap_seconds', 'Between pieces of a response of at most 4 KiB, as tokens are', hub.gap),
		records(
			'body_bytes_total',
			'Bytes of bodies: what applications sent and were sent',
			'direction',
			() => hub.bodyBytes,
		),
		numbers('gauge', 'queue_depth', 'Requests that wait for a worker', ['scope'], () =>
			counts(hub.queueDepth, 'scope'),
		),
		gauge('queue_held_bytes', 'Bytes of bodies that waiting requests hold', () => hub.heldBytes),
		histograms(
			'queue_wait_seconds',
			'In the queue, of those that were given a worker',
			'scope',
			hub.queueWait.bounds,
			() => hub.queueWait.byScope,
		),
		records('cancels_total', 'Requests whose work at an agent was stopped, by why', 'reason', () => hub.cancels),
		records('replays_total', 'Requests that went on to another agent, by why', 'reason', () => hub.replays),
		perAgent('agent_slots', 'Requests that the agent takes at a time from this hub', hub, ({ slots }) => slots),
		perAgent('agent_slots_used', 'Requests that are at the agent', hub, ({ used }) => used),
		perAgent('agent_paused', '1 while the agent takes nothing', hub, ({ paused }) => Number(paused)),
		perAgent('agent_set_aside', '1 while its upstream fails and others are preferred', hub, ({ aside }) =>
			Number(aside),
		),
		numbers(
			'gauge',
			'agent_upstream_down',
			'1 while its upstream cannot be reached or fails its health checks, by why; nothing while it is well',
			['agent', 'token', 'reason'],
			() => upstreamsDown(hub),
		),
		perAgent('agent_round_trip_seconds', 'Round trip of PINGs in its tunnel', hub, ({ roundTrip }) => roundTrip),
		numbers('gauge', 'tunnels', 'Tunnels: in use, or finishing their last requests', ['state'], () =>
			counts(hub.tunnels, 'state'),
		),
		records(
			'tunnels_opened_total',
			'Agents that connected, by whether they were here before',
			'kind',
			() => hub.opened,
		),
		records('tunnels_closed_total', 'Tunnels that ended, by how', 'reason', () => hub.closed),
		records('tunnel_bytes_total', 'Bytes of HTTP/2 from and to agents', 'direction', () => hub.tunnelBytes),
		records('refused_handshakes_total', 'Agents that were not let in, by why', 'reason', () => hub.refusedHandshakes),
		records(
			'connections_ended_total',
			'Connections that were too slow, or too many, by the phase that they were in',
			'phase',
			() => hub.endedConnections,
		),
		gauge('draining', '1 while the hub ends', () => Number(hub.draining)),
		histogram('event_loop_lag_seconds', 'How late timers are: what everything waits when the hub is too busy', lag),
		counter('event_loop_busy_seconds_total', 'Time that the event loop did not wait', busySeconds),
		numbers('gauge', 'build_info', 'Always 1', ['version', 'node'], () => [
			{ value: 1, labels: { version: hub.version, node: process.version } },
		]),
	];
}

const PREFIX = 'slime_hub_';

function numbers(
	type: 'counter' | 'gauge',
	name: string,
	help: string,
	labels: readonly string[],
	read: () => Iterable<Sample>,
): Family {
	return { type, name: PREFIX + name, help, labels, read };
}

function counter(name: string, help: string, read: () => number): Family {
	return numbers('counter', name, help, [], () => [{ value: read() }]);
}

function gauge(name: string, help: string, read: () => number): Family {
	return numbers('gauge', name, help, [], () => [{ value: read() }]);
}

function records(name: string, help: string, label: string, read: () => Counts): Family {
	return numbers('counter', name, help, [label], () => counts(read(), label));
}

function histogram(name: string, help: string, distribution: Distribution): Family {
	const { bounds } = distribution;
	return { type: 'histogram', name: PREFIX + name, help, labels: [], bounds, read: () => [{ distribution }] };
}

function histograms(
	name: string,
	help: string,
	label: string,
	bounds: readonly number[],
	read: () => ReadonlyMap<string, Distribution>,
): Family {
	const labelled = function* (): Generator<LabelledDistribution> {
		for (const [value, distribution] of read()) yield { distribution, labels: { [label]: value } };
	};
	return { type: 'histogram', name: PREFIX + name, help, labels: [label], bounds, read: labelled };
}

function perAgent(name: string, help: string, hub: HubReadings, read: (agent: AgentReading) => number | null): Family {
	return numbers('gauge', name, help, ['agent', 'token'], function* () {
		for (const reading of hub.agents()) {
			const value = read(reading);
			if (value !== null) yield { value, labels: { agent: reading.agent, token: reading.token } };
		}
	});
}

function* upstreamsDown(hub: HubReadings): Generator<Sample> {
	for (const { agent, token, fault } of hub.agents()) {
		if (fault !== null) yield { value: 1, labels: { agent, token, reason: fault } };
	}
}

function* counts(record: Counts, label: string): Generator<Sample> {
	for (const [key, value] of Object.entries(record)) yield { value, labels: { [label]: key } };
}

function* requests(hub: HubReadings): Generator<Sample> {
	for (const { status, outcome, count } of hub.requests()) yield { value: count, labels: { status, outcome } };
}

function busySeconds(): number {
	return performance.eventLoopUtilization().active / 1000;
}

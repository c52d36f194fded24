/** A hub's own numbers in the form in which the admin listener tells them. Counts nothing itself. */
import type { AgentReading, HubReadings } from '../admin/hub-metrics.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { version } from '../shared/version.ts';
import type { Acceptor } from './acceptor.ts';
import type { AgentLink } from './agent-link.ts';
import type { EndedConnections } from './ended.ts';
import type { Gateway } from './gateway.ts';
import type { Statistics } from './statistics.ts';

export function readingsOf(
	statistics: Statistics,
	ended: EndedConnections,
	gateway: Gateway,
	dispatcher: Dispatcher<AgentLink>,
	acceptor: Acceptor,
): HubReadings {
	return {
		version,
		get draining() {
			return gateway.leaving;
		},
		get requestsInProgress() {
			return gateway.active;
		},
		get queueDepth() {
			return statistics.queueWait.sums(dispatcher.waitingByScope());
		},
		get heldBytes() {
			return gateway.held.held;
		},
		duration: statistics.duration,
		firstByte: statistics.firstByte,
		gap: statistics.gap,
		queueWait: statistics.queueWait,
		get bodyBytes() {
			return { request: statistics.requestBytes, response: statistics.responseBytes };
		},
		get tunnelBytes() {
			return tunnelBytes(statistics, acceptor);
		},
		get tunnels() {
			return { open: [...acceptor.links].length, leaving: [...acceptor.leaving].length };
		},
		opened: statistics.opened,
		closed: statistics.closed,
		cancels: statistics.cancels,
		replays: statistics.replays,
		get endedConnections() {
			return { ...ended.counts };
		},
		get refusedHandshakes() {
			return Object.fromEntries(statistics.refusedHandshakes);
		},
		requests: () => statistics.requests(),
		agents: () => agents(acceptor),
	};
}

function tunnelBytes(statistics: Statistics, acceptor: Acceptor): { received: number; sent: number } {
	let received = statistics.tunnelReceived;
	let sent = statistics.tunnelSent;
	for (const { session } of [...acceptor.links, ...acceptor.leaving]) {
		received += session.received;
		sent += session.sent;
	}
	return { received, sent };
}

/**
 * By agent id and name of the token, which is what operators know them by. Two tokens may have one name, and an agent that came back
 * may still have its old tunnel: what they have is told as one.
 */
function agents(acceptor: Acceptor): Iterable<AgentReading> {
	const readings = new Map<string, AgentReading>();
	for (const link of [...acceptor.links, ...acceptor.leaving]) {
		const { agentId: agent, tokenName: token } = link.identity;
		const key = JSON.stringify([agent, token]);
		const { leased: used, aside, limit } = link.slots;
		const known = readings.get(key);
		if (known !== undefined) {
			const slots = known.slots + (link.takesRequests ? limit : 0);
			readings.set(key, { ...known, slots, used: known.used + used, paused: slots === 0, aside: known.aside || aside });
			continue;
		}
		const slots = link.takesRequests ? limit : 0;
		const roundTrip = link.session.rtt === 0 ? null : link.session.rtt / 1000;
		const fault = link.upstream.fault?.reason ?? null;
		readings.set(key, { agent, token, slots, used, paused: slots === 0, aside, fault, roundTrip });
	}
	return readings.values();
}

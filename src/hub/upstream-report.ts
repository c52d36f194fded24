/** What one agent says of its upstream: the newest of it, in the log, for operators and for applications. */
import type { UpstreamStatus } from '../admin/status.ts';
import { SlimeError } from '../shared/errors.ts';
import { LogGate } from '../shared/log-gate.ts';
import type { Logger } from '../shared/logger.ts';
import { readUpstreamState, type UpstreamFault } from '../tunnel/upstream-state.ts';

export class UpstreamReport {
	/** null while nothing is wrong. */
	fault: UpstreamFault | null = null;
	/** Of the fault's state, from performance.now(). */
	#since = 0;
	readonly #log: Logger;
	/** One each, so that the newest is always among the lines. */
	readonly #lines = { up: new LogGate(), failing: new LogGate(), down: new LogGate() };

	constructor(log: Logger) {
		this.#log = log;
	}

	/** @param payload of a frame @returns whether that is news */
	told(payload: Buffer): boolean {
		const fault = readUpstreamState(payload);
		const before = this.fault;
		if (fault === undefined || (fault?.state === before?.state && fault?.message === before?.message)) return false;
		if (fault?.state !== before?.state) this.#since = performance.now();
		this.fault = fault;
		const leftOut = this.#lines[fault?.state ?? 'up'].pass();
		if (leftOut === null) return true;
		if (fault === null) this.#log.info({ leftOut }, "the agent's upstream is up");
		else this.#log.warn({ reason: fault.reason, leftOut }, `the agent's upstream is ${fault.state}: ${fault.message}`);
		return true;
	}

	/** @param aside whether the hub leaves the agent alone for what became of its requests */
	status(aside: boolean): UpstreamStatus {
		if (this.fault === null) return { state: aside ? 'set aside' : 'up' };
		return { ...this.fault, age: Math.round(performance.now() - this.#since) };
	}
}

/** What an application is told when all agents that could have served it are left alone. @param fault of one of them */
export function upstreamDown(fault: UpstreamFault | null | undefined): SlimeError {
	return new SlimeError('upstream_unreachable', sentence(fault ?? null));
}

function sentence(fault: UpstreamFault | null): string {
	if (fault === null) return 'The upstream failed time and again, and is left alone for a while.';
	const what = fault.state === 'down' ? 'cannot be reached' : 'is not well';
	return `The upstream ${what}: ${fault.message}.`;
}

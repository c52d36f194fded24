/** One health check: a GET through the upstream's own client, bounded in time and bytes. Judges the answer, not the upstream. */
import type { SlimeError } from '../shared/errors.ts';
import type { UpstreamFault } from '../tunnel/upstream-state.ts';
import type { UpstreamCall, UpstreamClient, UpstreamExchange, UpstreamSink } from './upstream-client.ts';

export interface HealthCheckOptions {
	/** Path and query at the upstream, its prefix not added; without one there are no checks. */
	readonly path?: string | undefined;
	/** Milliseconds between a check's end and the next one, while the upstream is well. */
	readonly interval: number;
	/** Milliseconds until the status has to be there. */
	readonly timeout: number;
	/** Failed checks in a row after which the upstream counts as failing. */
	readonly unhealthyThreshold: number;
	/** Passed checks in a row after which it does not any more. */
	readonly healthyThreshold: number;
}

/** null if it passed; `unknown` if it was not answered while the upstream had all the requests that it may have. */
export type CheckResult = CheckFault | null | 'unknown';

export interface CheckFault extends Pick<UpstreamFault, 'reason' | 'message'> {
	/** There was not even a connection, or it ended without an answer. */
	readonly unreachable: boolean;
}

/** More of an answer is not read. */
const MOST_BYTES = 64 * 1024;

const CALL: Omit<UpstreamCall, 'path'> = {
	method: 'GET',
	fields: ['accept', '*/*', 'user-agent', 'slime-health-check'],
	body: null,
	begun: false,
	trailers: false,
	asksFirst: false,
	upgrade: undefined,
};

/**
 * @param busy whether the upstream has all the requests that it may have: it may answer nobody else while it works
 * @param done is called once, when nothing of the check is left at the upstream
 * @returns ends the check; done is not called after that
 */
export function checkHealth(
	client: UpstreamClient,
	{ path, timeout, busy }: { readonly path: string; readonly timeout: number; readonly busy: () => boolean },
	done: (result: CheckResult) => void,
): () => void {
	const check = new HealthCheck(done);
	check.start(client, path, timeout, busy);
	return () => check.abandon();
}

class HealthCheck implements UpstreamSink {
	#done: ((result: CheckResult) => void) | null;
	#exchange: UpstreamExchange | null = null;
	#timer: NodeJS.Timeout | undefined;
	/** undefined while there is none. */
	#result: CheckResult | undefined;
	#released = false;
	#bytes = 0;

	constructor(done: (result: CheckResult) => void) {
		this.#done = done;
	}

	start(client: UpstreamClient, path: string, timeout: number, busy: () => boolean): void {
		this.#timer = setTimeout(() => {
			const message = `health check: no answer in ${timeout} ms`;
			this.#settle(busy() ? 'unknown' : { reason: 'check_timeout', message, unreachable: false });
			this.#exchange?.cancel();
		}, timeout);
		this.#exchange = client.send({ ...CALL, path }, this);
	}

	abandon(): void {
		this.#done = null;
		clearTimeout(this.#timer);
		this.#exchange?.cancel();
	}

	#settle(result: CheckResult): void {
		if (this.#result === undefined) this.#result = result;
		this.#finish();
	}

	#finish(): void {
		if (!this.#released || this.#result === undefined) return;
		const done = this.#done;
		this.#done = null;
		done?.(this.#result);
	}

	// UpstreamSink

	onConnected(): void {}

	onInformation(): void {}

	onResponse(status: number): void {
		const passed = status >= 200 && status < 400;
		this.#settle(
			passed ? null : { reason: 'check_failed', message: `health check: answered ${status}`, unreachable: false },
		);
	}

	onSwitched(): void {}

	onBody(chunk: Buffer): boolean {
		this.#bytes += chunk.length;
		if (this.#bytes > MOST_BYTES) this.#exchange?.cancel();
		return true;
	}

	onComplete(): void {}

	onFailure(error: SlimeError): void {
		const unreachable = error.code === 'upstream_unreachable';
		const reason = error.code === 'upstream_timeout' ? 'check_timeout' : 'check_failed';
		this.#settle({ reason, message: `health check: ${sentence(error.message)}`, unreachable });
	}

	onTaken(): void {}

	onReleased(): void {
		clearTimeout(this.#timer);
		this.#released = true;
		this.#finish();
	}
}

/** As part of another sentence. */
function sentence(text: string): string {
	return text.replace(/\.$/, '');
}

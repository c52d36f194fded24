/** What an agent tells its hubs about its upstream: the words and the frame (PROTOCOL.md, the upstream's state). Pure; both ends. */

/** One of the types for experiments, which no other extension of HTTP/2 is given. */
export const UPSTREAM_STATE_FRAME = 0xf0;

const REASONS = [
	'refused',
	'closed',
	'timeout',
	'name',
	'route',
	'tls',
	'check_failed',
	'check_timeout',
	'starting',
	'other',
] as const;

/** Few, so that they can be labels of a metric. */
export type FaultReason = (typeof REASONS)[number];

/** Why an upstream is not as it should be. */
export interface UpstreamFault {
	/** `down`: it cannot be reached, and the agent takes nothing. `failing`: it can, and its health checks fail. */
	readonly state: 'down' | 'failing';
	readonly reason: FaultReason;
	/** For operators and for applications, so without secrets: `connection refused`. */
	readonly message: string;
}

/** Characters of a message. */
const LONGEST_MESSAGE = 200;

/** @param fault null when nothing is wrong any more */
export function writeUpstreamState(fault: UpstreamFault | null): Buffer {
	if (fault === null) return Buffer.from('{"state":"up"}');
	const { state, reason, message } = fault;
	return Buffer.from(JSON.stringify({ state, reason, message: printable(message) }));
}

/** @returns null when nothing is wrong, undefined for what says nothing that is known */
export function readUpstreamState(payload: Buffer): UpstreamFault | null | undefined {
	let told: unknown;
	try {
		told = JSON.parse(payload.toString('utf8'));
	} catch {
		return undefined;
	}
	const { state, reason, message } = (told ?? {}) as Readonly<Record<string, unknown>>;
	if (state === 'up') return null;
	if (state !== 'down' && state !== 'failing') return undefined;
	return {
		state,
		reason: REASONS.find((known) => known === reason) ?? 'other',
		message: typeof message === 'string' && message !== '' ? printable(message) : 'no reason given',
	};
}

/** It is shown on terminals. */
function printable(text: string): string {
	return text.slice(0, LONGEST_MESSAGE).replaceAll(/\p{C}/gu, ' ');
}

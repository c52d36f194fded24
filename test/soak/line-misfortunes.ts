/** What befalls the line between an agent and its hub. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy, Line, Way } from '../helpers/fault-proxy.ts';

/** Does it, to its end. @returns its name */
export type Misfortune = () => Promise<string>;

const LINES: readonly Line[] = [{ delay: 20, jitter: 20 }, { rate: 1_000_000 }, { singleBytes: true }, {}];

export function lineMisfortunes(proxy: FaultProxy, below: (below: number) => number): readonly Misfortune[] {
	const anyEnd = () => (below(2) === 0 ? 'fin' : 'reset');
	const anyWay = (): Way => (below(2) === 0 ? 'toHub' : 'toAgent');
	return [
		async () => {
			const how = anyEnd();
			proxy.cut(how);
			return `cut by ${how}`;
		},
		async () => {
			const how = anyEnd();
			proxy.cutAfter(anyWay(), 1 + below(100_000), how);
			return `cut by ${how} at a byte`;
		},
		async () => {
			proxy.freeze(below(2) === 0 ? 'both' : anyWay());
			await sleep(below(2500));
			proxy.thaw();
			return 'frozen';
		},
		async () => {
			// An agent that is told comes back, and takes the place of its own tunnel.
			proxy.halfOpen(below(2) === 0 ? 'hub' : 'agent');
			return 'half open';
		},
		async () => {
			proxy.line = LINES[below(LINES.length)] as Line;
			await sleep(below(2000));
			proxy.line = {};
			return 'another line';
		},
		async () => {
			proxy.newcomers = below(2) === 0 ? 'reset' : 'silence';
			proxy.cut(anyEnd());
			await sleep(below(1000));
			proxy.newcomers = 'pass';
			return 'unreachable';
		},
	];
}

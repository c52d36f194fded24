/** What this process holds, to see afterwards that nothing was left behind: file descriptors, timers, whatever keeps it alive. */
import { readdirSync } from 'node:fs';
import { eventually } from './stack.ts';

export interface Holdings {
	readonly descriptors: number;
	readonly resources: Readonly<Record<string, number>>;
}

export function holdings(): Holdings {
	const resources: Record<string, number> = {};
	for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
	return { descriptors: readdirSync('/proc/self/fd').length, resources };
}

/** Waits until no more is held than there was. */
export async function returnsTo(before: Holdings, within = 20_000): Promise<void> {
	let now = holdings();
	const more = () => {
		now = holdings();
		return (
			now.descriptors > before.descriptors ||
			// Others are the test runner's own.
			['Timeout', 'TCPSocketWrap', 'TCPServerWrap', 'PipeWrap'].some(
				(name) => (now.resources[name] ?? 0) > (before.resources[name] ?? 0),
			)
		);
	};
	try {
		await eventually('what was held is given back', () => !more(), within);
	} catch (error) {
		throw new Error(`still held: ${JSON.stringify(now)}, before: ${JSON.stringify(before)}`, { cause: error });
	}
}

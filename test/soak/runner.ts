/** Whoever serves at a place of a soak, as the place knows it; and one that is an agent of this process. */
import { createAgent, type GivenAgentOptions } from '../../src/index.ts';
import { LogSink } from '../helpers/stack.ts';

export interface Runner {
	/** It has a tunnel, as far as it knows. */
	readonly connected: boolean;
	/** How often its log said so. */
	said(sentence: string): number;
	/** Ends gracefully. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
	/** What it can suffer as a process of its own. */
	readonly own?: OwnProcess;
}

export interface OwnProcess {
	readonly pid: number;
	/** It does nothing until it is to go on, and is not told. */
	stop(): void;
	goOn(): void;
}

export async function agentHere(given: GivenAgentOptions): Promise<Runner> {
	const log = new LogSink();
	const agent = await createAgent({ ...given, logger: log.logger });
	return {
		get connected() {
			return agent.connected > 0;
		},
		said: (sentence) => log.lines.filter(({ msg }) => String(msg).includes(sentence)).length,
		drain: () => agent.drain(),
		close: () => agent.close(),
	};
}

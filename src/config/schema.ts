/** The configuration as a whole: its sections, and what is common to them. */
import { z } from 'zod';
import { agent, agents } from './agent-schema.ts';
import { hub } from './hub-schema.ts';
import { oneOf } from './values.ts';

const log = z
	.strictObject({
		level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')
			.default('info')
			.describe('What is logged: trace, debug, info, warn, error or silent.'),
	})
	.prefault({});

export const schema = z.strictObject({ hub, agent, agents, log });

/** Everything that was configured, defaults filled in. */
export type Configuration = z.output<typeof schema>;

/** Keys of the schema that name PEM files, read by whoever opens connections; here they only have to be readable. */
export const PEM_FILES: ReadonlySet<string> = new Set([
	'hub.tlsCert',
	'hub.tlsKey',
	'hub.clientCa',
	'agent.ca',
	'agent.tlsCert',
	'agent.tlsKey',
	'agents[].ca',
	'agents[].tlsCert',
	'agents[].tlsKey',
]);

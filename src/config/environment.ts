/** The environment as a source of values. Reads SLIME_ variables only. */
import { suggestion } from './closest.ts';
import { VARIABLES } from './keys.ts';
import type { Entry, Mistakes, Origin } from './mistakes.ts';

/** Names the configuration file; no key. */
export const CONFIG_VARIABLE = 'SLIME_CONFIG';

/**
 * Kubernetes sets these for every service whose name begins with `slime`: `slime-hub` makes SLIME_HUB_PORT an address.
 */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/;
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

export interface Environment {
	readonly entries: ReadonlyMap<string, Entry>;
	readonly warnings: readonly string[];
}

/**
 * @param section only its variables, and the log's, are values here: the others are for other commands
 * @param used variables that stand in the file, which are the user's own
 */
export function readEnvironment(
	env: NodeJS.ProcessEnv,
	section: string,
	mistakes: Mistakes,
	used: ReadonlySet<string> = new Set(),
): Environment {
	const entries = new Map<string, Entry>();
	const warnings: string[] = [];
	for (const [variable, value] of Object.entries(env)) {
		if (!variable.startsWith('SLIME_') || value === undefined || variable === CONFIG_VARIABLE) continue;
		const key = VARIABLES.get(variable);
		if (key !== undefined && /port$/i.test(key) && SERVICE_ADDRESS.test(value)) {
			warnings.push(`${variable} is ignored: Kubernetes set it for a service; enableServiceLinks: false stops that`);
		} else if (key === undefined) {
			if (used.has(variable) || SERVICE_LINK.test(variable) || SERVICE_ADDRESS.test(value)) continue;
			const known = [...VARIABLES.keys(), CONFIG_VARIABLE];
			warnings.push(`${variable} is not a variable of this program${suggestion(variable, known)}`);
		} else if (key.startsWith(`${section}.`) || key.startsWith('log.')) {
			const origin: Origin = { source: 'variable', where: variable, offset: 0 };
			if (value === '') mistakes.add(origin, key, 'is empty: give it a value or unset it');
			else entries.set(key, { value, origin });
		}
	}
	return { entries, warnings };
}

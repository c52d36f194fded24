/** Where a program keeps what must survive a restart. Makes nothing. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { messageOf, UsageError } from './errors.ts';

/**
 * `--stateDir`, else $STATE_DIRECTORY (systemd's; the first of several), else $XDG_STATE_HOME/slime, else ~/.local/state/slime.
 * @throws UsageError if it comes to the home folder and there is none
 */
export function stateDirectory(stateDir: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
	if (stateDir) return resolve(stateDir);
	const [ofService] = (env.STATE_DIRECTORY ?? '').split(':');
	if (ofService) return ofService;
	// The XDG specification has relative paths ignored.
	if (env.XDG_STATE_HOME && isAbsolute(env.XDG_STATE_HOME)) return join(env.XDG_STATE_HOME, 'slime');
	return join(env.HOME || home(), '.local', 'state', 'slime');
}

function home(): string {
	try {
		return homedir();
	} catch (error) {
		throw new UsageError(`no home folder to keep state in (${messageOf(error)}); name one with --stateDir`, {
			cause: error,
		});
	}
}

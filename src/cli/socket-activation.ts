/** Listening sockets that the process is given by systemd, or by whatever starts it the same way (sd_listen_fds(3)). */
import type { ListeningSockets } from '../index.ts';
import { UsageError } from '../shared/errors.ts';

/** The first one; those before are stdin, stdout, stderr. */
const FIRST = 3;

/** What `FileDescriptorName=` may be; a socket with any other name, also that of its unit, is for applications. */
const NAMES = ['apps', 'agents', 'admin'] as const;

/**
 * Takes them out of the environment, so that no child believes they are its own.
 * @returns undefined if there are none, or if they are another process's
 * @throws UsageError for sockets that a hub cannot use
 */
export function takeSockets(env: NodeJS.ProcessEnv, pid: number): ListeningSockets | undefined {
	const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
	for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
	if (LISTEN_PID !== `${pid}` || LISTEN_FDS === undefined || LISTEN_FDS === '0') return undefined;
	const count = /^\d{1,3}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : undefined;
	if (count === undefined) throw new UsageError('LISTEN_FDS is not a number of sockets');
	const names = LISTEN_FDNAMES?.split(':') ?? [];
	const sockets: { apps?: number; agents?: number; admin?: number } = {};
	for (let i = 0; i < count; i++) {
		const given = names[i];
		if (given === 'connection') throw new UsageError('a hub takes a socket that listens: write Accept=no in its unit');
		const name = NAMES.find((known) => known === given) ?? 'apps';
		if (sockets[name] !== undefined) {
			throw new UsageError(
				`two sockets were passed for ${name}: write one ListenStream= a unit, and FileDescriptorName= ${NAMES.join(', ')}`,
			);
		}
		sockets[name] = FIRST + i;
	}
	return sockets;
}

/** How a connection's socket is closed so that what was written last arrives. Knows nothing of frames. */
import type { Duplex } from 'node:stream';

/** How long a peer has to take our last bytes after a shutdown, and to end its own side after that. */
const LAST_WRITE_MS = 30_000;
const LAST_READ_MS = 10_000;
/** The same after a fault. */
const HASTY_MS = 1000;

/**
 * Lets what was written out, then waits for the peer's end: closing a socket with unread bytes in it would take from the peer
 * what it has not read yet. A peer that does not end gets ten seconds, in which a slow line brings it what kernels hold.
 * @param patient false for a second each
 */
export function endThenDestroy(socket: Duplex, patient: boolean): void {
	if (socket.destroyed) return;
	let timer = setTimeout(() => socket.destroy(), patient ? LAST_WRITE_MS : HASTY_MS);
	socket.once('close', () => clearTimeout(timer));
	socket.end(() => {
		clearTimeout(timer);
		if (socket.destroyed) return;
		timer = setTimeout(() => socket.destroy(), patient ? LAST_READ_MS : HASTY_MS);
	});
}

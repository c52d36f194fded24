/** Ends a connection in its middle, so that its peer does not take that for an end. */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * A reset where the kind of socket has one, which is TCP. TLS ends without its close_notify, as near to a reset as Node allows; a
 * Unix domain socket has a plain end only. Without effect on a socket that is closed.
 */
export function cutSocket(socket: Duplex): void {
	if (socket.destroyed) return;
	const tcp = socket instanceof Socket && !('encrypted' in socket) && socket.remoteFamily !== undefined;
	// While an end is under way the system refuses a reset, and Node would then never close the socket.
	if (tcp && !socket.writableEnded) socket.resetAndDestroy();
	else socket.destroy();
}

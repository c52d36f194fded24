/**
 * The first bytes of a new connection: whose it is, when a proxy says so, and which version of HTTP it speaks. What was not meant for
 * these questions is put back. Bounded in time; parses nothing itself.
 */
import type { Socket } from 'node:net';
import { CLIENT_PREFACE } from '../h2/protocol.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-protocol.ts';

export type Spoken = 'http1' | 'http2';

/** Why there is nothing to serve: the connection said nothing in time, or not enough; it is over; or cannot be understood. */
export type Unheard = 'silent' | 'unfinished' | 'over' | 'malformed';

/**
 * @param timeout milliseconds until the connection has to have said enough
 * @param told with the bytes that came, when they are an HTTP/2 preface; HTTP/1 bytes are back in the socket
 */
export function tellVersion(
	socket: Socket,
	timeout: number,
	told: (spoken: Spoken | Unheard, head: Buffer | null) => void,
): void {
	const look = (head: Buffer): Spoken | 'more' => {
		const length = Math.min(head.length, CLIENT_PREFACE.length);
		if (head.compare(CLIENT_PREFACE, 0, length, 0, length) !== 0) return 'http1';
		return length === CLIENT_PREFACE.length ? 'http2' : 'more';
	};
	peek(socket, timeout, look, (spoken, head) => {
		if (spoken === 'http1' && head !== null) socket.unshift(head);
		told(spoken, head);
	});
}

/**
 * Takes a PROXY header off a connection, which is then paused: whoever reads on resumes it.
 * @param timeout milliseconds until the header has to be complete
 */
export function takeProxyHeader(socket: Socket, timeout: number, told: (header: ProxyHeader | Unheard) => void): void {
	peek(socket, timeout, readProxyHeader, (header, head) => {
		socket.pause();
		if (typeof header === 'object' && head !== null && head.length > header.length) {
			socket.unshift(head.subarray(header.length));
		}
		told(header);
	});
}

/** Collects bytes until `look` has seen enough of them. */
function peek<T>(
	socket: Socket,
	timeout: number,
	look: (head: Buffer) => T | 'more',
	told: (seen: T | Unheard, head: Buffer | null) => void,
): void {
	let head: Buffer | null = null;
	const finish = (seen: T | Unheard) => {
		clearTimeout(timer);
		socket.off('data', onData);
		socket.off('end', onOver);
		socket.off('close', onOver);
		socket.off('error', onOver);
		told(seen, head);
	};
	const onData = (chunk: Buffer) => {
		head = head === null ? chunk : Buffer.concat([head, chunk]);
		const seen = look(head);
		if (seen !== 'more') finish(seen);
	};
	const onOver = () => finish('over');
	const timer = setTimeout(() => finish(head === null ? 'silent' : 'unfinished'), timeout);
	socket.on('data', onData);
	socket.on('end', onOver);
	socket.on('close', onOver);
	socket.on('error', onOver);
	// It may have been paused behind a PROXY header.
	socket.resume();
}

/** Which version of HTTP a new connection speaks, told by its first bytes, which are put back. Bounded in time; parses nothing. */
import type { Socket } from 'node:net';
import { CLIENT_PREFACE } from '../h2/protocol.ts';

export type Spoken = 'http1' | 'http2';

/**
 * @param timeout milliseconds until the connection has to have said enough
 * @param told with the bytes that came, when they are an HTTP/2 preface; HTTP/1 bytes are back in the socket. `null` when there is nothing
 * to serve: the connection is over, or said too little in time
 */
export function tellVersion(
	socket: Socket,
	timeout: number,
	told: (spoken: Spoken | null, head: Buffer | null) => void,
): void {
	let head: Buffer | null = null;
	const finish = (spoken: Spoken | null) => {
		clearTimeout(timer);
		socket.off('data', onData);
		socket.off('end', onOver);
		socket.off('close', onOver);
		socket.off('error', onOver);
		if (spoken === 'http1' && head !== null) socket.unshift(head);
		told(spoken, head);
	};
	const onData = (chunk: Buffer) => {
		head = head === null ? chunk : Buffer.concat([head, chunk]);
		const length = Math.min(head.length, CLIENT_PREFACE.length);
		if (head.compare(CLIENT_PREFACE, 0, length, 0, length) !== 0) finish('http1');
		else if (length === CLIENT_PREFACE.length) finish('http2');
	};
	const onOver = () => finish(null);
	const timer = setTimeout(onOver, timeout);
	socket.on('data', onData);
	socket.on('end', onOver);
	socket.on('close', onOver);
	socket.on('error', onOver);
}

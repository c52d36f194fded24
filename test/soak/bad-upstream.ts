/** An upstream that never answers as it should: it hangs, closes, resets, talks nonsense, or sends too much of a head. */
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { cutSocket } from '../../src/shared/cut-socket.ts';
import { bytesOf, type Ledger } from '../helpers/ledger.ts';
import { listenOn } from '../helpers/stack.ts';

export async function badUpstream(
	context: TestContext,
	ledger: Ledger,
	below: (below: number) => number,
): Promise<{ address: string; close(): void }> {
	const answers: ReadonlyArray<(socket: Socket, id: number) => void> = [
		(socket) => setTimeout(() => socket.destroy(), below(500)),
		(socket) => socket.end(),
		(socket) => cutSocket(socket),
		(socket) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'),
		(socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300 * 1024)}\r\n\r\n`),
		(socket, id) => {
			socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
			socket.end(bytesOf(id, 0, 1));
		},
	];
	const server = createServer((socket) => {
		// How it ends is of no interest.
		socket.on('error', () => undefined);
		let head = '';
		const read = (chunk: Buffer) => {
			head += chunk.toString('latin1');
			if (!head.includes('\r\n\r\n')) return;
			socket.off('data', read).resume();
			const id = Number(/[?&]id=(\d+)/.exec(head)?.[1]);
			ledger.started(id);
			answers[below(answers.length)]?.(socket, id);
		};
		socket.on('data', read);
	});
	const port = await listenOn(context, server);
	return { address: `127.0.0.1:${port}`, close: () => void server.close() };
}

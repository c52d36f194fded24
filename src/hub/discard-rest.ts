/**
 * What is left of an HTTP/1 request that was answered before all of it had come. A client that is still sending would lose the answer if
 * its connection were closed under it, so it is read on for a while, and goes nowhere.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

const LINGER_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 2000;

/**
 * Once the request's body has ended the response does, if it has not yet; if that is too long, or takes too long, the connection ends.
 * @param res may be written whole and left without its end, so that a connection which closes behind it does not do so too soon
 */
export function discardRest(req: IncomingMessage, res: ServerResponse): void {
	const { socket } = req;
	let read = 0;
	const stop = () => {
		clearTimeout(timer);
		req.off('data', count);
	};
	const giveUp = () => {
		stop();
		if (!res.writableEnded) res.end();
		socket.destroySoon();
	};
	const count = (chunk: Buffer) => {
		read += chunk.length;
		if (read > LINGER_BYTES) giveUp();
	};
	const timer = setTimeout(giveUp, LINGER_MS);
	req.on('data', count);
	req.once('end', () => {
		stop();
		if (!res.writableEnded) res.end();
	});
	socket.once('close', stop);
	req.resume();
}

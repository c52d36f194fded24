/** Whether an upstream takes connections: opens one, says nothing on it and closes it. Knows no HTTP. */
import type { Socket } from 'node:net';
import type { Connect } from './upstream-http1.ts';

/**
 * Whatever forwards a port takes a connection before it knows whether anybody listens behind it, and closes it when nobody does. So one
 * counts only when it has lasted so many milliseconds, or something came.
 */
const SETTLING = 200;

/**
 * @param done is called once, with null if it does
 * @returns ends the try; done is not called after that
 */
export function probe(connect: Connect, done: (error: Error | null) => void): () => void {
	let socket: Socket | null = null;
	let timer: NodeJS.Timeout | undefined;
	let over = false;
	const stop = (): boolean => {
		if (over) return false;
		over = true;
		clearTimeout(timer);
		socket?.destroy();
		return true;
	};
	const finish = (error: Error | null) => {
		if (stop()) done(error);
	};
	connect((error, opened) => {
		if (over) {
			opened?.on('error', () => undefined).destroy();
			return;
		}
		if (error !== null || opened === null) {
			finish(error ?? new Error('no socket'));
			return;
		}
		socket = opened;
		opened.on('error', finish);
		opened.once('close', () => finish(closed()));
		opened.once('data', () => finish(null));
		timer = setTimeout(() => finish(null), SETTLING);
	});
	return stop;
}

function closed(): Error {
	return Object.assign(new Error('the upstream closed the connection at once'), { code: 'ECONNRESET' });
}

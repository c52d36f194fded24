/** One HTTP/1.1 request that hopes to have its connection handed over: CONNECT, or GET with Upgrade. Judges no answer. */
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';

export type UpgradeAnswer =
	/** The connection is the caller's. `head`: what came right behind the answer. */
	| { readonly handedOver: true; readonly response: IncomingMessage; readonly head: Buffer }
	/** An ordinary answer; the connection is closed. `body`: its beginning. */
	| { readonly handedOver: false; readonly response: IncomingMessage; readonly body: string };

export interface UpgradeRequest {
	readonly method: 'CONNECT' | 'GET';
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
}

const BODY_LIMIT = 4096;

/** @throws the socket's or the parser's error; the signal's reason */
export function requestUpgrade(
	socket: Socket,
	{ method, path, headers }: UpgradeRequest,
	signal: AbortSignal,
): Promise<UpgradeAnswer> {
	return new Promise((resolve, reject) => {
		signal.throwIfAborted();
		const req = request({ createConnection: () => socket, method, path, headers, setHost: false });
		const abort = () => {
			reject(signal.reason);
			req.destroy();
		};
		const stop = () => signal.removeEventListener('abort', abort);
		signal.addEventListener('abort', abort, { once: true });
		const handOver = (response: IncomingMessage, _socket: unknown, head: Buffer) => {
			stop();
			resolve({ handedOver: true, response, head });
		};
		req.on('upgrade', handOver);
		req.on('connect', handOver);
		req.on('response', (response) => {
			stop();
			readStart(response, signal, (body) => {
				resolve({ handedOver: false, response, body });
				req.destroy();
			});
		});
		req.on('error', (error) => {
			stop();
			reject(error);
		});
		req.end();
	});
}

/** The body says more than the status does, so nothing is lost with it: what is here when it fails or time is up will do. */
function readStart(response: IncomingMessage, signal: AbortSignal, done: (body: string) => void): void {
	let body = Buffer.alloc(0);
	const finish = () => {
		signal.removeEventListener('abort', finish);
		done(body.toString('utf8'));
	};
	response.on('data', (chunk: Buffer) => {
		body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
		if (body.length === BODY_LIMIT) finish();
	});
	response.on('error', finish);
	response.on('close', finish);
	signal.addEventListener('abort', finish, { once: true });
}

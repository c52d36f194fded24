/**
 * The tunnel where nothing but WebSocket passes: the same bytes of HTTP/2 in binary messages of a WebSocket (RFC 6455) whose
 * subprotocol is the tunnel's, at both ends. Messages have no meaning of their own; they may be cut anywhere.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { TUNNEL_PROTOCOL } from './handshake.ts';

/** Bytes of one message: both ends of Slime send less than 100 KiB, others may gather more. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Bytes that are read ahead of the HTTP/2 session. */
const READ_AHEAD = 256 * 1024;
const BODY_LIMIT = 4096;
/** Milliseconds that a peer has for its side of a close: HTTP/2 has said goodbye before. (The types do not know it yet.) */
const CLOSING: object = { closeTimeout: 1000 };

const server = new WebSocketServer({
	noServer: true,
	clientTracking: false,
	perMessageDeflate: false,
	maxPayload: MAX_MESSAGE,
	...CLOSING,
	handleProtocols: () => TUNNEL_PROTOCOL,
});

/** Hub: answers 101. @param whenOpen with the bytes of HTTP/2; not called if what was asked is no WebSocket, which is answered */
export function acceptWebSocket(
	req: IncomingMessage,
	socket: Duplex,
	head: Buffer,
	extraHeaders: Readonly<Record<string, string>>,
	whenOpen: (duplex: Duplex) => void,
): void {
	const addFields = (fields: string[], of: IncomingMessage) => {
		if (of !== req) return;
		for (const [name, value] of Object.entries(extraHeaders)) fields.push(`${name}: ${value}`);
	};
	server.on('headers', addFields);
	try {
		server.handleUpgrade(req, socket, head, (websocket) => whenOpen(streamOf(websocket)));
	} finally {
		server.off('headers', addFields);
	}
}

export type WebSocketAnswer =
	| { readonly opened: Duplex; readonly response: IncomingMessage }
	/** An ordinary answer; the connection is closed. `body`: its beginning. */
	| { readonly opened: null; readonly response: IncomingMessage; readonly body: string };

/**
 * Agent: asks for a WebSocket on a connection that is open.
 * @param headers without what makes it a WebSocket
 * @throws the socket's or the parser's error; the signal's reason
 */
export function dialWebSocket(
	socket: Socket,
	path: string,
	headers: Readonly<Record<string, string>>,
	signal: AbortSignal,
): Promise<WebSocketAnswer> {
	return new Promise((resolve, reject) => {
		signal.throwIfAborted();
		const websocket = new WebSocket(`ws://hub${path}`, [TUNNEL_PROTOCOL], {
			createConnection: () => socket,
			headers,
			perMessageDeflate: false,
			maxPayload: MAX_MESSAGE,
			...CLOSING,
			followRedirects: false,
		});
		// Before it is open, so that no message is missed.
		const duplex = streamOf(websocket);
		let upgraded: IncomingMessage | null = null;
		const abort = () => {
			reject(signal.reason);
			websocket.terminate();
		};
		const stop = () => signal.removeEventListener('abort', abort);
		const fail = (error: Error) => {
			stop();
			reject(error);
		};
		signal.addEventListener('abort', abort, { once: true });
		duplex.once('error', fail);
		websocket.on('upgrade', (response) => {
			upgraded = response;
		});
		websocket.on('open', () => {
			stop();
			duplex.off('error', fail);
			if (upgraded !== null) resolve({ opened: duplex, response: upgraded });
		});
		websocket.on('unexpected-response', (_request, response) => {
			let body = Buffer.alloc(0);
			const done = () => {
				stop();
				resolve({ opened: null, response, body: body.toString('utf8') });
				websocket.terminate();
			};
			response.on('data', (chunk: Buffer) => {
				body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
				if (body.length === BODY_LIMIT) done();
			});
			response.on('error', done);
			response.on('close', done);
		});
	});
}

function streamOf(websocket: WebSocket): Duplex {
	const duplex = createWebSocketStream(websocket, {
		readableHighWaterMark: READ_AHEAD,
		writableHighWaterMark: READ_AHEAD,
	});
	// It would stay open for ever when its own end comes after the connection's.
	websocket.once('close', () => {
		if (duplex.readableEnded) duplex.destroy();
		else duplex.once('end', () => duplex.destroy());
	});
	return duplex;
}

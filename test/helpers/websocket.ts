/** WebSocket's two ends through a hub: a service that counts what it serves, and clients that have opened or were refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { listenOn, RawClient } from './stack.ts';

/** The example of RFC 6455 section 1.3. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export interface WebSocketService {
	readonly address: string;
	readonly port: number;
	readonly server: Server;
	/** Opening handshakes that arrived. */
	readonly requests: IncomingMessage[];
	/** The next WebSocket that opens, or has opened without having been asked for. */
	next(): Promise<WebSocket>;
}

/** @param at a path for a Unix domain socket instead of a port */
export async function webSocketService(
	context: TestContext,
	options: ServerOptions = {},
	{ server = createServer(), at = 0 }: { server?: Server; at?: string | 0 } = {},
): Promise<WebSocketService> {
	const sockets = new WebSocketServer({ ...options, server });
	const opened: WebSocket[] = [];
	const waiting: Array<(socket: WebSocket) => void> = [];
	const requests: IncomingMessage[] = [];
	server.on('upgrade', (req: IncomingMessage) => requests.push(req));
	sockets.on('connection', (socket) => {
		// Its fault is what the test asks for, and its close says the same.
		socket.on('error', () => undefined);
		const first = waiting.shift();
		if (first) first(socket);
		else opened.push(socket);
	});
	server.on('connection', (socket: Socket) => context.after(() => socket.destroy()));
	const port = await listenOn(context, server, at === 0 ? undefined : at);
	return {
		address: at === 0 ? `127.0.0.1:${port}` : `unix:${at}`,
		port,
		server,
		requests,
		next: async () => {
			const socket = opened.shift();
			return socket ?? new Promise((resolve) => waiting.push(resolve));
		},
	};
}

/** Answers every message with itself. */
export async function echoService(context: TestContext, options: ServerOptions = {}): Promise<WebSocketService> {
	const service = await webSocketService(context, options);
	void (async () => {
		for (;;) {
			const socket = await service.next();
			socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
		}
	})();
	return service;
}

/** A client whose WebSocket has opened. */
export async function openWebSocket(
	context: TestContext,
	port: number,
	path = '/',
	{ protocols = [], ...options }: ClientOptions & { protocols?: string[] } = {},
): Promise<WebSocket> {
	const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
	context.after(() => socket.terminate());
	await once(socket, 'open');
	socket.on('error', () => undefined);
	return socket;
}

export interface Refusal {
	readonly status: number;
	readonly headers: IncomingMessage['headers'];
	readonly body: string;
}

/** The answer to an opening handshake that is no 101. */
export async function refusedWebSocket(port: number, path = '/', options: ClientOptions = {}): Promise<Refusal> {
	const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
	const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
	let body = '';
	for await (const chunk of response.setEncoding('utf8')) body += chunk;
	assert.equal(response.complete, true);
	return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** A message as text. */
export async function message(socket: WebSocket): Promise<string> {
	const [data] = await once(socket, 'message');
	return String(data);
}

/** `code reason` of its end; 1006 is a connection that ended without a closing handshake. */
export async function closing(socket: WebSocket): Promise<string> {
	const [code, reason] = await once(socket, 'close');
	return `${code} ${reason}`;
}

/** The opening handshake as text. */
export function handshake(fields = '', path = '/'): string {
	return (
		`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
		`Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${fields}\r\n`
	);
}

/** A client on a bare socket, behind the 101. */
export async function openRaw(context: TestContext, port: number, fields = '', path = '/'): Promise<RawClient> {
	const client = await RawClient.open(context, port, true);
	client.send(handshake(fields, path));
	await client.sees('\r\n\r\n');
	assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
	return client;
}

/** A service on bare sockets that answers every handshake with 101, and hands the socket over; bytes behind it stay unread. */
export function switching(accept: (socket: Socket, request: string) => void): (socket: Socket) => void {
	return (socket) => {
		socket.allowHalfOpen = true;
		let request = '';
		const onData = (chunk: Buffer) => {
			request += chunk.toString('latin1');
			if (!request.includes('\r\n\r\n')) return;
			socket.off('data', onData);
			socket.pause();
			socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n${answerTo(request)}\r\n`);
			accept(socket, request);
		};
		socket.on('data', onData);
	};
}

function answerTo(request: string): string {
	const upgrade = /^upgrade: (.*)\r$/im.exec(request)?.[1];
	const key = /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1];
	return `Upgrade: ${upgrade}\r\n${key === undefined ? '' : `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n`}`;
}

function acceptFor(key: string): string {
	return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

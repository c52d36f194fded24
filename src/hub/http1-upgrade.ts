/**
 * A request that came by HTTP/1.1 with an Upgrade that is served, as an AppRequest on the bare socket: the switch is 101 and then
 * bytes both ways, anything else an ordinary response behind which the connection ends. Owns the socket.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FieldList } from '../h2/protocol.ts';
import { endThenDestroy } from '../h2/socket-ending.ts';
import { cutSocket } from '../shared/cut-socket.ts';
import type { SlimeError } from '../shared/errors.ts';
import { tuneTunnelSocket } from '../tunnel/handshake.ts';
import { acceptOf, WEBSOCKET } from '../tunnel/websocket.ts';
import { errorAnswer } from './answer.ts';
import type { AppRequest, BodyReader, ResponseDecorator, ResponseListener } from './app-request.ts';
import { chunkOf, headText, lastChunk } from './http1-text.ts';
import { type Peer, peerOf } from './peer.ts';

export class Http1Upgrade implements AppRequest {
	readonly method = 'GET';
	readonly upgrade: string;
	readonly authority = undefined;
	readonly neverIndexed = null;
	readonly version = '1.1';
	/** What comes is handed over as it comes; an upstream sees none of it before it has switched. */
	readonly bodiless = false;
	readonly asksFirst = false;
	readonly #req: IncomingMessage;
	readonly #socket: Duplex;
	#reader: BodyReader | null = null;
	#listener: ResponseListener | null = null;
	decorator: ResponseDecorator | null = null;
	#status: number | undefined;
	/** What is to go ahead of the next bytes. */
	#head = '';
	#switched = false;
	#chunked = false;
	/** Our side of the connection has ended, or will when everything is written. */
	#finished = false;

	/** @param head bytes that came behind the request */
	constructor(req: IncomingMessage, socket: Duplex, head: Buffer, upgrade: string) {
		this.#req = req;
		this.#socket = socket;
		this.upgrade = upgrade;
		tuneTunnelSocket(socket);
		socket.allowHalfOpen = true;
		if (head.length > 0) socket.unshift(head);
		socket.on('end', () => this.#onEnd());
		socket.on('drain', () => this.#listener?.responseDrained());
		socket.on('close', () => this.#listener?.responseClosed());
	}

	get target(): string {
		return this.#req.url ?? '';
	}

	get fields(): readonly string[] {
		return this.#req.rawHeaders;
	}

	get address(): string {
		return this.peer.client(this.fields);
	}

	get peer(): Peer {
		return peerOf(this.#req.socket);
	}

	get status(): number | undefined {
		return this.#status;
	}

	field(name: string): string | undefined {
		const value = this.#req.headers[name];
		return typeof value === 'string' ? value : value?.[0];
	}

	listen(listener: ResponseListener): void {
		this.#listener = listener;
	}

	// What the app sends

	readBody(reader: BodyReader): void {
		this.#reader = reader;
		this.#socket.on('data', (chunk: Buffer) => this.#reader?.bodyChunk(chunk));
	}

	pauseBody(): void {
		this.#socket.pause();
	}

	resumeBody(): void {
		this.#socket.resume();
	}

	/** Before the switch there is nothing that an app could have to end: it is gone, as it would be from an ordinary request. */
	#onEnd(): void {
		if (this.#switched) this.#reader?.bodyEnded([]);
		else if (!this.#finished) this.#socket.destroy();
	}

	// The response

	inform(section: FieldList): void {
		// An app that does not read gets none: nothing else would hold up an agent that sends them without end.
		if (this.#status !== undefined || section[1] === '100' || this.#socket.writableNeedDrain) return;
		this.#socket.write(headText(Number(section[1]), section.slice(2)), 'latin1');
	}

	head(status: number, raw: string[]): void {
		this.decorator?.decorate(raw);
		this.#switched = status >= 200 && status < 300;
		if (this.#switched) {
			this.#status = 101;
			raw.push('connection', 'Upgrade', 'upgrade', this.upgrade);
			const key = this.field('sec-websocket-key');
			if (this.upgrade === WEBSOCKET && key !== undefined) raw.push('sec-websocket-accept', acceptOf(key));
		} else {
			this.#status = status;
			this.#chunked = status !== 304 && !raw.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length');
			if (this.#chunked) raw.push('transfer-encoding', 'chunked');
			raw.push('connection', 'close');
		}
		this.#head = headText(this.#status, raw);
	}

	flush(): void {
		if (this.#head !== '') this.#socket.write(this.#head, 'latin1');
		this.#head = '';
	}

	write(chunk: Buffer): boolean {
		const socket = this.#socket;
		if (this.#head === '') return socket.write(this.#chunked ? chunkOf(chunk, '') : chunk);
		socket.cork();
		this.flush();
		const keepsUp = this.write(chunk);
		socket.uncork();
		return keepsUp;
	}

	/** @param trailers for the chunked form */
	finish(last: Buffer | null, trailers: FieldList): void {
		const socket = this.#socket;
		socket.cork();
		this.flush();
		if (last !== null) this.write(last);
		if (this.#chunked) socket.write(lastChunk(trailers), 'latin1');
		socket.uncork();
		this.#finished = true;
		socket.end();
		if (!this.#switched) this.#stopReading();
	}

	/** Behind an end of ours that is clean there is nothing to cut: only that what the app sends goes nowhere. */
	cut(): void {
		if (this.#switched && this.#finished) this.#stopReading();
		else cutSocket(this.#socket);
	}

	refuse(error: SlimeError, requestId: string, retryAfter?: number): void {
		if (this.#status !== undefined || this.#socket.destroyed) return;
		const { fields, body } = errorAnswer(error, requestId, retryAfter);
		this.head(error.status, fields);
		this.finish(body, []);
	}

	/** The connection ends once all is written; what still comes is discarded for a second, or it would take the answer with it. */
	#stopReading(): void {
		const socket = this.#socket;
		this.#reader = null;
		socket.resume();
		if (socket.writableFinished) endThenDestroy(socket, false);
		else socket.once('finish', () => endThenDestroy(socket, false));
	}
}

/**
 * A request that came by HTTP/1: node:http's request and response as an AppRequest. Responses are written so that a head with a small
 * body, or a token of a stream, is one piece for the socket. Owns their framing, what a cut looks like, and that an error's answer
 * is not lost with its connection.
 */
import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { FieldList } from '../h2/protocol.ts';
import { cutSocket } from '../shared/cut-socket.ts';
import { SlimeError } from '../shared/errors.ts';
import { errorAnswer } from './answer.ts';
import type { AppRequest, BodyReader, ResponseDecorator, ResponseListener } from './app-request.ts';
import { discardRest } from './discard-rest.ts';
import { chunkOf, headText, lastChunk } from './http1-text.ts';
import { type Peer, peerOf } from './peer.ts';

/** Bodies and chunks up to this size are cheaper to copy behind their framing than to send as pieces. */
const COPY_BYTES = 2048;
const CRLF = Buffer.from('\r\n');
/** llhttp knows RTSP too, takes it for HTTP/1.0, and does not tell; its own methods do. */
const HTTP_METHODS = new Set(METHODS);

/** Bytes of a chunked body that are no content: 16 for each chunk are free, these are for long extensions and what was read ahead. */
const CHUNK_BYTES = 16;
const MAX_CHUNK_OVERHEAD = 256 * 1024;

/** Where the app of a message is found; spares closures for every request. */
const APP = Symbol('app');
type OwnRequest = IncomingMessage & { [APP]?: Http1App };
type OwnResponse = ServerResponse & { [APP]?: Http1App };

export class Http1App implements AppRequest {
	readonly method: string;
	readonly target: string;
	readonly authority = undefined;
	readonly neverIndexed = null;
	readonly upgrade = undefined;
	readonly version: '1.0' | '1.1' | 'unknown';
	readonly bodiless: boolean;
	readonly asksFirst: boolean;
	readonly #req: OwnRequest;
	readonly #res: OwnResponse;
	#toldToGoOn = false;
	reader: BodyReader | null = null;
	listener: ResponseListener | null = null;
	decorator: ResponseDecorator | null = null;
	#listensForDrain = false;
	/** Bytes that the socket may have read by now: what it had at the start, the body, and what chunks may cost. */
	#allowance: number;
	/** An error was answered, and what is left of the request is discarded. */
	#refused = false;
	/** We write the chunked form (RFC 9112 section 7.1) ourselves: Node would hand each token over in four pieces. */
	#chunked = false;

	/** @param asksFirst it said Expect: 100-continue */
	constructor(req: IncomingMessage, res: OwnResponse, asksFirst: boolean) {
		this.#req = req;
		this.#res = res;
		this.method = req.method ?? '';
		this.target = req.url ?? '';
		const { httpVersion } = req;
		const served = (httpVersion === '1.1' || httpVersion === '1.0') && HTTP_METHODS.has(this.method);
		this.version = served ? httpVersion : 'unknown';
		const { headers } = req;
		const length = headers['content-length'];
		res[APP] = this;
		this.bodiless = headers['transfer-encoding'] === undefined && (length === undefined || Number(length) === 0);
		this.asksFirst = asksFirst && !this.bodiless;
		this.#allowance = length === undefined ? req.socket.bytesRead + MAX_CHUNK_OVERHEAD : Number.POSITIVE_INFINITY;
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
		return this.#res.headersSent ? this.#res.statusCode : undefined;
	}

	field(name: string): string | undefined {
		const value = this.#req.headers[name];
		return typeof value === 'string' ? value : value?.[0];
	}

	listen(listener: ResponseListener): void {
		this.listener = listener;
		this.#res.on('close', onResponseClosed);
	}

	// The request's body

	readBody(reader: BodyReader): void {
		this.reader = reader;
		this.#req[APP] = this;
		this.#req.on('data', onBodyChunk);
		this.#req.on('end', onBodyEnd);
	}

	/** A flood of chunk extensions costs us work and its sender nothing (RFC 9112 section 7.1.1). */
	bodyChunk(chunk: Buffer): void {
		this.#allowance += chunk.length + CHUNK_BYTES;
		if (this.#allowance !== Number.POSITIVE_INFINITY && this.#req.socket.bytesRead > this.#allowance)
			this.requestBroken();
		else this.reader?.bodyChunk(chunk);
	}

	pauseBody(): void {
		this.#req.pause();
	}

	resumeBody(): void {
		this.#req.resume();
	}

	// The response

	inform(section: FieldList): void {
		if (section[1] === '100') {
			this.#goOn();
			return;
		}
		const { socket } = this.#res;
		// An app that does not read gets none: nothing else would hold up an agent that sends them without end.
		if (socket === null || socket.writableNeedDrain || this.#res.headersSent || this.version === '1.0') return;
		socket.write(headText(Number(section[1]), section.slice(2)), 'latin1');
	}

	#goOn(): void {
		if (!this.asksFirst || this.#toldToGoOn || this.#res.headersSent) return;
		this.#toldToGoOn = true;
		this.#res.writeContinue();
	}

	head(status: number, raw: string[]): void {
		const res = this.#res;
		this.decorator?.decorate(raw);
		// Only the chunked form has a place for trailers, and Node throws where they are announced without it.
		const trailer = raw.indexOf('trailer');
		if (trailer >= 0 && (this.version === '1.0' || raw.includes('content-length') || this.#hasNoBody(status))) {
			for (let i = raw.length - 2; i >= 0; i -= 2) if (raw[i] === 'trailer') raw.splice(i, 2);
		}
		res.writeHead(status, raw);
		if (res.chunkedEncoding) {
			res.chunkedEncoding = false;
			this.#chunked = true;
		}
	}

	#hasNoBody(status: number): boolean {
		return this.method === 'HEAD' || status === 204 || status === 304;
	}

	flush(): void {
		// flushHeaders() would write bytes above 127 as UTF-8. Where there is no body the end comes with the head.
		if (!this.#hasNoBody(this.#res.statusCode)) this.#res.write('', 'latin1');
	}

	write(chunk: Buffer): boolean {
		const keepsUp = this.#write(chunk);
		if (!keepsUp && !this.#listensForDrain) {
			this.#listensForDrain = true;
			this.#res.on('drain', onResponseDrain);
		}
		return keepsUp;
	}

	#write(chunk: Buffer): boolean {
		const res = this.#res;
		if (!this.#chunked) return res.write(chunk);
		if (chunk.length <= COPY_BYTES) return res.write(chunkOf(chunk, ''));
		res.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
		res.write(chunk);
		return res.write(CRLF);
	}

	/** @param trailers for the chunked form; there is no other place for them in HTTP/1.1 */
	finish(last: Buffer | null, trailers: FieldList): void {
		const res = this.#res;
		const unread = !this.bodiless && !this.#req.complete;
		const end = this.#chunked ? lastChunk(trailers) : '';
		if (unread && !res.shouldKeepAlive && !this.#hasNoBody(res.statusCode)) {
			// Node would close the connection at the end, under an app that is still sending.
			if (last !== null) this.#write(last);
			res.write(end, 'latin1');
		} else if (last === null) {
			res.end(end, 'latin1');
		} else if (last.length > COPY_BYTES) {
			if (this.#chunked) this.#write(last);
			res.end(this.#chunked ? end : last, 'latin1');
		} else if (this.#chunked) {
			res.end(chunkOf(last, end));
		} else {
			// As a string it joins the head in one write.
			res.end(last.toString('latin1'), 'latin1');
		}
		if (unread) discardRest(this.#req, res);
	}

	/** HTTP/1.1 lacks its last chunk or bytes; HTTP/1.0 has only the reset to tell a cut from an end. */
	cut(): void {
		const { socket } = this.#res;
		if (this.version === '1.0' && socket) cutSocket(socket);
		else this.#res.destroy();
	}

	/** If the request's body was not read, the rest of it is discarded, within limits, before the connection ends. */
	refuse(error: SlimeError, requestId: string, retryAfter?: number): void {
		const res = this.#res;
		if (res.headersSent || res.destroyed) return;
		this.#refused = true;
		const { fields, body } = errorAnswer(error, requestId, retryAfter);
		this.decorator?.decorate(fields);
		const unread = !this.bodiless && !(this.#req.complete && this.#req.readableEnded);
		// Whoever sends what cannot be understood might mean something else by what follows it.
		const misunderstood = error.code === 'bad_request' || error.code === 'headers_too_large';
		if (unread || misunderstood) fields.push('connection', 'close');
		res.writeHead(error.status, fields);
		if (!unread) {
			res.end(this.method === 'HEAD' ? undefined : body);
			return;
		}
		if (this.method === 'HEAD') res.flushHeaders();
		else res.write(body);
		discardRest(this.#req, res);
	}

	/** Calls back when this response is over and the next one has the connection. */
	whenClosed(then: () => void): void {
		this.#res.once('close', () => setImmediate(then));
	}

	/** The rest of the request cannot be read: what came of it stops, and is answered if nothing was answered yet. */
	requestBroken(): void {
		const { listener } = this;
		if (listener !== null) listener.requestBroken();
		const res = this.#res;
		if (this.#refused) {
			// The answer is whole, only what was to be discarded behind it is broken too.
			if (!res.writableEnded) res.end();
		} else if (res.headersSent) {
			this.cut();
			return;
		} else {
			const { fields, body } = errorAnswer(new SlimeError('bad_request'), undefined);
			this.decorator?.decorate(fields);
			res.writeHead(400, [...fields, 'connection', 'close']);
			res.end(body);
		}
		this.#req.socket.destroySoon();
	}
}

/** The request whose response is under way on a connection. */
export function underWay(socket: object): Http1App | undefined {
	const response = '_httpMessage' in socket ? (socket._httpMessage as OwnResponse | null) : null;
	return response?.[APP];
}

function onResponseClosed(this: OwnResponse): void {
	this[APP]?.listener?.responseClosed();
}

function onResponseDrain(this: OwnResponse): void {
	this[APP]?.listener?.responseDrained();
}

function onBodyChunk(this: OwnRequest, chunk: Buffer): void {
	this[APP]?.bodyChunk(chunk);
}

function onBodyEnd(this: OwnRequest): void {
	this[APP]?.reader?.bodyEnded(this.rawTrailers);
}

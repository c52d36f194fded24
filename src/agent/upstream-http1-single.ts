/**
 * HTTP/1.1 requests that undici cannot send, because they end with trailers, wait for 100 (Continue) before their body, or have a body
 * that begins at some time: through node:http, on a connection of their own. An upstream that answers without having read the body so
 * takes nothing that may still come for another request. It is not told that the connection ends with this request: many close it then
 * as soon as they have answered, and a body that is still on its way makes a reset of that, with which the answer may be lost.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import { CONTINUE, withOneCookie } from '../tunnel/fields.ts';
import type { UpstreamCall, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { connectError, exchangeError } from './upstream-errors.ts';
import type { Http1Options } from './upstream-http1.ts';

const MAX_HEADER_BYTES = 256 * 1024;

/** Whether a request has to go this way. */
export function needsOwnConnection({ trailers, asksFirst, body }: UpstreamCall): boolean {
	return (trailers || asksFirst) && body === 'stream';
}

export function exchangeOnOwnConnection(
	call: UpstreamCall,
	sink: UpstreamSink,
	options: Http1Options,
): UpstreamExchange {
	return new SingleExchange(call, sink, options);
}

class SingleExchange implements UpstreamExchange {
	readonly #sink: UpstreamSink;
	readonly #request: ClientRequest;
	#response: IncomingMessage | null = null;
	#socket: Socket | null = null;
	#untaken = 0;
	#started = false;
	#told = false;

	constructor(call: UpstreamCall, sink: UpstreamSink, options: Http1Options) {
		this.#sink = sink;
		const { authority, authorization } = options.identity;
		const headers: FieldList = ['host', authority, ...withOneCookie(call.fields), 'connection', 'keep-alive'];
		if (authorization !== undefined) headers.push('authorization', authorization);
		if (call.asksFirst) headers.push('expect', CONTINUE);
		const length = headers.findIndex((name, i) => i % 2 === 0 && name === 'content-length');
		// Trailers need the chunked form (RFC 9112 section 7.1.2).
		if (length >= 0 && call.trailers) headers.splice(length, 2);
		if (length < 0 || call.trailers) headers.push('transfer-encoding', 'chunked');
		const agent = new Agent({ keepAlive: false });
		agent.createConnection = ((_options: object, opened: (error: Error | null, socket?: Socket) => void) => {
			options.connect((error, socket) => {
				if (error || socket === null) {
					opened(error ?? new Error('no socket'));
					return;
				}
				this.#socket = socket;
				// To libuv a reset behind bytes that were not read yet is a FIN; only after a FIN can anything be written, be it nothing.
				socket.on('end', () => {
					if (socket.writable) socket.write('');
				});
				opened(null, socket);
				this.#started = true;
				sink.onConnected();
			});
		}) as unknown as typeof agent.createConnection;
		this.#request = request({
			agent,
			method: call.method,
			path: call.path,
			headers: headers as never,
			setHost: false,
			maxHeaderSize: MAX_HEADER_BYTES,
		});
		const late = setTimeout(() => this.#fail(new SlimeError('upstream_timeout')), options.firstByteTimeout);
		this.#request.on('information', (info) => sink.onInformation(info.statusCode, info.rawHeaders));
		this.#request.on('response', (response) => {
			clearTimeout(late);
			this.#onResponse(response);
		});
		this.#request.on('upgrade', (_response, socket) => {
			socket.destroy();
			this.#fail(new SlimeError('upstream_protocol'));
		});
		this.#request.on('drain', () => this.#take());
		// Node would let the head wait for the first of the body.
		this.#request.flushHeaders();
		this.#request.on('error', (error) => this.#fail(this.#started ? exchangeError(error) : connectError(error)));
		this.#request.on('close', () => {
			clearTimeout(late);
			this.#fail(new SlimeError('upstream_unreachable', 'The upstream closed the connection without an answer.'));
			sink.onReleased();
		});
	}

	write(chunk: Buffer): void {
		if (this.#request.write(chunk)) this.#sink.onTaken(chunk.length);
		else this.#untaken += chunk.length;
	}

	finish(trailers?: FieldList): void {
		if (trailers) {
			const pairs: Array<[string, string]> = [];
			for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i] as string, trailers[i + 1] as string]);
			this.#request.addTrailers(pairs);
		}
		this.#request.end();
	}

	resume(): void {
		this.#response?.resume();
	}

	cancel(): void {
		this.#told = true;
		this.#request.destroy();
	}

	#take(): void {
		const bytes = this.#untaken;
		this.#untaken = 0;
		this.#sink.onTaken(bytes);
	}

	#onResponse(response: IncomingMessage): void {
		this.#response = response;
		if (response.httpVersion !== '1.1' && response.httpVersion !== '1.0') {
			this.#fail(new SlimeError('upstream_protocol'));
			return;
		}
		this.#sink.onResponse(response.statusCode ?? 502, response.rawHeaders);
		response.on('data', (chunk: Buffer) => {
			if (!this.#told && !this.#sink.onBody(chunk)) response.pause();
		});
		response.on('end', () => {
			if (this.#told) return;
			const reset = this.#socket?.errored;
			if (reset) {
				this.#fail(exchangeError(reset));
				return;
			}
			this.#told = true;
			this.#sink.onComplete(response.rawTrailers);
			this.#request.destroy();
		});
		response.on('error', (error) => this.#fail(exchangeError(error)));
	}

	#fail(error: SlimeError): void {
		if (this.#told) return;
		this.#told = true;
		this.#sink.onFailure(error, this.#started);
		this.#request.destroy();
	}
}

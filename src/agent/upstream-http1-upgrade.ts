/**
 * A switch of protocols at an HTTP/1.1 upstream (RFC 9110 section 7.8), on a connection of its own: node:http asks, and what was
 * switched to is relayed on the bare socket, each direction with its own end.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { FieldList } from '../h2/protocol.ts';
import { cutSocket } from '../shared/cut-socket.ts';
import { SlimeError } from '../shared/errors.ts';
import { tuneTunnelSocket } from '../tunnel/handshake.ts';
import { acceptOf, newKey, unaskedChoice, WEBSOCKET } from '../tunnel/websocket.ts';
import type { UpstreamCall, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { connectError, exchangeError } from './upstream-errors.ts';
import type { Http1Options } from './upstream-http1.ts';

const MAX_HEADER_BYTES = 256 * 1024;

/** @param upgrade the protocol to ask for */
export function exchangeWithUpgrade(
	call: UpstreamCall,
	upgrade: string,
	sink: UpstreamSink,
	options: Http1Options,
): UpstreamExchange {
	return new UpgradeExchange(call, upgrade, sink, options);
}

class UpgradeExchange implements UpstreamExchange {
	readonly #call: UpstreamCall;
	readonly #upgrade: string;
	readonly #sink: UpstreamSink;
	readonly #request: ClientRequest;
	readonly #key = newKey();
	#socket: Socket | null = null;
	#late: NodeJS.Timeout | undefined;
	/** Where the body of a response that is no switch comes from. */
	#response: IncomingMessage | null = null;
	#switched = false;
	/** The upstream's direction has ended in order. */
	#complete = false;
	/** Our direction has ended. */
	#finished = false;
	#untaken = 0;
	/** Only onReleased() is left to be told. */
	#told = false;
	#released = false;

	constructor(call: UpstreamCall, upgrade: string, sink: UpstreamSink, options: Http1Options) {
		this.#call = call;
		this.#upgrade = upgrade;
		this.#sink = sink;
		const { authority, authorization } = options.identity;
		const headers: FieldList = ['host', authority, ...call.fields, 'connection', 'Upgrade', 'upgrade', upgrade];
		if (upgrade === WEBSOCKET) headers.push('sec-websocket-key', this.#key);
		if (authorization !== undefined) headers.push('authorization', authorization);
		const agent = new Agent({ keepAlive: false });
		agent.createConnection = ((_options: object, opened: (error: Error | null, socket?: Socket) => void) => {
			options.connect((error, socket) => {
				if (error || socket === null || this.#told) {
					socket?.destroy();
					opened(error ?? new Error('no socket is wanted'));
					return;
				}
				this.#socket = socket;
				socket.allowHalfOpen = true;
				this.#late = setTimeout(() => this.#fail(new SlimeError('upstream_timeout')), options.firstByteTimeout);
				opened(null, socket);
				sink.onConnected();
			});
		}) as unknown as typeof agent.createConnection;
		this.#request = request({
			agent,
			method: 'GET',
			path: call.path,
			headers: headers as never,
			setHost: false,
			maxHeaderSize: MAX_HEADER_BYTES,
		});
		this.#request.on('information', ({ statusCode, rawHeaders }) => {
			if (statusCode === 101) this.#fail(wrongSwitch('without saying to what'));
			else if (!this.#told) sink.onInformation(statusCode, rawHeaders);
		});
		this.#request.on('response', (response) => this.#onResponse(response));
		this.#request.on('upgrade', (response, socket, head) => this.#onUpgrade(response, socket as Socket, head));
		this.#request.on('error', (error) => this.#fail(this.#socket ? exchangeError(error) : connectError(error)));
		this.#request.on('close', () => {
			if (!this.#switched) this.#onClose();
		});
		this.#request.end();
	}

	// UpstreamExchange

	write(chunk: Buffer): void {
		if (this.#socket?.write(chunk) !== false) this.#sink.onTaken(chunk.length);
		else this.#untaken += chunk.length;
	}

	finish(): void {
		this.#finished = true;
		const flushed = this.#socket?.writableLength === 0;
		this.#socket?.end();
		if (flushed && this.#complete) this.#release();
	}

	resume(): void {
		if (this.#switched) this.#socket?.resume();
		else this.#response?.resume();
	}

	/** The upstream sees its connection break, which is not how a protocol ends. */
	cancel(): void {
		this.#told = true;
		this.#cut();
		// A connection that opens now is closed at once.
		if (this.#socket === null) this.#release();
	}

	#cut(): void {
		if (this.#socket !== null && this.#switched) cutSocket(this.#socket);
		else this.#request.destroy();
	}

	// What the upstream says

	#onResponse(response: IncomingMessage): void {
		clearTimeout(this.#late);
		this.#response = response;
		response.on('error', (error) => this.#fail(exchangeError(error)));
		const status = response.statusCode ?? 502;
		if (status < 300) {
			this.#fail(new SlimeError('upstream_protocol', `The upstream answered ${status} and did not switch protocols.`));
			return;
		}
		this.#sink.onResponse(status, response.rawHeaders);
		response.on('data', (chunk: Buffer) => {
			if (!this.#told && !this.#sink.onBody(chunk)) response.pause();
		});
		response.on('end', () => {
			if (this.#told) return;
			this.#told = true;
			this.#release();
			this.#sink.onComplete(response.rawTrailers);
		});
	}

	#onUpgrade(response: IncomingMessage, socket: Socket, head: Buffer): void {
		clearTimeout(this.#late);
		this.#switched = true;
		socket.on('error', (error) => this.#fail(exchangeError(error)));
		socket.on('close', () => this.#onClose());
		const wrong = this.#wrongAnswer(response);
		if (this.#told || wrong !== null) {
			if (wrong !== null) this.#fail(wrongSwitch(wrong));
			else this.#cut();
			return;
		}
		tuneTunnelSocket(socket);
		// It belongs to the protocol that was switched to.
		if (head.length > 0) socket.unshift(head);
		this.#sink.onSwitched(response.rawHeaders);
		socket.on('data', (chunk: Buffer) => {
			if (!this.#told && !this.#sink.onBody(chunk)) socket.pause();
		});
		socket.on('end', () => {
			this.#complete = true;
			if (this.#told) return;
			if (this.#finished && socket.writableFinished) this.#release();
			this.#sink.onComplete([]);
		});
		socket.on('drain', () => {
			const bytes = this.#untaken;
			this.#untaken = 0;
			this.#sink.onTaken(bytes);
		});
	}

	/** RFC 6455 section 4.1: what a client has to check. */
	#wrongAnswer({ headers, rawHeaders }: IncomingMessage): string | null {
		if (headers.upgrade?.toLowerCase() !== this.#upgrade.toLowerCase()) return 'to another protocol';
		if (this.#upgrade !== WEBSOCKET) return null;
		if (headers['sec-websocket-accept'] !== acceptOf(this.#key)) return 'with a wrong Sec-WebSocket-Accept';
		const unasked = unaskedChoice(this.#call.fields, rawHeaders);
		return unasked === null ? null : `with a ${unasked} that was not offered`;
	}

	#onClose(): void {
		clearTimeout(this.#late);
		if (!this.#complete || !this.#finished) {
			this.#fail(new SlimeError('upstream_unreachable', 'The upstream closed the connection without an answer.'));
		}
		this.#release();
	}

	/** Once both directions have ended nothing is left at the upstream, though the socket may take a moment to close. */
	#release(): void {
		if (this.#released) return;
		this.#released = true;
		this.#sink.onReleased();
	}

	#fail(error: SlimeError): void {
		if (this.#told) return;
		this.#told = true;
		this.#sink.onFailure(error, this.#socket !== null);
		this.#cut();
	}
}

function wrongSwitch(how: string): SlimeError {
	return new SlimeError('upstream_protocol', `The upstream switched protocols ${how}.`);
}

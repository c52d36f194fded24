/**
 * What becomes of connections that a door lets in: TCP or TLS, limits for strangers, HTTP/1.1 parsed by node:http, malformed requests
 * refused, HTTP/2 by ALPN or by its preface. Sorts what arrives: requests, tunnels, other upgrades. Knows nothing of agents or queues.
 * Its options never change: with others there is another one, at the same door, while this one serves to their end those that it has.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { cutSocket } from '../shared/cut-socket.ts';
import { type ErrorCode, SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { PerAddress } from '../shared/per-address.ts';
import type { ServerTls } from '../tls/contexts.ts';
import { peerCertificate } from '../tls/peer-certificate.ts';
import { asksForWebSocket, refuseUpgrade, TUNNEL_PATH, TUNNEL_PROTOCOL } from '../tunnel/handshake.ts';
import { plainAddress, type TrustedProxies } from '../tunnel/trusted-proxies.ts';
import type { AppRequest } from './app-request.ts';
import { AppSessions } from './app-sessions.ts';
import type { Doorkeeper } from './door.ts';
import type { EndedConnections } from './ended.ts';
import { takeProxyHeader, tellVersion } from './first-bytes.ts';
import { Http1App, underWay } from './http1-app.ts';
import { Http1Upgrade } from './http1-upgrade.ts';
import type { HubOptions } from './options.ts';
import { Peer, peerOf, setPeer } from './peer.ts';
import { newRequestId } from './request-id.ts';
import type { Upgrades } from './upgrades.ts';

const MAX_HEADER_BYTES = 64 * 1024;
const MAX_FIELDS = 1000;
/** Milliseconds between looks at request headers that are late, at most. */
const CHECK_INTERVAL = 1000;

const NOTHING = Buffer.alloc(0);
const UNTRUSTED = 'The client certificate is not one that this hub trusts.';

export interface ListenerHandler {
	request(app: AppRequest): void;
	/** An agent asks for a tunnel. */
	tunnel(req: IncomingMessage, socket: Duplex, head: Buffer): void;
	/** A connection said what is no request, and was told so. @param address of the peer */
	refused(error: SlimeError, address: string): void;
}

export interface ListenerOptions
	extends Pick<
		HubOptions,
		'proxyProtocol' | 'maxRequestsPerConnection' | 'headersTimeout' | 'keepAliveTimeout' | 'handshakeTimeout' | 'logger'
	> {
	/** Serves TLS. */
	readonly tls: ServerTls | null;
	/** Refuses requests of clients whose certificate is not right, even if they need none. */
	readonly verifyIfPresented: boolean;
	readonly upgrades: Upgrades;
	/** Proxies that are believed; null for none. */
	readonly trusted: TrustedProxies | null;
	/** How many connections each address has, which outlives this listener. */
	readonly perAddress: PerAddress;
	readonly ended: EndedConnections;
}

export class Listener implements Doorkeeper {
	readonly #server: Server;
	readonly #handler: ListenerHandler;
	readonly #log: Logger;
	readonly #secure: SecureServer | null;
	readonly #sessions: AppSessions;
	/** Of clients whose certificates are not right: their requests are refused. */
	readonly #refusing: AppSessions;
	readonly #verifyIfPresented: boolean;
	readonly #unverified = new WeakSet<object>();
	/** What node:http does with a connection. */
	readonly #serveHttp1: (socket: Socket) => void;
	/** Connections that have not said yet which version of HTTP they speak. */
	readonly #silent = new Set<Socket>();
	/** Connections that node:http has handed over for a switch of protocols. */
	readonly #upgrading = new Set<Duplex>();
	/** Connections that came through the door and are open, tunnels too. */
	#open = 0;
	readonly #closed = () => {
		this.#open--;
		if (this.#open === 0) for (const tell of this.#whenEmpty.splice(0)) tell();
	};
	/** Connections end with their next response. */
	#retired = false;
	readonly #whenEmpty: Array<() => void> = [];
	readonly #upgrades: Upgrades;
	readonly #options: ListenerOptions;
	readonly #trusted: TrustedProxies | null;
	readonly #perAddress: PerAddress;
	readonly #ended: EndedConnections;
	/** Over TLS: whose the connection of a proxy is, by both its ends, until it is known at its socket. */
	readonly #announced = new Map<string, Peer>();
	/** What is done with a connection whose peer is known: a TLS handshake, or HTTP at once. */
	readonly #greet: (socket: Socket) => void;

	constructor(options: ListenerOptions, handler: ListenerHandler) {
		const { tls } = options;
		this.#handler = handler;
		this.#verifyIfPresented = options.verifyIfPresented;
		this.#upgrades = options.upgrades;
		this.#log = options.logger;
		this.#options = options;
		this.#trusted = options.trusted;
		this.#perAddress = options.perAddress;
		this.#ended = options.ended;
		const limits = {
			maxHeaderSize: MAX_HEADER_BYTES,
			headersTimeout: options.headersTimeout,
			// How long an upload takes is the app's business.
			requestTimeout: 0,
			keepAliveTimeout: options.keepAliveTimeout,
			connectionsCheckingInterval: Math.min(CHECK_INTERVAL, options.headersTimeout),
			requireHostHeader: false,
			noDelay: true,
			keepAlive: true,
		};
		const alpn = { ALPNProtocols: ['h2', 'http/1.1'], handshakeTimeout: options.handshakeTimeout };
		this.#secure = tls ? createSecureServer({ ...tls, ...limits, ...alpn }) : null;
		this.#server = this.#secure ?? createServer(limits);
		const server = this.#server;
		// Node's own steps are taken in between ours: connection → PROXY header → TLS → version of HTTP → parser.
		const accepted = takeOver(server, 'connection');
		this.#serveHttp1 = tls ? takeOver(server, 'secureConnection') : accepted;
		this.#greet = tls ? accepted : (socket) => this.#arrive(socket);
		// It never listens, as the door does; its watch over late requests begins all the same.
		server.emit('listening');
		if (tls) {
			server.on('secureConnection', (socket: Socket) => this.#secured(socket));
			server.removeAllListeners('tlsClientError');
			server.on('tlsClientError', (error: Error, socket: Socket) => this.#handshakeFailed(error, socket));
		}
		const sessionOptions = {
			logger: options.logger,
			ended: options.ended,
			settingsTimeout: options.headersTimeout,
			idleTimeout: options.keepAliveTimeout,
			maxRequests: options.maxRequestsPerConnection,
			maxHeaderBytes: MAX_HEADER_BYTES,
			maxFields: MAX_FIELDS,
		};
		this.#sessions = new AppSessions({ ...sessionOptions, request: (app) => handler.request(app) });
		this.#refusing = new AppSessions({ ...sessionOptions, request: refuseCertificate });
		// Node would drop what is over the limit without a word; the gateway counts and refuses instead.
		server.maxHeadersCount = 0;
		server.on('request', (req, res) => this.#request(req, res, false));
		server.on('checkContinue', (req, res) => this.#request(req, res, true));
		// RFC 9110 section 10.1.1: an expectation that is not understood may be ignored.
		server.on('checkExpectation', (req, res) => this.#request(req, res, false));
		server.on('connect', (_req, socket) => {
			afterResponses(socket, () => refuseUpgrade(socket, new SlimeError('method_not_allowed')));
		});
		server.on('upgrade', (req, socket, head) => afterResponses(socket, () => this.#upgrade(req, socket, head)));
		server.on('clientError', (error, socket) => this.#clientError(error, socket));
		server.on('timeout', (socket) => {
			this.#ended.count('keep_alive', peerOf(socket).address);
			socket.destroy();
		});
	}

	/** Other certificates for connections that come from now on. @throws what OpenSSL says against them */
	renew({ cert, key, ca, minVersion }: ServerTls): void {
		this.#secure?.setSecureContext({ cert, key, minVersion, ...(ca && { ca }) });
	}

	/** It gets no new connections; those that are open are served, and closed after their next response. Resolves when there is none. */
	async retire(): Promise<void> {
		this.#retired = true;
		this.#sessions.drain();
		this.#refusing.drain();
		await this.empty();
		this.#server.close();
	}

	/** Connections that are idle are closed, and the others with their last response. */
	close(): void {
		this.#retired = true;
		this.#server.close();
		this.#server.closeIdleConnections();
		this.#sessions.drain();
		this.#refusing.drain();
		for (const socket of this.#silent) socket.destroy();
	}

	/** Resolves when no connection is open. */
	async empty(): Promise<void> {
		if (this.#open === 0) return;
		await new Promise<void>((resolve) => {
			this.#whenEmpty.push(resolve);
		});
	}

	/** Cuts what is left. */
	destroy(): void {
		this.#server.closeAllConnections();
		this.#sessions.destroy();
		this.#refusing.destroy();
		for (const socket of this.#upgrading) cutSocket(socket);
	}

	/** A connection that said something, or has chosen by ALPN, is served; one that says nothing is ended. */
	#arrive(socket: Socket): void {
		const secure = socket instanceof TLSSocket;
		const refused = this.#verifyIfPresented && peerCertificate(socket)?.verified === false;
		if (refused) this.#unverified.add(socket);
		const sessions = refused ? this.#refusing : this.#sessions;
		if (secure && socket.alpnProtocol === 'h2') {
			sessions.accept(socket, NOTHING, peerOf(socket));
			return;
		}
		this.#silent.add(socket);
		tellVersion(socket, this.#options.headersTimeout, (spoken, head) => {
			this.#silent.delete(socket);
			if (spoken === 'http1') this.#serveHttp1(socket);
			else if (spoken === 'http2' && head !== null) sessions.accept(socket, head, peerOf(socket));
			else {
				if (spoken === 'silent') this.#ended.count('first_byte', peerOf(socket).address);
				else if (spoken === 'unfinished') this.#ended.count('preface', peerOf(socket).address);
				socket.destroy();
			}
		});
	}

	#request(req: IncomingMessage, res: ServerResponse, asksFirst: boolean): void {
		// A pipelined request waits for the response before it: unsafe ones may not overtake (RFC 9112 section 9.3.2).
		if (res.socket === null) res.once('socket', () => this.#request(req, res, asksFirst));
		else {
			const most = this.#options.maxRequestsPerConnection;
			// Node then says Connection: close, and closes.
			if (this.#retired || (most > 0 && ++peerOf(req.socket).requests >= most)) res.shouldKeepAlive = false;
			const app = new Http1App(req, res, asksFirst);
			if (this.#unverified.has(res.socket)) refuseCertificate(app);
			else this.#handler.request(app);
		}
	}

	/** A connection's very beginning: whose it is. */
	admit(socket: Socket): void {
		// node:https has its sockets end with the other side.
		if (this.#secure) socket.allowHalfOpen = false;
		this.#open++;
		socket.once('close', this.#closed);
		const address = plainAddress(socket.remoteAddress ?? 'unknown');
		if (!this.#options.proxyProtocol || this.#trusted?.includes(address) !== true) {
			this.#identified(socket, address);
			return;
		}
		this.#silent.add(socket);
		takeProxyHeader(socket, this.#options.headersTimeout, (header) => {
			this.#silent.delete(socket);
			if (typeof header === 'string') {
				if (header !== 'over') this.#ended.count('proxy_header', address, header);
				socket.destroy();
				return;
			}
			this.#identified(socket, header.source ?? address);
		});
	}

	#identified(socket: Socket, address: string): void {
		const secure = this.#options.tls !== null;
		const peer = new Peer(address, secure, this.#trusted);
		// A trusted proxy's connections are those of many clients.
		if (peer.trusted === null && !this.#perAddress.admit(address, socket)) {
			this.#ended.count('per_address', address);
			socket.destroy();
			return;
		}
		setPeer(socket, peer);
		if (secure && this.#options.proxyProtocol) {
			const ends = endsOf(socket);
			this.#announced.set(ends, peer);
			socket.once('close', () => this.#announced.delete(ends));
		}
		this.#greet(socket);
	}

	/** Node makes another socket for TLS, which has the same ends. */
	#secured(socket: Socket): void {
		const address = plainAddress(socket.remoteAddress ?? 'unknown');
		setPeer(socket, this.#announced.get(endsOf(socket)) ?? new Peer(address, true, this.#trusted));
		this.#arrive(socket);
	}

	#handshakeFailed(error: Error, socket: Socket): void {
		const code = 'code' in error ? String(error.code) : '';
		const address = this.#announced.get(endsOf(socket))?.address ?? plainAddress(socket.remoteAddress ?? 'unknown');
		if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') this.#ended.count('tls_handshake', address);
		else this.#log.debug({ code, address }, 'a TLS handshake failed');
		socket.destroy();
	}

	#upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
		socket.on('error', (error) => this.#log.debug({ err: error }, 'a connection failed during an upgrade'));
		if (this.#unverified.has(socket)) {
			refuseUpgrade(socket, new SlimeError('unauthorized', UNTRUSTED));
			return;
		}
		const offered = (req.headers.upgrade ?? '').toLowerCase().split(/\s*,\s*/);
		const path = (req.url ?? '').split('?', 1)[0];
		if (path === TUNNEL_PATH && (offered.includes(TUNNEL_PROTOCOL) || asksForWebSocket(req))) {
			this.#handler.tunnel(req, socket, head);
			return;
		}
		let chosen: string | null;
		try {
			chosen = this.#upgrades.choose(req);
		} catch (error) {
			refuseUpgrade(socket, error instanceof SlimeError ? error : new SlimeError('internal'));
			return;
		}
		if (chosen === null) {
			this.#withoutUpgrade(req, socket, head);
			return;
		}
		this.#upgrading.add(socket);
		socket.once('close', () => this.#upgrading.delete(socket));
		this.#handler.request(new Http1Upgrade(req, socket, head, chosen));
	}

	/**
	 * An Upgrade that is not served is ignored (RFC 9110 section 7.8), but Node has already taken its parser off the socket.
	 * So the request is put back in front of what follows, without the offer, for a new parser to read.
	 */
	#withoutUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
		const raw = req.rawHeaders;
		let text = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`;
		for (let i = 0; i < raw.length; i += 2) {
			const name = (raw[i] as string).toLowerCase();
			if (name === 'upgrade' || name === 'http2-settings') continue;
			let value = raw[i + 1] as string;
			if (name === 'connection') {
				value = value
					.split(',')
					.map((token) => token.trim())
					.filter((token) => !['upgrade', 'http2-settings'].includes(token.toLowerCase()))
					.join(', ');
				if (value === '') continue;
			}
			text += `${raw[i]}: ${value}\r\n`;
		}
		socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
		this.#serveHttp1(socket as Socket);
	}

	#clientError(error: Error, socket: Duplex): void {
		const code = 'code' in error ? String(error.code) : '';
		if (code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#ended.count('headers', peerOf(socket as Socket).address);
		else this.#log.debug({ code }, 'a connection was refused');
		const app = underWay(socket);
		if (code === 'ECONNRESET' || !socket.writable) {
			socket.destroy();
		} else if (app !== undefined) {
			app.requestBroken();
		} else {
			const refusal = new SlimeError(MALFORMED[code] ?? 'bad_request');
			this.#handler.refused(refusal, peerOf(socket as Socket).address);
			refuseUpgrade(socket, refusal);
		}
	}
}

/** What Node's parser found; anything else is a bad request. */
const MALFORMED: Readonly<Record<string, ErrorCode>> = {
	HPE_HEADER_OVERFLOW: 'headers_too_large',
	ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Takes Node's own listener off an event. @returns what it does with a connection */
function takeOver(server: Server, event: 'connection' | 'secureConnection'): (socket: Socket) => void {
	const [listener] = server.listeners(event);
	server.removeAllListeners(event);
	return (socket) => listener?.call(server, socket);
}

/** Both ends of a connection that is open: no other has the same. */
function endsOf(socket: Socket): string {
	return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}

/** A request that takes the connection over waits for the responses before it, as any other does (RFC 9112 section 9.3.2). */
function afterResponses(socket: Duplex, then: () => void): void {
	const app = underWay(socket);
	if (app === undefined) {
		then();
		return;
	}
	app.whenClosed(() => {
		if (!socket.destroyed) afterResponses(socket, then);
	});
}

function refuseCertificate(app: AppRequest): void {
	app.refuse(new SlimeError('unauthorized', UNTRUSTED), newRequestId());
}

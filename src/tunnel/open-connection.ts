/** Opens the connection a handshake runs on: TCP, TLS, and CONNECT through an egress proxy. Knows nothing of hubs. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { pinOf } from '../tls/pins.ts';
import type { HttpAddress } from './address.ts';
import { answerError, connectError, HandshakeError, tlsError } from './handshake-error.ts';
import { requestUpgrade } from './upgrade-request.ts';

/** One try: the signal that ends it, and what it is busy with, for saying what took too long. */
export interface Attempt {
	readonly signal: AbortSignal;
	busyWith: string;
}

export interface ConnectionTarget {
	/** With the scheme https, TLS. */
	readonly to: HttpAddress;
	/** Names it in errors: `hub https://hub.example`. */
	readonly who: string;
	readonly proxy?: HttpAddress | undefined;
	/** Without a proxy: one of the addresses of the target's name, to connect to that one. */
	readonly address?: string | undefined;
	/** For TLS to the target and to the proxy. */
	readonly secureContext?: tls.SecureContext | undefined;
	/** For TLS to the target: the name that is asked for, and that its certificate must be for; that of `to` if left out. */
	readonly serverName?: string | undefined;
	/** For TLS to the target: its certificate must have one of these keys, as `pinOf` writes them, beside being trusted. */
	readonly pins?: readonly string[] | undefined;
}

/**
 * A first address that drops packets must not cost the whole time, but Node's own 250 ms would give up a host that is merely far away.
 */
const NEXT_ADDRESS_AFTER = 1000;

/** @throws HandshakeError; the signal's reason */
export async function openConnection(target: ConnectionTarget, attempt: Attempt): Promise<net.Socket> {
	const { to, who, proxy, address, secureContext, serverName, pins } = target;
	const identity = { name: serverName ?? to.host, pins };
	if (!proxy) {
		const socket = await openTcp({ host: address ?? to.host, port: to.port }, who, attempt);
		return to.scheme === 'https' ? startTls(socket, identity, who, secureContext, attempt) : socket;
	}
	const proxyName = `proxy ${proxy.label}`;
	let socket = await openTcp(proxy, proxyName, attempt);
	if (proxy.scheme === 'https')
		socket = await startTls(socket, { name: proxy.host }, proxyName, secureContext, attempt);
	await passThrough(socket, proxy, proxyName, to, attempt);
	return to.scheme === 'https' ? startTls(socket, identity, who, secureContext, attempt) : socket;
}

/** Who a TLS server has to be. */
interface ServerIdentity {
	readonly name: string;
	readonly pins?: readonly string[] | undefined;
}

async function openTcp(to: Pick<HttpAddress, 'host' | 'port'>, who: string, attempt: Attempt): Promise<net.Socket> {
	attempt.busyWith = `connecting to ${who}`;
	attempt.signal.throwIfAborted();
	const socket = net.connect({
		host: to.host,
		port: to.port,
		noDelay: true,
		autoSelectFamily: true,
		autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER,
	});
	await ready(socket, socket, 'connect', attempt, (error) => connectError(who, error));
	return socket;
}

async function startTls(
	socket: net.Socket,
	{ name, pins }: ServerIdentity,
	who: string,
	secureContext: tls.SecureContext | undefined,
	attempt: Attempt,
): Promise<tls.TLSSocket> {
	attempt.busyWith = `in the TLS handshake with ${who}`;
	const secure = tls.connect({
		socket,
		// Not connected to, for there is a socket: what the certificate must be for.
		host: name,
		// RFC 6066: a name only, never an address.
		...(net.isIP(name) === 0 && { servername: name }),
		ALPNProtocols: ['http/1.1'],
		...(secureContext && { secureContext }),
	});
	await ready(secure, socket, 'secureConnect', attempt, (error) => tlsError(who, error));
	if (pins) checkPin(secure, pins, who);
	return secure;
}

function checkPin(socket: tls.TLSSocket, pins: readonly string[], who: string): void {
	const certificate = socket.getPeerX509Certificate();
	const pin = certificate && pinOf(certificate);
	if (pin !== undefined && pins.includes(pin)) return;
	abandon(socket);
	const text = `${who} has another key than the one that is pinned: its pin is ${pin ?? 'unknown'}; see --pin`;
	throw new HandshakeError('impostor', text);
}

async function passThrough(
	socket: net.Socket,
	proxy: HttpAddress,
	proxyName: string,
	to: HttpAddress,
	attempt: Attempt,
): Promise<void> {
	attempt.busyWith = `waiting for ${proxyName} to connect to ${to.label}`;
	const target = `${net.isIPv6(to.host) ? `[${to.host}]` : to.host}:${to.port}`;
	const headers = { Host: target, ...(proxy.basic && { 'Proxy-Authorization': `Basic ${proxy.basic}` }) };
	try {
		const answer = await requestUpgrade(socket, { method: 'CONNECT', path: target, headers }, attempt.signal);
		const status = answer.response.statusCode ?? 0;
		if (status < 200 || status > 299) {
			const hint = status === 407 ? ': it asks for other credentials, as in http://user:password@host:port' : '';
			throw new HandshakeError('unreachable', `${proxyName} answered ${status} to CONNECT ${target}${hint}`);
		}
		if (answer.handedOver && answer.head.length > 0) {
			// Neither a TLS nor an HTTP server speaks first.
			throw new HandshakeError('protocol', `${proxyName} sent bytes before anything was asked of ${to.label}`);
		}
	} catch (error) {
		abandon(socket);
		throw error instanceof HandshakeError || attempt.signal.aborted ? error : answerError(proxyName, error);
	}
}

/** @param below the connection that carries the socket; it goes if the socket does not get ready */
async function ready(
	socket: net.Socket,
	below: net.Socket,
	event: 'connect' | 'secureConnect',
	{ signal }: Attempt,
	explain: (error: unknown) => HandshakeError,
): Promise<void> {
	try {
		await once(socket, event, { signal });
	} catch (error) {
		abandon(socket);
		abandon(below);
		throw signal.aborted ? signal.reason : explain(error);
	}
}

/** Closes a connection whose failure has been, or is about to be, reported: what it still has to say adds nothing. */
export function abandon(socket: net.Socket): void {
	socket.on('error', () => socket.destroy());
	socket.destroy();
}

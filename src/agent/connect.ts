/** Opens sockets to one upstream: TCP, TLS with the protocol chosen by ALPN, or a Unix domain socket; bounded in time. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import http2wrapper from 'http2-wrapper';
import type { TcpUpstream, UnixUpstream } from './upstream.ts';
import type { Connect } from './upstream-http1.ts';

/** Two reads of a tunnel; with less, each pauses the body that it is part of. */
const BUFFERED = { writableHighWaterMark: 128 * 1024 };
const EITHER = ['h2', 'http/1.1'];

export function socketTo(upstream: TcpUpstream | UnixUpstream, timeout: number): Connect {
	return (opened) => {
		const socket =
			upstream.protocol === 'unix'
				? connectTcp({ path: upstream.socketPath, ...BUFFERED })
				: connectTcp({ host: upstream.host, port: upstream.port, noDelay: true, keepAlive: true, ...BUFFERED });
		whenOpen(socket, 'connect', timeout, opened);
	};
}

export function tlsTo(
	upstream: TcpUpstream,
	context: () => SecureContext,
	protocol: 'h2' | 'http/1.1' | 'either',
	timeout: number,
): Connect {
	const protocols = protocol === 'either' ? EITHER : [protocol];
	return (opened) => {
		const socket = connectTls({ ...tlsOptions(upstream, context()), ALPNProtocols: protocols });
		socket.setNoDelay(true);
		whenOpen(socket, 'secureConnect', timeout, (error, open) => {
			if (error === null && protocol === 'h2' && socket.alpnProtocol !== 'h2') {
				socket.destroy();
				opened(Object.assign(new Error('the upstream took HTTP/2 back'), { code: 'ERR_TLS_ALPN' }), null);
				return;
			}
			opened(error, open);
		});
	};
}

/** Which of HTTP/2 and HTTP/1.1 an https upstream speaks. @throws the error of the connection */
export async function protocolOf(
	upstream: TcpUpstream,
	context: () => SecureContext,
	timeout: number,
): Promise<'h2' | 'http/1.1'> {
	const { auto } = http2wrapper;
	const resolve = auto.createResolveProtocol(new Map(), new Map(), (options, callback) => {
		const socket = connectTls(options, callback);
		const timer = setTimeout(() => socket.destroy(timedOut()), timeout);
		socket.once('close', () => clearTimeout(timer));
		socket.once('secureConnect', () => clearTimeout(timer));
		return socket;
	});
	const { alpnProtocol } = await resolve({ ...tlsOptions(upstream, context()), ALPNProtocols: EITHER });
	return alpnProtocol === 'h2' ? 'h2' : 'http/1.1';
}

function tlsOptions({ host, port }: TcpUpstream, secureContext: SecureContext) {
	return { host, port, secureContext, ...(isIP(host) === 0 && { servername: host }) };
}

function whenOpen(
	socket: Socket,
	event: 'connect' | 'secureConnect',
	timeout: number,
	opened: (error: Error | null, socket: Socket | null) => void,
): void {
	const timer = setTimeout(() => socket.destroy(timedOut()), timeout);
	const onError = (error: Error) => {
		clearTimeout(timer);
		opened(error, null);
	};
	socket.once('error', onError);
	socket.once(event, () => {
		clearTimeout(timer);
		socket.off('error', onError);
		opened(null, socket);
	});
}

function timedOut(): Error {
	return Object.assign(new Error('the upstream does not answer'), { code: 'ETIMEDOUT' });
}

/** How one upstream is reached: the client of the protocol that it speaks, and a way to see whether it takes connections at all. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { protocolOf, socketTo, tlsTo } from './connect.ts';
import type { AgentOptions } from './options.ts';
import type { Upstream } from './upstream.ts';
import { AlpnUpstream } from './upstream-alpn.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { type Connect, Http1Upstream } from './upstream-http1.ts';
import { Http2Upstream } from './upstream-http2.ts';

export interface UpstreamAccess {
	readonly client: UpstreamClient;
	/** Opens a connection that no request is sent on. */
	readonly connect: Connect;
	/** The agent has credentials of its own for it. */
	readonly authorized: boolean;
}

/** @param tls the newest, for the next connection */
export function accessTo(
	upstream: Upstream,
	options: AgentOptions,
	tls: () => SecureContext | undefined,
): UpstreamAccess {
	const { connectTimeout, firstByteTimeout, heartbeat } = options;
	const authorization = authorizationFor(upstream, options);
	const identity = { authority: upstream.authority, authorization };
	const authorized = authorization !== undefined;
	switch (upstream.protocol) {
		case 'http':
		case 'unix': {
			const connect = socketTo(upstream, connectTimeout);
			return { client: new Http1Upstream({ identity, firstByteTimeout, connect }), connect, authorized };
		}
		case 'h2c': {
			const connect = socketTo(upstream, connectTimeout);
			const h2c = { identity, scheme: 'http', connectTimeout, firstByteTimeout, heartbeat, connect } as const;
			return { client: new Http2Upstream(h2c), connect, authorized };
		}
		case 'https': {
			const context = () => tls() ?? createSecureContext();
			const http1 = new Http1Upstream({
				identity,
				firstByteTimeout,
				connect: tlsTo(upstream, context, 'http/1.1', connectTimeout),
			});
			const client = new AlpnUpstream({
				ask: () => protocolOf(upstream, context, connectTimeout),
				http1,
				http2: new Http2Upstream({
					http1,
					identity,
					scheme: 'https',
					connectTimeout,
					firstByteTimeout,
					heartbeat,
					connect: tlsTo(upstream, context, 'h2', connectTimeout),
				}),
			});
			return { client, connect: tlsTo(upstream, context, 'either', connectTimeout), authorized };
		}
	}
}

function authorizationFor(upstream: Upstream, options: AgentOptions): string | undefined {
	if (options.upstreamToken !== undefined) return `Bearer ${options.upstreamToken}`;
	return upstream.basic === undefined ? undefined : `Basic ${upstream.basic}`;
}

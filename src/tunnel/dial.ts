/** The agent's end of the 101: one try to get a tunnel from a hub. Knows nothing of when to try again, nor of HTTP/2. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket } from 'node:tls';
import { UsageError } from '../shared/errors.ts';
import type { HttpAddress, HubAddress } from './address.ts';
import { egressProxy } from './egress-proxy.ts';
import {
	type AgentInfo,
	HandshakeField,
	isHubId,
	isTokenText,
	MAX_KNOWN_HUBS,
	TUNNEL_PATH,
	TUNNEL_PROTOCOL,
	tuneTunnelSocket,
	writeAgentInfo,
} from './handshake.ts';
import { answerError, HandshakeError, type HandshakeErrorDetails, type HandshakeFault } from './handshake-error.ts';
import { type Attempt, abandon, openConnection } from './open-connection.ts';
import { requestUpgrade } from './upgrade-request.ts';
import { dialWebSocket } from './websocket-transport.ts';

export interface DialOptions {
	readonly hub: HubAddress;
	readonly token: string;
	readonly agentId: string;
	readonly info: AgentInfo;
	/** For https hubs and https egress proxies; Node's own roots if left out. */
	readonly secureContext?: SecureContext | undefined;
	/** See ConnectionTarget. */
	readonly serverName?: string | undefined;
	readonly pins?: readonly string[] | undefined;
	/** How the tunnel's bytes travel; `auto` tries an upgrade of its own first, then a WebSocket. */
	readonly transport?: Transport | undefined;
	/** Milliseconds for everything up to the 101. */
	readonly connectTimeout: number;
	/** From when on these count, if not from the beginning: until then it is known why nobody answers. */
	readonly countFrom?: Promise<unknown> | undefined;
	readonly signal?: AbortSignal | undefined;
	/** One of the addresses of the hub's name, to connect to that one; not through a proxy. */
	readonly address?: string | undefined;
	/** Ids of hubs to which this agent has a tunnel: one of them refuses another. */
	readonly knownHubs?: (() => readonly string[]) | undefined;
	/** Runs the handshake, once there is a connection, when it may. */
	readonly inTurn?: ((handshake: () => Promise<DialedTunnel>) => Promise<DialedTunnel>) | undefined;
	/** Where egress proxies are looked up. */
	readonly env?: NodeJS.ProcessEnv | undefined;
}

export type Transport = 'upgrade' | 'websocket' | 'auto';

export interface HubInfo {
	readonly version?: string | undefined;
	/** Another one each time that a hub is started. */
	readonly id?: string | undefined;
}

export interface DialedTunnel {
	/** Nothing listens on it yet, not even for errors: take it over in the same tick. */
	readonly socket: Duplex;
	readonly transport: Exclude<Transport, 'auto'>;
	/** HTTP/2 that came along with the 101. */
	readonly head: Buffer;
	readonly hubInfo: HubInfo;
	/** At the other end of the connection; none behind a proxy. */
	readonly address: string | undefined;
}

/** @throws HandshakeError; the signal's reason if it was aborted */
export async function dialTunnel(options: DialOptions): Promise<DialedTunnel> {
	const { hub, connectTimeout, countFrom, signal } = options;
	signal?.throwIfAborted();
	const ending = new AbortController();
	const attempt: Attempt = { signal: ending.signal, busyWith: '' };
	let timer: NodeJS.Timeout | undefined;
	let over = false;
	const count = () => {
		if (over) return;
		timer = setTimeout(() => {
			const text = `gave up after ${connectTimeout / 1000} s ${attempt.busyWith}`;
			ending.abort(new HandshakeError('unreachable', text));
		}, connectTimeout);
	};
	if (countFrom === undefined) count();
	else void countFrom.then(count);
	const stop = () => ending.abort(signal?.reason);
	signal?.addEventListener('abort', stop, { once: true });
	try {
		const headers = requestHeaders(options);
		const { inTurn = (handshake) => handshake() } = options;
		const proxy = proxyFor(hub, options.env ?? process.env);
		const who = `hub ${hub.label}`;
		const { secureContext, serverName, pins, transport = 'auto' } = options;
		const open = async () => {
			const { address } = options;
			const socket = await openConnection({ to: hub, who, proxy, address, secureContext, serverName, pins }, attempt);
			attempt.busyWith = `waiting for an answer of ${who}`;
			return socket;
		};
		const shake = async (hands: typeof shakeHands) => {
			const socket = await open();
			const address = proxy ? undefined : socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '');
			return inTurn(async () => {
				const known = knownField(options.knownHubs?.() ?? []);
				return { ...(await hands(socket, options, { ...headers, ...known }, attempt.signal)), address };
			});
		};
		const upgrade = () => shake(shakeHands);
		const asWebSocket = () => shake(shakeHandsAsWebSocket);
		if (transport === 'upgrade') return await upgrade();
		if (transport === 'websocket') return await asWebSocket();
		return await upgrade().catch((first) => {
			if (!mayPassAsWebSocket(first)) throw first;
			// Whatever stood in the way the first time says more, but for a hub's own word.
			return asWebSocket().catch((second) => {
				throw second instanceof HandshakeError && second.fromHub ? second : first;
			});
		});
	} catch (error) {
		signal?.throwIfAborted();
		throw error;
	} finally {
		over = true;
		clearTimeout(timer);
		signal?.removeEventListener('abort', stop);
	}
}

function requestHeaders({ hub, token, agentId, info }: DialOptions): Record<string, string> {
	if (!isTokenText(token)) throw new HandshakeError('unauthorized', 'the token holds characters that no token has');
	const authorization = hub.basic
		? { Authorization: `Basic ${hub.basic}`, [HandshakeField.TOKEN]: token }
		: { Authorization: `Bearer ${token}` };
	return {
		Host: hub.authority,
		'User-Agent': 'slime',
		Connection: 'Upgrade',
		Upgrade: TUNNEL_PROTOCOL,
		...authorization,
		[HandshakeField.AGENT_ID]: agentId,
		[HandshakeField.AGENT_INFO]: writeAgentInfo(info),
	};
}

function knownField(ids: readonly string[]): Record<string, string> {
	return ids.length === 0 ? {} : { [HandshakeField.KNOWN_HUBS]: ids.slice(0, MAX_KNOWN_HUBS).join(',') };
}

function proxyFor(hub: HubAddress, env: NodeJS.ProcessEnv): HttpAddress | undefined {
	try {
		return egressProxy(hub, env);
	} catch (error) {
		throw error instanceof UsageError ? new HandshakeError('unreachable', error.message, { cause: error }) : error;
	}
}

type ShakenHands = Omit<DialedTunnel, 'address'>;

async function shakeHands(
	socket: Socket,
	{ hub, token }: DialOptions,
	headers: Record<string, string>,
	signal: AbortSignal,
): Promise<ShakenHands> {
	const shown = socket instanceof TLSSocket && Object.keys(socket.getCertificate() ?? {}).length > 0;
	try {
		const request = { method: 'GET', path: `${hub.path}${TUNNEL_PATH}`, headers } as const;
		const answer = await requestUpgrade(socket, request, signal);
		const { response } = answer;
		if (!answer.handedOver) {
			const said = slimeMessage(answer.body, [token, hub.basic]);
			throw refusal(hub, response, said);
		}
		if (response.headers.upgrade?.toLowerCase() !== TUNNEL_PROTOCOL) {
			throw new HandshakeError('protocol', `hub ${hub.label} switched to another protocol than ${TUNNEL_PROTOCOL}`);
		}
		tuneTunnelSocket(socket);
		return { socket, transport: 'upgrade', head: answer.head, hubInfo: hubInfoOf(response) };
	} catch (error) {
		abandon(socket);
		if (error instanceof HandshakeError || signal.aborted) throw error;
		// A server that does not know the CA of a certificate may just close.
		const hint = shown ? "; perhaps it does not trust this agent's certificate" : '';
		throw answerError(`hub ${hub.label}`, error, hint);
	}
}

/**
 * A proxy on the way lets no other upgrade through: it answered by itself, or a server that knows nothing of ours did, or the
 * connection was closed at the request. A hub's own word is final.
 */
function mayPassAsWebSocket(error: unknown): boolean {
	if (!(error instanceof HandshakeError) || error.fromHub) return false;
	return error.status !== undefined ? error.status !== 401 : error.closed;
}

async function shakeHandsAsWebSocket(
	socket: Socket,
	{ hub, token }: DialOptions,
	headers: Record<string, string>,
	signal: AbortSignal,
): Promise<ShakenHands> {
	const { Connection: _connection, Upgrade: _upgrade, ...rest } = headers;
	try {
		const answer = await dialWebSocket(socket, `${hub.path}${TUNNEL_PATH}`, rest, signal);
		const { response } = answer;
		if (answer.opened === null) throw refusal(hub, response, slimeMessage(answer.body, [token, hub.basic]));
		tuneTunnelSocket(socket);
		return { socket: answer.opened, transport: 'websocket', head: Buffer.alloc(0), hubInfo: hubInfoOf(response) };
	} catch (error) {
		abandon(socket);
		throw error instanceof HandshakeError || signal.aborted ? error : answerError(`hub ${hub.label}`, error);
	}
}

function hubInfoOf({ headers }: IncomingMessage): HubInfo {
	const version = headers[HandshakeField.HUB_VERSION];
	const id = headers[HandshakeField.HUB_ID];
	return {
		version: typeof version === 'string' ? version : undefined,
		id: typeof id === 'string' && isHubId(id) ? id : undefined,
	};
}

/** An answer that is not a 101: from the hub, from a proxy before it, or from something else altogether. */
function refusal(
	hub: HubAddress,
	{ statusCode: status = 0, headers }: IncomingMessage,
	message: string | undefined,
): HandshakeError {
	const fromHub = headers[HandshakeField.ERROR] !== undefined;
	const details: HandshakeErrorDetails = { status, retryAfterMs: retryAfter(headers['retry-after']), fromHub };
	const say = (kind: HandshakeFault, what: string) =>
		new HandshakeError(kind, `hub ${hub.label} answered ${status}: ${what}`, details);
	if (headers[HandshakeField.ERROR] === 'already_connected') return say('known', 'there is a tunnel to this hub');
	// A hub knows best what it does not like, and its sentences are written for whoever runs the agent.
	if (fromHub && message !== undefined) return say(status === 401 ? 'unauthorized' : 'refused', message);
	if (status === 401) {
		return say(
			'unauthorized',
			'something before the hub asks for a user and password, as in https://user:password@host',
		);
	}
	if (status >= 300 && status < 400) {
		return say('protocol', `a redirect${redirectTarget(headers.location)}; give --hub the address it leads to`);
	}
	if (status === 404) return say('protocol', `there is no hub at ${hub.path}${TUNNEL_PATH}`);
	if (status >= 502 && status <= 504) return say('refused', 'a proxy before the hub cannot reach it');
	const what = 'not a Slime hub, or a proxy before it does not pass Upgrade on';
	return say(status >= 400 ? 'refused' : 'protocol', what);
}

/** The sentence in a hub's JSON error, on one line, of bounded length, and without what it may quote of the request. */
function slimeMessage(body: string, secrets: readonly (string | undefined)[]): string | undefined {
	let value: unknown;
	try {
		value = JSON.parse(body);
	} catch {
		// Whatever answered is no hub, and its status says the rest.
		return undefined;
	}
	const error = field(value, 'error');
	const message = field(error, 'message');
	if (typeof message !== 'string') return undefined;
	const safe = secrets.reduce<string>((text, secret) => (secret ? text.replaceAll(secret, '…') : text), message);
	return safe.replace(/\p{Cc}+/gu, ' ').slice(0, 300);
}

function field(value: unknown, name: string): unknown {
	return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Longest wait that is believed, so that a proxy cannot send an agent away for good. */
const MAX_RETRY_AFTER = 300_000;

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfter(value: string | undefined): number | undefined {
	if (value === undefined) return undefined;
	const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
	return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER);
}

function redirectTarget(location: string | undefined): string {
	if (location === undefined || !URL.canParse(location)) return '';
	const { origin, pathname } = new URL(location);
	const path = pathname.endsWith(TUNNEL_PATH) ? pathname.slice(0, -TUNNEL_PATH.length) : '';
	return ` to ${origin}${path}`;
}

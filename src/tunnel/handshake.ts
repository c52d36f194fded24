/** The hub's end of the 101 and the words both ends use (PROTOCOL.md). Judges the form of a handshake; who the agent is is auth's. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorBody, SlimeError } from '../shared/errors.ts';

export const TUNNEL_PATH = '/.slime/tunnel';
/** The name of the protocol in `Upgrade`: HTTP/2 without TLS of its own, the side that was asked being the client. */
export const TUNNEL_PROTOCOL = 'h2c-reverse';

/** Fields of the handshake, as node:http names them when it reads. */
export const HandshakeField = {
	TOKEN: 'slime-agent-token',
	AGENT_ID: 'slime-agent-id',
	AGENT_INFO: 'slime-agent-info',
	KNOWN_HUBS: 'slime-known-hubs',
	HUB_VERSION: 'slime-hub-version',
	HUB_ID: 'slime-hub-id',
	ERROR: 'slime-error',
} as const;

/** Characters of the base64url text: nginx takes no header line over 8 KiB. */
export const MAX_AGENT_INFO = 8 * 1024 - 'Slime-Agent-Info: \r\n'.length;
const MAX_TOKEN = 8 * 1024;

/** What an agent says of itself; nothing of it is proved. */
export interface AgentInfo {
	readonly version?: string;
	/** 1 to 65,535. */
	readonly numWorker?: number;
	readonly hardware?: unknown;
	/** Which of its token's scopes it serves; all of them if left out. */
	readonly scopes?: readonly string[];
	/** For the hub's operator. */
	readonly labels?: Readonly<Record<string, string>>;
	readonly [key: string]: unknown;
}

export interface TunnelRequest {
	readonly token: string;
	readonly agentId: string;
	readonly info: AgentInfo;
}

/** Hubs of which an agent says that it has tunnels to them. */
export const MAX_KNOWN_HUBS = 64;

export function isHubId(text: string): boolean {
	return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

/** Whether the agent says that it has a tunnel to this hub, by another of the addresses that it was given. */
export function knowsHub(req: IncomingMessage, hubId: string): boolean {
	return lists(single(req.headers[HandshakeField.KNOWN_HUBS]), hubId.toLowerCase());
}

export function isAgentId(text: string): boolean {
	return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

/** Whether a text could be a token, and so may go into a header field. */
export function isTokenText(text: string): boolean {
	return text.length <= MAX_TOKEN && /^[\x21-\x7e]+$/.test(text);
}

/**
 * What an agent asks with.
 * @throws SlimeError `bad_request` or `unauthorized`, with a sentence for the agent's operator
 */
export function readTunnelRequest(req: IncomingMessage): TunnelRequest {
	const { headers } = req;
	if (req.method !== 'GET') throw new SlimeError('bad_request', 'A tunnel is asked for with GET.');
	if (!lists(headers.upgrade, TUNNEL_PROTOCOL) && !asksForWebSocket(req)) {
		throw new SlimeError('bad_request', `A tunnel is asked for with Upgrade: ${TUNNEL_PROTOCOL}.`);
	}
	const token = readToken(headers);
	const agentId = single(headers[HandshakeField.AGENT_ID]);
	if (!isAgentId(agentId)) {
		throw new SlimeError('bad_request', 'Slime-Agent-Id is missing, or not 1 to 64 letters, digits, dots, _ or -.');
	}
	return { token, agentId, info: readAgentInfo(single(headers[HandshakeField.AGENT_INFO])) };
}

/** The tunnel's bytes are to go in the messages of a WebSocket. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
	if (lists(headers.upgrade, TUNNEL_PROTOCOL)) return false;
	return lists(headers.upgrade, 'websocket') && lists(headers['sec-websocket-protocol'], TUNNEL_PROTOCOL);
}

function readToken(headers: IncomingMessage['headers']): string {
	const own = headers[HandshakeField.TOKEN];
	const token = own === undefined ? /^bearer +(.*)$/is.exec(headers.authorization ?? '')?.[1] : single(own);
	if (token === undefined) throw new SlimeError('unauthorized', "The agent's token is missing.");
	if (!isTokenText(token)) throw new SlimeError('unauthorized', "The agent's token is malformed.");
	return token;
}

/** node:http joins the repeats of a field it does not know: a comma then makes the value invalid. */
function single(value: string | string[] | undefined): string {
	return Array.isArray(value) ? value.join(', ') : (value ?? '');
}

function lists(field: string | undefined, word: string): boolean {
	return (field ?? '').split(',').some((item) => item.trim().toLowerCase() === word);
}

export function writeAgentInfo(info: AgentInfo): string {
	const text = Buffer.from(JSON.stringify(info)).toString('base64url');
	if (text.length > MAX_AGENT_INFO)
		throw new RangeError(`an agent's description may have ${MAX_AGENT_INFO} characters`);
	return text;
}

function readAgentInfo(text: string): AgentInfo {
	if (text === '') return {};
	const odd = new SlimeError('bad_request', 'Slime-Agent-Info is not a JSON object in base64url of at most 8 KiB.');
	if (text.length > MAX_AGENT_INFO || !/^[A-Za-z0-9_-]+={0,2}$/.test(text)) throw odd;
	let value: unknown;
	try {
		value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
	} catch (cause) {
		throw new SlimeError('bad_request', odd.message, { cause });
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value)) throw odd;
	const { version, numWorker, scopes, labels, ...rest } = value as Record<string, unknown>;
	if (scopes !== undefined && !isTexts(scopes)) {
		throw new SlimeError('bad_request', 'The scopes of Slime-Agent-Info are no list of texts.');
	}
	return {
		...rest,
		...(scopes !== undefined && { scopes }),
		...(labels !== undefined && { labels: readLabels(labels) }),
		...(typeof version === 'string' && version.length <= 64 && { version }),
		...(isWorkerCount(numWorker) && { numWorker }),
	};
}

function isTexts(value: unknown): value is string[] {
	return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

const MAX_LABELS = 16;
const MAX_LABEL = 64;

/** What operators are shown: so many, so long, on one line each. */
function readLabels(value: unknown): Record<string, string> {
	const pairs = typeof value === 'object' && value !== null ? Object.entries(value) : [];
	const texts = pairs.filter((pair): pair is [string, string] => pair.every(isLabelText));
	return Object.fromEntries(texts.slice(0, MAX_LABELS));
}

function isLabelText(text: unknown): boolean {
	return typeof text === 'string' && text.length <= MAX_LABEL && !/\p{Cc}/u.test(text);
}

function isWorkerCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Answers 101; the next byte either way is HTTP/2, and the socket is the caller's. */
export function acceptUpgrade(socket: Duplex, extraHeaders: Readonly<Record<string, string>> = {}): void {
	tuneTunnelSocket(socket);
	socket.write(head(101, { Connection: 'Upgrade', Upgrade: TUNNEL_PROTOCOL, ...extraHeaders }));
}

/** Small frames leave at once, no timeout of node:http stays on the socket, and a NAT on the way is kept awake. */
export function tuneTunnelSocket(socket: Duplex): void {
	if (!(socket instanceof Socket)) return;
	socket.setTimeout(0);
	socket.setNoDelay(true);
	socket.setKeepAlive(true, 30_000);
}

/** An agent which does not close after a refusal is cut. */
const LINGER_MS = 2000;
const RETRY_AFTER_SECONDS = 1;

/** Answers with an error and closes; the socket is not the caller's any more. */
export function refuseUpgrade(
	socket: Duplex,
	error: SlimeError,
	extraHeaders: Readonly<Record<string, string>> = {},
): void {
	if (socket.destroyed) return;
	const body = errorBody(error);
	const fields = {
		Connection: 'close',
		'Content-Type': 'application/json',
		'Content-Length': String(Buffer.byteLength(body)),
		'Slime-Error': error.code,
		...(error.status === 401 && { 'WWW-Authenticate': 'Bearer realm="slime"' }),
		...(error.retryable && { 'Retry-After': String(RETRY_AFTER_SECONDS) }),
		...extraHeaders,
	};
	const cut = setTimeout(() => socket.destroy(), LINGER_MS);
	socket.once('close', () => clearTimeout(cut));
	// The agent may be gone by now; it has been refused either way, so there is nobody to tell.
	socket.on('error', () => socket.destroy());
	socket.resume();
	socket.end(head(error.status, fields) + body);
}

function head(status: number, fields: Readonly<Record<string, string>>): string {
	const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
	return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`;
}

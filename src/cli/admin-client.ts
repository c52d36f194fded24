/** Asks a running hub through its admin listener. Knows how to reach it and what its refusals mean, not what is asked. */
import type { IncomingMessage } from 'node:http';
import type { HubAdminSettings } from '../config/load.ts';
import { messageOf, UsageError } from '../shared/errors.ts';
import type { Flag } from './command.ts';

/** Generous: closing a tunnel takes a second, a busy hub a little more. */
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** No hub listens there, so that nothing can have been done. */
export class NoHubError extends Error {}

export const ADMIN_FLAGS: readonly Flag[] = [
	{
		name: 'adminHost',
		value: 'HOST',
		key: 'hub.adminHost',
		help: "Address of the hub's admin listener (default: 127.0.0.1)",
	},
	{
		name: 'adminPort',
		value: 'PORT',
		key: 'hub.adminPort',
		help: "Port of the hub's admin listener (default: 8081)",
	},
	{
		name: 'adminTokenFile',
		value: 'FILE',
		key: 'hub.adminTokenFile',
		help: 'File with the token that the admin listener wants, if it wants one',
	},
	{
		name: 'adminToken',
		value: 'TEXT',
		key: 'hub.adminToken',
		help: 'The token itself, which the process list then shows',
	},
];

/**
 * @param body sent as JSON with POST; GET without one
 * @returns what the hub answered with 200
 * @throws NoHubError, or an Error that says why the hub did not do it
 */
export async function askHub(settings: HubAdminSettings, path: string, body?: unknown): Promise<unknown> {
	const { adminPort: port, adminToken } = settings;
	if (port === 'off') throw new NoHubError('the admin listener is off: set --adminPort');
	if (port === 0) throw new UsageError('--adminPort 0 is any free port: give the one that the hub printed');
	const host = reachable(settings.adminHost);
	const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
	const sent = body === undefined ? undefined : JSON.stringify(body);
	const { request } = await import('node:http');
	const req = request({
		host,
		port,
		path,
		method: sent === undefined ? 'GET' : 'POST',
		agent: false,
		signal: AbortSignal.timeout(TIMEOUT_MS),
		headers: {
			...(sent !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
			...(adminToken !== undefined && { authorization: `Bearer ${adminToken}` }),
		},
	});
	let status: number | undefined;
	let text: string;
	try {
		const res = await new Promise<IncomingMessage>((resolve, reject) => {
			req.once('response', resolve);
			req.on('error', reject);
			req.end(sent);
		});
		status = res.statusCode;
		text = await readAll(res);
	} catch (error) {
		throw unreached(place, error);
	}
	const answer = parsed(text);
	if (status === 200 && answer !== undefined) return answer;
	const message = messageIn(answer);
	if (message !== undefined) throw new Error(`the hub at ${place} refused: ${message}`);
	throw new Error(`what answers at ${place} is no admin listener of a hub (status ${status}): see --adminPort`);
}

/** A listener on every address is reached on this machine's own. */
function reachable(host: string): string {
	if (host === '0.0.0.0') return '127.0.0.1';
	return host === '::' ? '::1' : host;
}

async function readAll(res: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of res as AsyncIterable<Buffer>) {
		length += chunk.length;
		if (length > MAX_BYTES) throw new Error('the answer is too long');
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString('utf8');
}

function unreached(place: string, error: unknown): Error {
	const code = error instanceof Error && 'code' in error ? error.code : undefined;
	if (code === 'ECONNREFUSED') {
		return new NoHubError(`no hub answers at ${place}: is one running? See --adminHost and --adminPort`);
	}
	if (error instanceof Error && error.name === 'AbortError') {
		return new Error(`the hub at ${place} did not answer within ${TIMEOUT_MS / 1000} s`);
	}
	return new Error(`the hub at ${place} could not be asked: ${messageOf(error)}`);
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch (error) {
		if (error instanceof SyntaxError) return undefined;
		throw error;
	}
}

/** Of an error in the shape that all of a hub's errors have. */
function messageIn(answer: unknown): string | undefined {
	const error = field(answer, 'error');
	const message = field(error, 'message');
	return typeof message === 'string' ? message.slice(0, 500) : undefined;
}

/** A property of something that was read from JSON. */
export function field(value: unknown, name: string): unknown {
	return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** The routes below /api: what the hub is doing, and what operators tell it to do. Knows JSON; how a hub does it is the hub's. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { SlimeError } from '../shared/errors.ts';
import { LOG_LEVELS, type LogLevel } from '../shared/logger.ts';
import { setTarget } from './action.ts';
import { answerJson } from './answers.ts';
import type { RecentRequest, RequestList } from './requests.ts';
import type { Route } from './router.ts';
import type { AgentDetails, AgentName, HubStatus, TokenStatus } from './status.ts';

const MAX_BODY = 16 * 1024;

export type RevokeTarget = { readonly tokenId: string } | { readonly name: string };

export interface RevokeOutcome {
	readonly revocation: RevokeTarget & { readonly revokedAt: string };
	/** Tunnels that were closed by it. */
	readonly tunnels: number;
}

/** What came of reading the configuration again. */
export interface ReloadOutcome {
	/** Keys whose new values are in use. */
	readonly changed: readonly string[];
	/** Keys whose new values will be in use after a restart. */
	readonly restart: readonly string[];
	readonly warnings: readonly string[];
}

/** Agents of an id: that of every token, or of one. */
export interface AgentTarget {
	readonly agent: string;
	readonly tokenId?: string | undefined;
}

/** What the routes need of a hub. */
export interface ApiHub {
	status(): HubStatus;
	agents(): readonly AgentDetails[];
	/** Those that have not ended, oldest first. */
	requests(): RequestList;
	/** Those that wait, in the order in which they would be served if any agent could serve all of them. */
	queue(): RequestList & { readonly max: number; readonly heldBytes: number };
	/** Last ended first. */
	recent(): readonly RecentRequest[];
	/** Those that an operator drained, connected or not. */
	drained(): readonly AgentName[];
	/** They get no new requests until they are resumed, also when they come back meanwhile. @throws SlimeError `not_found` */
	drain(target: AgentTarget): readonly AgentName[];
	/** @throws SlimeError `not_found` when none of them is drained */
	resume(target: AgentTarget): readonly AgentName[];
	/** Resolves when their tunnels are closed. @throws SlimeError `not_found` */
	disconnect(target: AgentTarget): Promise<readonly AgentName[]>;
	/** Those that agents are connected with, by name. */
	tokens(): readonly TokenStatus[];
	/** Oldest first. */
	revocations(): ReadonlyArray<RevokeOutcome['revocation']>;
	/**
	 * Resolves when it is kept and the tunnels are closed.
	 * @throws UsageError for what no token can be called, SlimeError when it could not be kept
	 */
	revoke(target: RevokeTarget): Promise<RevokeOutcome>;
	/** Reads the configuration and the certificates again. @throws UsageError with every mistake, a line each; then nothing has changed */
	reload(): Promise<ReloadOutcome>;
	/** What is logged from now on, until the hub ends or is given another. */
	logLevel: LogLevel;
}

export function apiRoutes(hub: ApiHub): readonly Route[] {
	const route = (method: Route['method'], path: string, answer: (req: IncomingMessage) => unknown): Route => ({
		method,
		path,
		handle: async (req, res) => answerJson(res, await answer(req)),
	});
	type Action = (target: AgentTarget) => readonly AgentName[] | Promise<readonly AgentName[]>;
	const onAgents = (verb: string, action: Action) =>
		route('POST', `/api/agents/${verb}`, async (req) => ({ agents: await action(agentTarget(await readJson(req))) }));
	return [
		route('GET', '/api/openapi.json', openApi),
		route('GET', '/api/status', () => hub.status()),
		route('GET', '/api/agents', () => ({ agents: hub.agents(), drained: hub.drained() })),
		onAgents('drain', (target) => hub.drain(target)),
		onAgents('resume', (target) => hub.resume(target)),
		onAgents('disconnect', (target) => hub.disconnect(target)),
		route('GET', '/api/requests', () => hub.requests()),
		route('GET', '/api/requests/recent', () => ({ requests: hub.recent() })),
		route('GET', '/api/queue', () => hub.queue()),
		route('GET', '/api/tokens', () => ({ tokens: hub.tokens() })),
		route('GET', '/api/revocations', () => ({ revocations: hub.revocations() })),
		route('POST', '/api/revoke', async (req) => hub.revoke(revokeTarget(await readJson(req)))),
		route('POST', '/api/reload', () => hub.reload()),
		route('GET', '/api/log-level', () => ({ level: hub.logLevel })),
		route('PUT', '/api/log-level', async (req) => {
			hub.logLevel = logLevel(await readJson(req));
			return { level: hub.logLevel };
		}),
	];
}

/** This API's own description, which is a file of the package. */
async function openApi(): Promise<unknown> {
	return JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));
}

function agentTarget(body: unknown): AgentTarget {
	const { agent, tokenId, ...others } = fields(body);
	const known = Object.keys(others).length === 0 && (tokenId === undefined || typeof tokenId === 'string');
	if (known && typeof agent === 'string') return { agent, tokenId };
	throw new SlimeError('bad_request', 'Write {"agent": "…"}, with "tokenId": "…" for that of one token alone.');
}

function logLevel(body: unknown): LogLevel {
	const { level, ...others } = fields(body);
	const known = Object.keys(others).length === 0 ? LOG_LEVELS.find((one) => one === level) : undefined;
	if (known !== undefined) return known;
	throw new SlimeError('bad_request', `Write {"level": "…"}, one of ${LOG_LEVELS.join(', ')}.`);
}

function revokeTarget(body: unknown): RevokeTarget {
	const { tokenId, name, ...others } = fields(body);
	if (Object.keys(others).length > 0) throw new SlimeError('bad_request', REVOKE);
	if (typeof tokenId === 'string' && name === undefined) return { tokenId };
	if (typeof name === 'string' && tokenId === undefined) return { name };
	throw new SlimeError('bad_request', REVOKE);
}

const REVOKE = 'Write {"tokenId": "…"} or {"name": "…"}.';

function fields(body: unknown): Record<string, unknown> {
	return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}

/** Only what says that it is JSON, which a page of another site cannot send unasked. */
async function readJson(req: IncomingMessage): Promise<unknown> {
	if (!/^application\/json *(?:;|$)/i.test(req.headers['content-type'] ?? '')) {
		throw new SlimeError('bad_request', 'Content-Type is not application/json.');
	}
	const chunks: Buffer[] = [];
	let length = 0;
	try {
		for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
			length += chunk.length;
			if (length > MAX_BODY) break;
			chunks.push(chunk);
		}
	} catch (cause) {
		throw new SlimeError('bad_request', 'The request broke off.', { cause });
	}
	if (length > MAX_BODY) throw new SlimeError('bad_request', `The body is larger than ${MAX_BODY / 1024} KiB.`);
	try {
		const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
		setTarget(req, body);
		return body;
	} catch (cause) {
		throw new SlimeError('bad_request', 'The body is not JSON.', { cause });
	}
}

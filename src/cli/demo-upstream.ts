/** The demo's service: an OpenAI-like chat endpoint that streams tokens at a human pace. Knows nothing of Slime. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const MAX_BODY = 1024 * 1024;
const MODEL = 'slime-demo';

const ANSWER =
	'Hello! I am a small model that lives behind a NAT with no public address. Your request came in at the hub, went down ' +
	'a connection that my agent had dialled, and these words come back the same way, one token at a time.';

export interface DemoUpstream {
	readonly port: number;
	close(): Promise<void>;
}

/** @param interval milliseconds between two tokens */
export async function startDemoUpstream(interval: number): Promise<DemoUpstream> {
	const server = createServer((req, res) => {
		serve(req, res, interval).catch((error: unknown) => {
			// The only failure is a client that went away in the middle.
			res.destroy(error instanceof Error ? error : undefined);
		});
	});
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(0, '127.0.0.1', resolve);
	});
	return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

async function serve(req: IncomingMessage, res: ServerResponse, interval: number): Promise<void> {
	const path = (req.url ?? '').split('?', 1)[0];
	if (path === '/v1/models') {
		json(res, 200, { object: 'list', data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'slime' }] });
	} else if (path === '/v1/chat/completions' && req.method === 'POST') {
		await chat(req, res, interval);
	} else {
		json(res, 404, {
			error: { message: `no ${req.method} ${path} here`, type: 'invalid_request_error', code: 'not_found' },
		});
	}
}

async function chat(req: IncomingMessage, res: ServerResponse, interval: number): Promise<void> {
	const question = await body(req);
	if (question === null || typeof question !== 'object' || !('messages' in question)) {
		json(res, 400, { error: { message: 'messages is missing', type: 'invalid_request_error', code: null } });
		return;
	}
	const gone = new AbortController();
	res.on('close', () => gone.abort());
	const tokens = ANSWER.match(/\S+\s*/g) ?? [];
	const common = { id: `chatcmpl-${Date.now().toString(36)}`, created: Math.floor(Date.now() / 1000), model: MODEL };
	if (!('stream' in question) || question.stream !== true) {
		await pause(interval * 5, gone.signal);
		const usage = { prompt_tokens: 1, completion_tokens: tokens.length, total_tokens: tokens.length + 1 };
		const message = { role: 'assistant', content: ANSWER };
		json(res, 200, {
			...common,
			object: 'chat.completion',
			choices: [{ index: 0, message, finish_reason: 'stop' }],
			usage,
		});
		return;
	}
	res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
	const send = (delta: object, finish_reason: string | null) => {
		const chunk = { ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] };
		res.write(`data: ${JSON.stringify(chunk)}\n\n`);
	};
	send({ role: 'assistant', content: '' }, null);
	for (const token of tokens) {
		await pause(interval, gone.signal);
		if (gone.signal.aborted) return;
		send({ content: token }, null);
	}
	send({}, 'stop');
	res.end('data: [DONE]\n\n');
}

/** Resolves early when the client is gone. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
	try {
		await wait(ms, undefined, { signal });
	} catch (error) {
		if (!signal.aborted) throw error;
	}
}

async function body(req: IncomingMessage): Promise<unknown> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of req as AsyncIterable<Buffer>) {
		size += chunk.length;
		if (size > MAX_BODY) return null;
		chunks.push(chunk);
	}
	try {
		return JSON.parse(Buffer.concat(chunks).toString('utf8'));
	} catch {
		// Not JSON: the caller answers 400.
		return null;
	}
}

function json(res: ServerResponse, status: number, value: unknown): void {
	res.writeHead(status, { 'content-type': 'application/json' });
	res.end(`${JSON.stringify(value)}\n`);
}

async function closed(server: Server): Promise<void> {
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
}

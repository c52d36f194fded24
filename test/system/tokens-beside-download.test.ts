/** A stream of tokens and a download share the narrow line of one agent. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { FaultProxy } from '../helpers/fault-proxy.ts';
import { Arrivals, eventually, stack, upstream } from '../helpers/stack.ts';

const TOKENS = 200;
const TOKEN = Buffer.alloc(100);
/** What the line itself holds, and what the agent may have under way. Without a bound it is what all kernels on the way hold. */
const MOST_BEFORE_ONE = (256 + 256 + 64) * 1024;

test('a token does not wait for what all kernels on the way hold of a download', { timeout: 120_000 }, async (t) => {
	const piece = Buffer.alloc(64 * 1024);
	const arrivals = new Arrivals();
	const service = await upstream(t, (req, res) => {
		if (req.url === '/tokens') {
			arrivals.handler(req, res);
			return;
		}
		const more = () => {
			while (res.write(piece));
		};
		res.on('drain', more);
		more();
	});
	const scene = await stack(t);
	const proxy = await FaultProxy.open(t, scene.port);
	proxy.line = { rate: 1_000_000, delay: 10 };
	await scene.join(service.address, { hubs: [proxy.url], numWorker: 2 });
	let downloaded = 0;
	const open = async (path: string) => {
		const req = request({ host: '127.0.0.1', port: scene.port, path, agent: false });
		t.after(() => req.destroy());
		// It is cut at the end.
		req.on('error', () => undefined);
		req.end();
		return ((await once(req, 'response')) as [IncomingMessage])[0].on('error', () => undefined);
	};
	const download = await open('/download');
	download.on('data', (chunk: Buffer) => {
		downloaded += chunk.length;
	});
	await eventually('the line is full', () => downloaded > 1_000_000, 60_000);

	const opened = open('/tokens');
	const [, tokens] = await arrivals.next();
	tokens.flushHeaders();
	const stream = await opened;
	/** How much of the download had come when each token was written, and what came until it was there itself. */
	const written: number[] = [];
	const before: number[] = [];
	const timer = setInterval(() => {
		written.push(downloaded);
		tokens.write(TOKEN);
		if (written.length === TOKENS) {
			clearInterval(timer);
			tokens.end();
		}
	}, 20);
	t.after(() => clearInterval(timer));
	let bytes = 0;
	stream.on('data', (chunk: Buffer) => {
		bytes += chunk.length;
		while (before.length < Math.floor(bytes / TOKEN.length)) before.push(downloaded - (written[before.length] ?? 0));
	});
	await once(stream, 'end');
	assert.equal(before.length, TOKENS);
	before.sort((a, b) => a - b);
	const median = before[TOKENS / 2] ?? 0;
	t.diagnostic(`${median} bytes before one, ${downloaded} in all`);
	assert.ok(median < MOST_BEFORE_ONE, `${median} bytes of the download came before a token`);
});

/** Requests whose body begins long after their head: the upstream has the head, and may answer, before there is a byte of it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import { h2Connect } from '../helpers/h2-app.ts';
import { KINDS, protocolUpstream, type Req, type Res } from '../helpers/protocol-upstream.ts';
import {
	Arrivals,
	ask,
	eventually,
	listenOn,
	RawClient,
	rawUpstream,
	stack,
	upstream,
	WAITS,
} from '../helpers/stack.ts';

/** Says `ready`, then each piece of the body as it comes. */
function echo(req: Req, res: Res): void {
	const out = res as ServerResponse;
	out.write('ready,');
	req.on('data', (chunk: Buffer) => out.write(chunk));
	req.on('end', () => out.end('.'));
}

async function overUnix(t: TestContext): Promise<{ address: string; ca?: string }> {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-late-'));
	t.after(() => rm(folder, { recursive: true, force: true }));
	const path = joinPath(folder, 'socket');
	const server = createServer(echo);
	await listenOn(t, server, path);
	t.after(() => server.closeAllConnections());
	return { address: `unix:${path}` };
}

for (const kind of ['http', 'unix', ...KINDS] as const) {
	test(`an app hears its upstream before it has sent any of its body, ${kind}`, async (t) => {
		const service =
			kind === 'unix'
				? await overUnix(t)
				: kind === 'http'
					? { address: (await upstream(t, echo)).address, ca: undefined }
					: await protocolUpstream(t, kind, echo);
		const { port, hub, join } = await stack(t);
		await join(service.address, { ca: service.ca });
		for (const framing of ['Transfer-Encoding: chunked', 'Content-Length: 6']) {
			const client = await RawClient.open(t, port);
			client.send(`POST / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\n${framing}\r\n\r\n`);
			await client.sees('ready,');
			const chunked = framing.endsWith('chunked');
			for (const piece of ['one', 'two']) {
				client.send(chunked ? `3\r\n${piece}\r\n` : piece);
				await client.sees(piece);
			}
			if (chunked) client.send('0\r\n\r\n');
			await client.sees('0\r\n\r\n');
			await eventually('it has ended', () => hub.leased === 0);
		}
		const session = await h2Connect(t, `http://127.0.0.1:${port}`);
		const stream = session.request({ ':method': 'POST', ...WAITS }, { endStream: false });
		let text = '';
		stream.on('data', (chunk) => {
			text += chunk;
		});
		await eventually('it is ready', () => text === 'ready,');
		stream.end('three');
		await eventually('it has ended', () => text === 'ready,three.');
	});
}

test('an app that leaves before its body begins stops the upstream and frees the worker', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address]);
	const client = await RawClient.open(t, port);
	client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n');
	await arrivals.next();
	client.socket.destroy();
	await eventually('it is over', () => service.active === 0 && hub.leased === 0);
	// One that leaves at once, too.
	const hasty = await RawClient.open(t, port);
	hasty.send('POST / HTTP/1.1\r\nHost: a\r\nSlime-Block: 1\r\nContent-Length: 1\r\n\r\n');
	await eventually('it has a worker', () => hub.leased === 1);
	hasty.socket.destroy();
	const next = ask(port, '/', { headers: WAITS });
	let answered = false;
	while (!answered) {
		const [req, res] = await arrivals.next();
		answered = req.method === 'GET';
		res.end('free again');
	}
	assert.equal((await next).body, 'free again');
});

test('a response without a length that ends with a reset is cut, though the body never began', async (t) => {
	const address = await rawUpstream(t, (socket) => {
		socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nhalf', () => socket.resetAndDestroy()));
	});
	const { port } = await stack(t, [address]);
	const client = await RawClient.open(t, port);
	client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n');
	await eventually('it has ended', () => client.ended !== 'open' || client.received.includes('HTTP/1.1 502'));
	assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
});

/** After response headers a failure is never a clean end, whoever failed and however the app tells the end of a body. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually, RawClient, rawUpstream, stack, workerFree } from '../helpers/stack.ts';

const HEADS = {
	chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
	'Content-Length': 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf',
};

type Fault = 'upstream cut' | 'upstream reset' | 'agent killed' | 'hub closed';

/** A response whose first half the app has, when the fault strikes. */
async function halfway(t: TestContext, head: string, request: string, fault: Fault): Promise<RawClient> {
	let service: Socket | undefined;
	const address = await rawUpstream(t, (socket) => {
		service = socket;
		socket.once('data', () => socket.write(head));
	});
	const { port, hub, join } = await stack(t);
	const agent = await join(address);
	const client = await RawClient.open(t, port);
	client.send(request);
	await client.sees('half');
	if (fault === 'upstream cut') service?.end();
	else if (fault === 'upstream reset') service?.resetAndDestroy();
	else if (fault === 'agent killed') await agent.close();
	else await hub.close();
	await client.all();
	// With a hub that is closed, or an agent that has left, no worker is free again.
	await eventually('the lease is back', () => hub.leased === 0);
	return client;
}

for (const fault of ['upstream cut', 'upstream reset', 'agent killed', 'hub closed'] as const) {
	for (const [framing, head] of Object.entries(HEADS)) {
		test(`${fault}, ${framing}: an HTTP/1.1 app sees that its response is not whole`, async (t) => {
			const client = await halfway(t, head, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', fault);
			if (framing === 'chunked') {
				assert.match(client.received, /transfer-encoding: chunked/i);
				assert.ok(client.received.endsWith('\r\n4\r\nhalf\r\n'), client.received);
			} else {
				assert.match(client.received, /content-length: 8/i);
				assert.ok(client.received.endsWith('\r\n\r\nhalf'), client.received);
			}
		});
	}
	test(`${fault}: an HTTP/1.0 app gets a TCP reset`, async (t) => {
		const client = await halfway(t, HEADS.chunked, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', fault);
		assert.equal(client.ended, 'reset');
	});
}

test('a broken chunk of the upstream cuts the response', async (t) => {
	const client = await halfway(t, `${HEADS.chunked}zz\r\n`, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'upstream cut');
	assert.ok(client.received.endsWith('\r\n4\r\nhalf\r\n'), client.received);
});

test('an HTTP/1.0 app that has not read what came before its response was cut gets a reset, and no clean end before it', async (t) => {
	let service: Socket | undefined;
	const address = await rawUpstream(t, (socket) => {
		service = socket;
		socket.once('data', () => socket.write(`${HEADS.chunked}800000\r\n${'x'.repeat(8 * 1024 * 1024)}\r\n`));
	});
	const { port, hub } = await stack(t, [address]);
	const client = await RawClient.open(t, port);
	client.socket.pause();
	client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
	await eventually('everybody waits for the app', () => (service?.bytesWritten ?? 0) > 1024 * 1024);
	service?.resetAndDestroy();
	await workerFree(hub);
	client.socket.resume();
	await client.all();
	assert.equal(client.ended, 'reset');
});

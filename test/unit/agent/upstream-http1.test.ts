import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { socketTo } from '../../../src/agent/connect.ts';
import { parseUpstream } from '../../../src/agent/upstream.ts';
import type { UpstreamExchange, UpstreamSink } from '../../../src/agent/upstream-client.ts';
import { Http1Upstream } from '../../../src/agent/upstream-http1.ts';
import type { SlimeError } from '../../../src/shared/errors.ts';
import { eventually, rawUpstream } from '../../helpers/stack.ts';

/** A hub's stream that is full: it takes what it is given and wants no more until it says so. */
class FullSink implements UpstreamSink {
	body = '';
	ending: 'complete' | SlimeError | null = null;
	released = 0;
	/** It has room again. */
	takes = false;
	readonly paused: Promise<void>;
	readonly over: Promise<void>;
	#pause: () => void = () => undefined;
	#end: () => void = () => undefined;

	constructor() {
		this.paused = new Promise((resolve) => {
			this.#pause = resolve;
		});
		this.over = new Promise((resolve) => {
			this.#end = resolve;
		});
	}

	onConnected(): void {}
	onSwitched(): void {}
	onInformation(): void {}
	onResponse(): void {}
	onTaken(): void {}

	onBody(chunk: Buffer): boolean {
		this.body += chunk.toString('latin1');
		this.#pause();
		return this.takes;
	}

	onComplete(): void {
		this.ending = 'complete';
		this.#end();
	}

	onFailure(error: SlimeError): void {
		this.ending = error;
		this.#end();
	}

	onReleased(): void {
		this.released++;
	}
}

async function begun(
	context: TestContext,
	respond: (socket: Socket) => void,
): Promise<{ sink: FullSink; exchange: UpstreamExchange }> {
	const address = await rawUpstream(context, (socket) => socket.once('data', () => respond(socket)));
	const parsed = parseUpstream(address);
	assert.ok(parsed.protocol === 'http');
	const upstream = new Http1Upstream({
		identity: { authority: address, authorization: undefined } as never,
		connect: socketTo(parsed, 5000),
		firstByteTimeout: 5000,
	});
	context.after(() => upstream.close());
	const sink = new FullSink();
	const call = {
		method: 'GET',
		path: '/',
		fields: [],
		trailers: false,
		asksFirst: false,
		begun: false,
		neverIndexed: null,
		body: null,
		upgrade: undefined,
	};
	return { sink, exchange: upstream.send(call as never, sink) };
}

const HEAD = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n';

test('an upstream that resets a close-delimited response while its reader is paused fails that request, and nothing else', async (context) => {
	let service: Socket | undefined;
	const { sink } = await begun(context, (socket) => {
		service = socket;
		socket.write(`${HEAD}half`);
	});
	await sink.paused;
	service?.resetAndDestroy();
	await sink.over;
	assert.equal(typeof sink.ending === 'object' && sink.ending?.code, 'upstream_unreachable');
	assert.deepEqual([sink.body, sink.released], ['half', 1]);
});

test('an upstream that ends a close-delimited response with the bytes at which its reader paused has ended it', async (context) => {
	const { sink } = await begun(context, (socket) => socket.end(`${HEAD}all`));
	await sink.paused;
	await sink.over;
	assert.equal(sink.ending, 'complete');
	assert.deepEqual([sink.body, sink.released], ['all', 1]);
});

test('an upstream that ends a close-delimited response while its reader is paused has ended it', async (context) => {
	let service: Socket | undefined;
	const { sink, exchange } = await begun(context, (socket) => {
		service = socket;
		socket.write(`${HEAD}all`);
	});
	await sink.paused;
	service?.end();
	assert.ok(service);
	await once(service, 'finish');
	exchange.resume();
	await sink.over;
	assert.equal(sink.ending, 'complete');
	assert.deepEqual([sink.body, sink.released], ['all', 1]);
});

test('an upstream that resets a close-delimited response behind bytes that nobody has read yet has not ended it', async (context) => {
	let service: Socket | undefined;
	const { sink, exchange } = await begun(context, (socket) => {
		service = socket;
		socket.write(`${HEAD}${'x'.repeat(4 * 1024 * 1024)}`);
	});
	await sink.paused;
	assert.ok(service);
	const stuck = service.bytesWritten;
	await eventually(
		'the kernel holds what it can',
		() => service !== undefined && service.writableLength > 0 && service.bytesWritten >= stuck,
	);
	service.resetAndDestroy();
	await once(service, 'close');
	sink.takes = true;
	exchange.resume();
	await sink.over;
	assert.notEqual(sink.ending, 'complete');
	assert.ok(sink.body.length < 4 * 1024 * 1024);
	assert.equal(sink.released, 1);
});

/** Windows on a link of 50 ms round trip: they grow for whoever reads, and readers that stall cost nobody else anything. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Session, type SessionHandler, type SessionOptions } from '../../../src/h2/session.ts';
import type { Stream, StreamHandler } from '../../../src/h2/stream.ts';
import { WindowBudget } from '../../../src/h2/window.ts';
import { delayRelay } from '../../helpers/delay-relay.ts';
import { GET, OK } from '../../helpers/h2-peer.ts';

const MiB = 1024 * 1024;
const PIECE = Buffer.alloc(65_536);

/** Sends so many bytes on each stream, as fast as they go. */
class Sender implements StreamHandler {
	#left: number;

	constructor(bytes: number) {
		this.#left = bytes;
	}

	drain(stream: Stream): void {
		while (this.#left > 0) {
			const piece = PIECE.subarray(0, Math.min(PIECE.length, this.#left));
			this.#left -= piece.length;
			if (!stream.write(piece)) return;
		}
		stream.end();
	}

	data(): void {}
	end(): void {}
	failed(): void {}
}

class Reader implements StreamHandler {
	received = 0;
	largest = 0;
	readonly #stalls: boolean;
	readonly over: Promise<boolean>;
	#done: (whole: boolean) => void = () => {};

	constructor(stalls: boolean) {
		this.#stalls = stalls;
		this.over = new Promise((resolve) => {
			this.#done = resolve;
		});
	}

	data(stream: Stream, chunk: Buffer): void {
		this.received += chunk.length;
		if (!this.#stalls) stream.consume(chunk.length);
		this.largest = Math.max(this.largest, stream.receiveWindow.size);
	}

	end(): void {
		this.#done(true);
	}

	failed(): void {
		this.#done(false);
	}
}

/** A client whose requests are answered by so many bytes, from the other end of the link. */
async function longLink(
	context: TestContext,
	bytes: (path: string) => number,
	options: Partial<SessionOptions> = {},
): Promise<Session> {
	const server = createServer({ noDelay: true }, (socket) => {
		const handler: SessionHandler = {
			stream(stream, fields) {
				stream.respond(OK, false);
				const sender = new Sender(bytes(fields[fields.indexOf(':path') + 1] ?? ''));
				setImmediate(() => sender.drain(stream));
				return sender;
			},
			closed() {},
		};
		new Session({ socket, role: 'server', handler });
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	context.after(() => void server.close());
	const socket = connect({
		port: await delayRelay(context, (server.address() as AddressInfo).port, 25),
		host: '127.0.0.1',
	});
	const session = await new Promise<Session>((resolve) => {
		const handler = { settings: (of: Session) => resolve(of), closed() {} };
		new Session({
			socket,
			role: 'client',
			handler,
			settings: { initialWindowSize: MiB, maxFrameSize: 65_536 },
			...options,
		});
	});
	context.after(() => session.destroy());
	await new Promise((resolve) => session.ping(resolve));
	return session;
}

const at = (path: string) => [...GET.slice(0, -2), ':path', path];

test('the window of a stream that is read grows to what the link holds, and no further than its limit', async (t) => {
	const session = await longLink(t, () => 48 * MiB, { maxStreamWindow: 24 * MiB });
	const reader = new Reader(false);
	session.request(at('/'), true, reader);
	assert.equal(await reader.over, true);
	assert.equal(reader.received, 48 * MiB);
	assert.ok(reader.largest > 8 * MiB && reader.largest <= 24 * MiB, `${reader.largest / MiB} MiB`);
});

test('a hundred stalled readers hold what they were given and no more, and the stream beside them grows all the same', async (t) => {
	const processBudget = new WindowBudget(64 * MiB);
	const session = await longLink(t, () => 64 * MiB, { processBudget, settings: { initialWindowSize: 256 * 1024 } });
	const stalled = Array.from({ length: 100 }, () => new Reader(true));
	for (const reader of stalled) session.request(at('/stalled'), true, reader);
	const held = () => stalled.reduce((sum, { received }) => sum + received, 0);
	// Each is sent its initial window and then nothing.
	while (held() < 100 * 256 * 1024) await new Promise((resolve) => session.ping(resolve));
	const moving = new Reader(false);
	session.request(at('/moving'), true, moving);
	assert.equal(await moving.over, true);
	assert.equal(moving.received, 64 * MiB);
	assert.ok(moving.largest > 8 * MiB, `${moving.largest / MiB} MiB`);
	assert.equal(held(), 100 * 256 * 1024);
	assert.ok(stalled.every(({ largest }) => largest === 256 * 1024));
	session.destroy();
	assert.equal(processBudget.used, 0);
});

test('readers that stall after they have read a little do not take the growth of those that read on', async (t) => {
	const processBudget = new WindowBudget(64 * MiB);
	const session = await longLink(t, () => 64 * MiB, { processBudget });
	/** Reads its first 4 MiB, as the buffers before a stalled app do, and no more. */
	class Stalling extends Reader {
		override data(stream: Stream, chunk: Buffer): void {
			super.data(stream, chunk);
			if (this.received <= 4 * MiB) stream.consume(chunk.length);
		}
	}
	const stalling = Array.from({ length: 20 }, () => new Stalling(true));
	for (const reader of stalling) session.request(at('/stalling'), true, reader);
	while (stalling.some(({ received }) => received <= 4 * MiB)) await new Promise((resolve) => session.ping(resolve));
	assert.ok(processBudget.used <= 48 * MiB, `${processBudget.used / MiB} MiB`);
	const moving = new Reader(false);
	session.request(at('/moving'), true, moving);
	assert.equal(await moving.over, true);
	assert.ok(moving.largest >= 4 * MiB, `${moving.largest / MiB} MiB`);
	const held = stalling.reduce((sum, { received }) => sum + received - 4 * MiB, 0);
	assert.ok(held <= 64 * MiB + 20 * MiB, `${held / MiB} MiB held`);
});

/** The engine under fuzz: it is fed bytes in either role, plays a lively application, and everything it owes its owners is checked. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { FrameReader, type FrameSink } from '../../src/h2/frame-reader.ts';
import { LARGEST_MAX_FRAME_SIZE } from '../../src/h2/protocol.ts';
import { type Role, Session } from '../../src/h2/session.ts';
import type { Stream, StreamHandler } from '../../src/h2/stream.ts';
import { WindowBudget } from '../../src/h2/window.ts';
import { GET, OK, POST } from '../helpers/h2-peer.ts';

const BODY = Buffer.alloc(3000, 'body');
/** Streams that the engine lets its peer have, and requests that it makes as a client. */
export const STREAMS = 20;

/** A socket whose writes must be whole frames, and are dropped. */
class Drain extends Duplex implements FrameSink {
	readonly #reader = new FrameReader(this, LARGEST_MAX_FRAME_SIZE, false);
	#skip: number;

	constructor(role: Role) {
		super({ autoDestroy: true });
		// A client's preface is no frame.
		this.#skip = role === 'client' ? 24 : 0;
	}

	override _read(): void {}

	override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
		const from = Math.min(this.#skip, chunk.length);
		this.#skip -= from;
		this.#reader.push(chunk.subarray(from));
		assert.ok(this.#reader.atBoundary || chunk.length > 0);
		callback();
	}

	get atBoundary(): boolean {
		return this.#reader.atBoundary;
	}

	dataBegin(): void {}
	dataBytes(): void {}
	dataEnd(): void {}
	frame(type: number, _flags: number, _id: number, _buffer: Buffer, start: number, end: number): void {
		assert.ok(type <= 9, `the engine wrote a frame of type ${type}`);
		if (type === 3 || type === 8) assert.equal(end - start, 4);
	}
}

/** A stream's owner that checks the order of what it is told. */
class Owner implements StreamHandler {
	over = false;
	closedCalls = 0;
	#failed = false;
	/** 0 answers at once, 1 echoes, 2 waits for the end, 3 never reads nor answers, 4 resets. */
	readonly #mood: number;
	readonly #role: Role;

	constructor(mood: number, role: Role) {
		this.#mood = mood;
		this.#role = role;
	}

	begin(stream: Stream): void {
		if (this.#role === 'client') return;
		if (this.#mood === 0) {
			stream.respond(OK, false);
			stream.write(BODY);
			stream.end(['x-trailer', 'y']);
		} else if (this.#mood === 1) {
			stream.respond([':status', '103'], false);
			stream.respond(OK, false);
		}
	}

	information(): void {
		this.#isAlive();
	}

	headers(): void {
		this.#isAlive();
	}

	data(stream: Stream, chunk: Buffer): void {
		this.#isAlive();
		assert.ok(chunk.length > 0);
		if (this.#mood === 1) stream.write(chunk);
		if (this.#mood !== 3) stream.consume(chunk.length);
		if (this.#mood === 4) stream.reset();
	}

	trailers(): void {
		this.#isAlive();
	}

	end(stream: Stream): void {
		this.#isAlive();
		this.over = true;
		if (this.#role === 'server' && this.#mood === 2) stream.respond([':status', '204'], true);
		if (this.#mood === 1) stream.end();
	}

	/** It may follow an end: the request was complete, and its response is not wanted or cannot be sent any more. */
	failed(): void {
		assert.ok(!this.#failed && this.closedCalls === 0, 'a failure was told after the end of all');
		this.#failed = true;
		this.over = true;
	}

	closed(stream: Stream): void {
		this.closedCalls++;
		assert.equal(this.closedCalls, 1, 'closed was told twice');
		assert.ok(stream.closed);
		assert.equal(stream.queued, 0);
		this.over = true;
	}

	#isAlive(): void {
		assert.ok(!this.over, 'something was told after the end');
	}
}

export interface Outcome {
	/** The session ended before all chunks were read. */
	readonly closedEarly: boolean;
	/** Chunks that it read. */
	readonly read: number;
	/** Requests that it accepted or made. */
	readonly streams: number;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Feeds the chunks to an engine in `role`.
 * @param pauses lets the engine write between some of the chunks
 * @throws AssertionError, or whatever came out of the engine
 */
export async function feed(
	role: Role,
	chunks: readonly Buffer[],
	pauses: (chunk: number) => boolean,
): Promise<Outcome> {
	const socket = new Drain(role);
	const budget = new WindowBudget(8 * 1024 * 1024);
	const owners: Owner[] = [];
	let closedCalls = 0;
	const session = new Session({
		socket,
		role,
		settings: { maxConcurrentStreams: STREAMS, maxHeaderListSize: 8192, maxFrameSize: 32_768 },
		processBudget: budget,
		handler: {
			stream(stream) {
				assert.equal(role, 'server');
				assert.ok(session.openStreams <= STREAMS);
				const owner = new Owner((stream.id >>> 1) % 5, role);
				owners.push(owner);
				owner.begin(stream);
				return owner;
			},
			fault(_session, error) {
				throw error;
			},
			closed() {
				closedCalls++;
			},
		},
	});
	let read = 0;
	let opened = 0;
	for (const chunk of chunks) {
		if (session.closed) break;
		// A few at first and one now and then, so that every kind of frame meets open streams.
		while (role === 'client' && opened < STREAMS && opened < 4 + read && session.canRequest) {
			const owner = new Owner(opened % 5, role);
			const stream = session.request(opened % 2 === 0 ? GET : POST, opened % 2 === 0, owner);
			owners.push(owner);
			if (opened % 2 === 1) stream.write(BODY);
			if (opened % 4 === 1) stream.end();
			opened++;
		}
		socket.emit('data', chunk);
		read++;
		if (pauses(read)) await turn();
	}
	await turn();
	const closedEarly = session.closed;
	session.destroy();
	assert.equal(closedCalls, 1, 'the end was not told once');
	assert.equal(session.openStreams, 0);
	assert.equal(budget.used, 0, 'windows were not given back');
	for (const owner of owners) assert.equal(owner.closedCalls, 1, 'a stream was never closed');
	// Nothing follows the end.
	socket.emit('data', Buffer.alloc(20));
	await turn();
	assert.equal(closedCalls, 1);
	assert.ok(socket.atBoundary, 'the last frame was cut');
	socket.destroy();
	return { closedEarly, read, streams: owners.length };
}

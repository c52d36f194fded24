/** The other end of an HTTP/2 connection, frame by frame: it sends whatever a test says, right or wrong, and keeps what it gets. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { HpackDecoder } from '../../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../src/h2/hpack-encoder.ts';
import { CLIENT_PREFACE, Flag, FrameType } from '../../src/h2/protocol.ts';
import { type Role, Session, type SessionHandler, type SessionOptions } from '../../src/h2/session.ts';
import type { Settings } from '../../src/h2/settings.ts';
import type { Stream, StreamFailure, StreamHandler } from '../../src/h2/stream.ts';
import { duplexPair, type PairEnd } from './h2-duplex.ts';

export interface RawFrame {
	readonly type: number;
	readonly flags: number;
	readonly streamId: number;
	readonly payload: Buffer;
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
	const bytes = Buffer.alloc(9 + payload.length);
	bytes.writeUIntBE(payload.length, 0, 3);
	bytes[3] = type;
	bytes[4] = flags;
	bytes.writeUInt32BE(streamId, 5);
	bytes.set(payload, 9);
	return bytes;
}

export function uint32(...values: number[]): Buffer {
	const bytes = Buffer.alloc(4 * values.length);
	for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
	return bytes;
}

/** @param pairs id, value, id, value … */
export function settingsFrame(...pairs: number[]): Buffer {
	const payload = Buffer.alloc(3 * pairs.length);
	for (let i = 0; i < pairs.length; i += 2) {
		payload.writeUInt16BE(pairs[i] as number, 3 * i);
		payload.writeUInt32BE(pairs[i + 1] as number, 3 * i + 2);
	}
	return frame(FrameType.SETTINGS, 0, 0, payload);
}

/** Of what waits to be written. */
const LITTLE_BYTES = 1024 * 1024;

export class RawPeer {
	readonly socket: Duplex;
	readonly encoder = new HpackEncoder();
	readonly decoder = new HpackDecoder();
	/** All frames that came. */
	readonly frames: RawFrame[] = [];
	preface = '';
	ended = false;
	/** Answer SETTINGS and PING as a polite peer does. */
	polite = true;
	#bytes = Buffer.alloc(0);
	#next = 0;
	#wake: Array<() => void> = [];
	#atPreface: boolean;

	constructor(socket: Duplex, role: Role) {
		this.socket = socket;
		this.#atPreface = role === 'server';
		socket.on('data', (chunk: Buffer) => this.#read(chunk));
		socket.on('error', () => this.#over());
		socket.on('end', () => this.#over());
		socket.on('close', () => this.#over());
		if (role === 'client') this.send(CLIENT_PREFACE);
	}

	send(...frames: Buffer[]): void {
		if (!this.socket.destroyed && this.socket.writable) this.socket.write(Buffer.concat(frames));
	}

	/** A HEADERS frame for `fields`, compressed in this peer's context. */
	headers(streamId: number, fields: string[], endStream = true): Buffer {
		const flags = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
		return frame(FrameType.HEADERS, flags, streamId, Buffer.from(this.encoder.encode(fields)));
	}

	data(streamId: number, body: string | Buffer, endStream = false): Buffer {
		return frame(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, Buffer.from(body as Buffer));
	}

	/** The next frame of that kind, passing over others; fails when the connection ends before it. */
	async next(type: number, match: (frame: RawFrame) => boolean = () => true): Promise<RawFrame> {
		for (;;) {
			while (this.#next < this.frames.length) {
				const candidate = this.frames[this.#next++] as RawFrame;
				if (candidate.type === type && match(candidate)) return candidate;
			}
			if (this.ended) throw new Error(`the connection ended before a frame of type ${type}`);
			await this.change();
		}
	}

	/** Resolves when something more was read or the connection ended. */
	change(): Promise<void> {
		return new Promise((resolve) => this.#wake.push(resolve));
	}

	/** Until `done` holds, looked at after each read. */
	async until(done: () => boolean): Promise<void> {
		while (!done()) {
			if (this.ended) throw new Error('the connection ended first');
			await this.change();
		}
	}

	async closed(): Promise<void> {
		while (!this.ended) await this.change();
	}

	/** A turn of the loop, or more of them while much of what was sent is still here: a flood is not to fill this side's memory. */
	async room(): Promise<void> {
		do await new Promise((resolve) => setImmediate(resolve));
		while (this.socket.writableLength > LITTLE_BYTES && !this.ended);
	}

	/** Gives up what it still has to send, and what it got: memory in use afterwards is the other side's. */
	async discard(): Promise<void> {
		this.socket.destroy();
		if (!this.socket.closed) await once(this.socket, 'close');
		this.frames.length = 0;
	}

	/** All that was sent before has been acted upon, and all that followed from it has come, when this resolves. */
	async settle(): Promise<void> {
		const payload = Buffer.from('settled!');
		this.send(frame(FrameType.PING, 0, 0, payload));
		await this.next(FrameType.PING, (ping) => (ping.flags & Flag.ACK) !== 0 && ping.payload.equals(payload));
	}

	fields(headers: RawFrame): string[] {
		return [...this.decoder.decode(headers.payload, 0, headers.payload.length)];
	}

	/** Body bytes that came on a stream. */
	bodyOf(streamId: number): Buffer {
		return Buffer.concat(this.of(FrameType.DATA, streamId).map(({ payload }) => payload));
	}

	of(type: number, streamId?: number): RawFrame[] {
		return this.frames.filter((f) => f.type === type && (streamId === undefined || f.streamId === streamId));
	}

	#read(chunk: Buffer): void {
		this.#bytes = Buffer.concat([this.#bytes, chunk]);
		if (this.#atPreface && this.#bytes.length >= CLIENT_PREFACE.length) {
			this.preface = this.#bytes.toString('latin1', 0, CLIENT_PREFACE.length);
			this.#bytes = this.#bytes.subarray(CLIENT_PREFACE.length);
			this.#atPreface = false;
		}
		while (!this.#atPreface && this.#bytes.length >= 9) {
			const length = this.#bytes.readUIntBE(0, 3);
			if (this.#bytes.length < 9 + length) break;
			this.#take({
				type: this.#bytes[3] as number,
				flags: this.#bytes[4] as number,
				streamId: this.#bytes.readUInt32BE(5),
				payload: Buffer.from(this.#bytes.subarray(9, 9 + length)),
			});
			this.#bytes = this.#bytes.subarray(9 + length);
		}
		this.#tell();
	}

	#take(received: RawFrame): void {
		this.frames.push(received);
		const isAck = (received.flags & Flag.ACK) !== 0;
		if (!this.polite || isAck) return;
		if (received.type === FrameType.SETTINGS) this.send(frame(FrameType.SETTINGS, Flag.ACK, 0));
		if (received.type === FrameType.PING) this.send(frame(FrameType.PING, Flag.ACK, 0, received.payload));
	}

	#over(): void {
		this.ended = true;
		this.#tell();
	}

	#tell(): void {
		const wake = this.#wake;
		this.#wake = [];
		for (const resolve of wake) resolve();
	}
}

/** A stream's owner that writes down what it hears. */
export class Recorder implements StreamHandler {
	/** Names of the calls, in order; `data` once for each run. */
	readonly calls: string[] = [];
	readonly informations: string[][] = [];
	readonly chunks: Buffer[] = [];
	fields: string[] = [];
	trailerFields: string[] = [];
	failure: StreamFailure | null = null;
	/** Gives credit for what it gets. */
	reads: boolean;
	/** After the last call. */
	readonly over: Promise<void>;
	/** After end or failed. */
	readonly received: Promise<void>;
	#resolveOver: () => void = () => {};
	#resolveReceived: () => void = () => {};
	#resolveHeaders: () => void = () => {};
	readonly answered: Promise<void>;

	constructor(reads = true) {
		this.reads = reads;
		this.over = new Promise((resolve) => {
			this.#resolveOver = resolve;
		});
		this.received = new Promise((resolve) => {
			this.#resolveReceived = resolve;
		});
		this.answered = new Promise((resolve) => {
			this.#resolveHeaders = resolve;
		});
	}

	get body(): Buffer {
		return Buffer.concat(this.chunks);
	}

	information(_stream: Stream, fields: string[]): void {
		this.calls.push('information');
		this.informations.push(fields);
	}

	headers(_stream: Stream, fields: string[]): void {
		this.calls.push('headers');
		this.fields = fields;
		this.#resolveHeaders();
	}

	data(stream: Stream, chunk: Buffer): void {
		if (this.calls.at(-1) !== 'data') this.calls.push('data');
		this.chunks.push(chunk);
		if (this.reads) stream.consume(chunk.length);
	}

	trailers(_stream: Stream, fields: string[]): void {
		this.calls.push('trailers');
		this.trailerFields = fields;
	}

	end(_stream: Stream): void {
		this.calls.push('end');
		this.#resolveReceived();
	}

	failed(_stream: Stream, failure: StreamFailure): void {
		this.calls.push('failed');
		this.failure = failure;
		this.#resolveReceived();
	}

	drain(_stream: Stream): void {
		this.calls.push('drain');
	}

	closed(_stream: Stream): void {
		this.calls.push('closed');
		this.#resolveOver();
	}
}

export interface Accepted {
	readonly stream: Stream;
	readonly fields: string[];
	readonly recorder: Recorder;
}

export interface Setup {
	readonly options?: Omit<Partial<SessionOptions>, 'socket' | 'role' | 'handler'>;
	readonly handler?: Partial<SessionHandler>;
	/** SETTINGS of the raw peer: id, value … */
	readonly peerSettings?: readonly number[];
	/** Whether the raw peer begins with SETTINGS (true). */
	readonly greets?: boolean;
	/** Whether recorders of accepted streams give credit. */
	readonly reads?: boolean;
	/** The raw peer's chunks arrive cut to this size. */
	readonly chunkSize?: number;
	/** The peer acknowledges SETTINGS and PING by itself (true). */
	readonly polite?: boolean;
}

export interface Connection {
	readonly session: Session;
	readonly peer: RawPeer;
	/** The engine's end of the socket. */
	readonly near: PairEnd;
	readonly far: PairEnd;
	/** Server role: requests in the order they came. */
	readonly accepted: Accepted[];
	readonly faults: unknown[];
	readonly goaways: Array<{ last: number; code: number; debug: string }>;
	/** The peer's settings as they were told, a copy each time. */
	readonly settings: Settings[];
	readonly ended: Promise<Error | null>;
	readonly closedCalls: () => number;
}

/** The engine in `role` with a raw peer at the other end, both prefaces sent. */
export function connect(role: Role, setup: Setup = {}): Connection {
	const [near, far] = duplexPair();
	if (setup.chunkSize !== undefined) far.chunkSize = setup.chunkSize;
	const accepted: Accepted[] = [];
	const faults: unknown[] = [];
	const goaways: Array<{ last: number; code: number; debug: string }> = [];
	const settings: Settings[] = [];
	let closedCalls = 0;
	let resolveEnded: (error: Error | null) => void = () => {};
	const ended = new Promise<Error | null>((resolve) => {
		resolveEnded = resolve;
	});
	const handler: SessionHandler = {
		stream(stream, fields) {
			const recorder = new Recorder(setup.reads ?? true);
			accepted.push({ stream, fields, recorder });
			return recorder;
		},
		settings: (_session, remote) => settings.push({ ...remote }),
		goaway: (_session, last, code, debug) => goaways.push({ last, code, debug }),
		fault: (_session, error) => faults.push(error),
		closed(_session, error) {
			closedCalls++;
			resolveEnded(error);
		},
		...setup.handler,
	};
	const session = new Session({ ...setup.options, socket: near, role, handler });
	const peer = new RawPeer(far, role === 'client' ? 'server' : 'client');
	peer.polite = setup.polite ?? true;
	if (setup.greets ?? true) peer.send(settingsFrame(...(setup.peerSettings ?? [])));
	return { session, peer, near, far, accepted, faults, goaways, settings, ended, closedCalls: () => closedCalls };
}

/** A client engine that has the peer's SETTINGS. */
export async function connectClient(setup: Setup = {}): Promise<Connection> {
	const connection = connect('client', setup);
	await connection.peer.next(FrameType.SETTINGS, (f) => (f.flags & Flag.ACK) !== 0);
	return connection;
}

export const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'test', ':path', '/'];
export const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'test', ':path', '/'];
export const OK = [':status', '200'];

/** The error code of a GOAWAY or RST_STREAM frame. */
export function codeOf(received: RawFrame): number {
	return received.payload.readUInt32BE(received.type === FrameType.GOAWAY ? 4 : 0);
}

/** The engine's own window announcements on a stream, added up. */
export function creditOn(peer: RawPeer, streamId: number): number {
	return peer.of(FrameType.WINDOW_UPDATE, streamId).reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
}

/** The pairs of a SETTINGS frame. */
export function settingsOf(received: RawFrame): Map<number, number> {
	const pairs = new Map<number, number>();
	for (let at = 0; at < received.payload.length; at += 6) {
		pairs.set(received.payload.readUInt16BE(at), received.payload.readUInt32BE(at + 2));
	}
	return pairs;
}

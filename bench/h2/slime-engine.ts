/** The project's engine under measurement. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { FieldList } from '../../src/h2/protocol.ts';
import { Session, type SessionHandler } from '../../src/h2/session.ts';
import type { Stream, StreamHandler } from '../../src/h2/stream.ts';
import { type Connection, type Engine, FIELDS, numberIn, PIECE, SMALL, serveTokens } from './engine.ts';

const OK = [':status', '200', 'content-type', 'application/octet-stream', 'server', 'bench'];
const settings = { initialWindowSize: 1024 * 1024, maxFrameSize: 65_536 };

/** Hears of a request without a body, or whose body is of no interest but for its length. */
class Served implements StreamHandler {
	received = 0;
	more: (() => void) | null = null;

	data(stream: Stream, chunk: Buffer): void {
		this.received += chunk.length;
		stream.consume(chunk.length);
	}

	end(stream: Stream): void {
		if (!stream.writable || this.more !== null) return;
		stream.respond(OK, false);
		stream.write(Buffer.from(String(this.received)));
		stream.end();
	}

	failed(): void {
		this.more = () => {};
	}

	drain(): void {
		this.more?.();
	}
}

function serve(stream: Stream, path: string): StreamHandler {
	const served = new Served();
	if (path === '/sink') return served;
	stream.respond(OK, false);
	served.more = () => {};
	if (path === '/small') {
		stream.write(SMALL);
		stream.end();
	} else if (path.startsWith('/bulk')) {
		let left = numberIn(path);
		served.more = () => {
			while (left > 0) {
				const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
				left -= piece.length;
				if (!stream.write(piece)) return;
			}
			stream.end();
		};
		served.more();
	} else {
		serveTokens(path, stream, (then) => {
			served.more = then;
		});
	}
	return served;
}

class Answered implements StreamHandler {
	received = 0;
	readonly #onBytes: ((chunk: Buffer) => void) | undefined;
	readonly #resolve: (bytes: number) => void;
	readonly #reject: (error: Error) => void;
	more: (() => void) | null = null;
	begun: (() => void) | null = null;

	constructor(
		resolve: (bytes: number) => void,
		reject: (error: Error) => void,
		onBytes: ((chunk: Buffer) => void) | undefined,
	) {
		this.#resolve = resolve;
		this.#reject = reject;
		this.#onBytes = onBytes;
	}

	headers(): void {
		this.begun?.();
	}

	data(stream: Stream, chunk: Buffer): void {
		this.received += chunk.length;
		this.#onBytes?.(chunk);
		stream.consume(chunk.length);
	}

	end(): void {
		this.#resolve(this.received);
	}

	failed(_stream: Stream, failure: { message: string }): void {
		this.#reject(new Error(failure.message));
	}

	drain(): void {
		this.more?.();
	}
}

class SlimeConnection implements Connection {
	readonly #session: Session;

	constructor(session: Session) {
		this.#session = session;
	}

	get(path: string, onBytes?: (chunk: Buffer) => void): Promise<number> {
		return new Promise((resolve, reject) => {
			this.#session.request(section('GET', path), true, new Answered(resolve, reject, onBytes));
		});
	}

	async upload(bytes: number): Promise<void> {
		await new Promise<number>((resolve, reject) => {
			const answered = new Answered(resolve, reject, undefined);
			const stream = this.#session.request(section('POST', '/sink'), false, answered);
			let left = bytes;
			answered.more = () => {
				while (left > 0) {
					const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
					left -= piece.length;
					if (!stream.write(piece)) return;
				}
				stream.end();
			};
			answered.more();
		});
	}

	hold(): Promise<void> {
		return new Promise((resolve, reject) => {
			const answered = new Answered(() => {}, reject, undefined);
			answered.begun = resolve;
			this.#session.request(section('GET', '/hold'), true, answered);
		});
	}

	close(): void {
		this.#session.destroy();
	}
}

function section(method: string, path: string): FieldList {
	return [':method', method, ':scheme', 'http', ':authority', 'bench', ':path', path, ...FIELDS.flat()];
}

export const slimeEngine: Engine = {
	async listen() {
		const server = createServer({ noDelay: true }, (socket) => {
			const handler: SessionHandler = {
				stream: (stream, fields) => serve(stream, fields[fields.indexOf(':path') + 1] ?? ''),
				closed() {},
			};
			new Session({
				socket,
				role: 'server',
				paced: true,
				handler,
				settings: { ...settings, maxConcurrentStreams: 10_000 },
			});
		});
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		return (server.address() as AddressInfo).port;
	},

	async connect(port) {
		const socket = connect({ port, host: '127.0.0.1', noDelay: true });
		return new Promise((resolve) => {
			const session = new Session({
				socket,
				role: 'client',
				settings,
				handler: { settings: () => resolve(new SlimeConnection(session)), closed() {} },
			});
		});
	},
};

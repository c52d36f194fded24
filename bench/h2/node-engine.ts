/** Node's http2 under measurement, with windows as large as it takes. */
import { once } from 'node:events';
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	createServer,
	type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Connection, type Engine, FIELDS, numberIn, PIECE, SMALL, serveTokens } from './engine.ts';

const OK = { ':status': 200, 'content-type': 'application/octet-stream', server: 'bench' };
const WINDOW = 16 * 1024 * 1024;
const settings = { initialWindowSize: WINDOW, maxFrameSize: 65_536 };

function serve(stream: ServerHttp2Stream, path: string): void {
	if (path === '/sink') {
		let received = 0;
		stream.on('data', (chunk: Buffer) => {
			received += chunk.length;
		});
		stream.on('end', () => {
			stream.respond(OK);
			stream.end(String(received));
		});
		return;
	}
	stream.respond(OK);
	if (path === '/small') {
		stream.end(SMALL);
	} else if (path.startsWith('/bulk')) {
		send(stream, numberIn(path));
	} else {
		serveTokens(path, stream, (then) => void stream.once('drain', then));
	}
}

function send(stream: ServerHttp2Stream | ClientHttp2Stream, bytes: number): void {
	let left = bytes;
	const more = () => {
		while (left > 0) {
			const piece = left >= PIECE.length ? PIECE : PIECE.subarray(0, left);
			left -= piece.length;
			if (!stream.write(piece)) return;
		}
		stream.off('drain', more);
		stream.end();
	};
	stream.on('drain', more);
	more();
}

class NodeConnection implements Connection {
	readonly #session: ClientHttp2Session;

	constructor(session: ClientHttp2Session) {
		this.#session = session;
	}

	get(path: string, onBytes?: (chunk: Buffer) => void): Promise<number> {
		return received(this.#session.request(headers('GET', path), { endStream: true }), onBytes);
	}

	async upload(bytes: number): Promise<void> {
		const stream = this.#session.request(headers('POST', '/sink'), { endStream: false });
		const answer = received(stream);
		send(stream, bytes);
		await answer;
	}

	async hold(): Promise<void> {
		const stream = this.#session.request(headers('GET', '/hold'), { endStream: true });
		stream.on('error', () => stream.close());
		await once(stream, 'response');
	}

	close(): void {
		this.#session.destroy();
	}
}

function received(stream: ClientHttp2Stream, onBytes?: (chunk: Buffer) => void): Promise<number> {
	return new Promise((resolve, reject) => {
		let bytes = 0;
		stream.on('data', (chunk: Buffer) => {
			bytes += chunk.length;
			onBytes?.(chunk);
		});
		stream.on('end', () => resolve(bytes));
		stream.on('error', reject);
	});
}

function headers(method: string, path: string): Record<string, string> {
	return { ':method': method, ':scheme': 'http', ':authority': 'bench', ':path': path, ...Object.fromEntries(FIELDS) };
}

export const nodeEngine: Engine = {
	async listen() {
		const server = createServer({ settings: { ...settings, maxConcurrentStreams: 10_000 } });
		server.on('session', (session) => session.setLocalWindowSize(4 * WINDOW));
		server.on('stream', (stream, fields) => {
			stream.on('error', () => stream.close());
			serve(stream, String(fields[':path']));
		});
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		return (server.address() as AddressInfo).port;
	},

	async connect(port) {
		const session = connect(`http://127.0.0.1:${port}`, { settings });
		session.on('error', () => session.destroy());
		await Promise.all([once(session, 'remoteSettings'), once(session, 'connect')]);
		session.setLocalWindowSize(4 * WINDOW);
		return new NodeConnection(session);
	},
};

/** Real sessions, written down: what a client sent and what a server sent, cut into frames. Made anew in each run, between real peers. */
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CLIENT_PREFACE } from '../../src/h2/protocol.ts';
import { Session, type SessionHandler } from '../../src/h2/session.ts';
import type { Stream } from '../../src/h2/stream.ts';
import { GET, OK, POST, Recorder } from '../helpers/h2-peer.ts';

export interface Recording {
	readonly name: string;
	/** Whole frames; what a client sends begins with its preface. */
	readonly fromClient: Buffer[];
	readonly fromServer: Buffer[];
}

export function splitFrames(bytes: Buffer): Buffer[] {
	const frames: Buffer[] = [];
	let at = 0;
	if (bytes.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE)) {
		frames.push(bytes.subarray(0, CLIENT_PREFACE.length));
		at = CLIENT_PREFACE.length;
	}
	while (at + 9 <= bytes.length) {
		const end = at + 9 + bytes.readUIntBE(at, 3);
		if (end > bytes.length) break;
		frames.push(bytes.subarray(at, end));
		at = end;
	}
	return frames;
}

const serving: SessionHandler = {
	stream(stream, fields) {
		const path = fields[fields.indexOf(':path') + 1];
		if (path === '/hint') stream.respond([':status', '103', 'link', '</a>'], false);
		stream.respond([...OK, 'content-type', 'text/plain', 'x-path', path ?? ''], false);
		return {
			data(from: Stream, chunk: Buffer) {
				from.write(chunk);
				from.consume(chunk.length);
			},
			end: (from: Stream) => {
				if (path === '/reset') from.reset(2);
				else from.end(path === '/trailers' ? ['x-sum', 'ok'] : undefined);
			},
			failed() {},
		};
	},
	closed() {},
};

/** Between both passes a relay that writes down what passes. */
async function recorded(
	name: string,
	serve: (socket: net.Socket) => void,
	use: (socket: Duplex) => Promise<void>,
): Promise<Recording> {
	const fromClient: Buffer[] = [];
	const fromServer: Buffer[] = [];
	const server = net.createServer(serve).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const relay = net.createServer((near) => {
		const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
		near.on('data', (chunk) => fromClient.push(chunk));
		far.on('data', (chunk) => fromServer.push(chunk));
		near.on('error', () => far.destroy());
		far.on('error', () => near.destroy());
		near.pipe(far).pipe(near);
	});
	relay.listen(0, '127.0.0.1');
	await once(relay, 'listening');
	const socket = net.connect((relay.address() as AddressInfo).port, '127.0.0.1');
	await once(socket, 'connect');
	await use(socket);
	const closed = Promise.all([once(relay, 'close'), once(server, 'close')]);
	relay.close();
	server.close();
	socket.destroy();
	await closed;
	return {
		name,
		fromClient: splitFrames(Buffer.concat(fromClient)),
		fromServer: splitFrames(Buffer.concat(fromServer)),
	};
}

const paths = ['/', '/hint', '/trailers', '/reset', '/large', '/cancel'];

async function useEngine(socket: Duplex): Promise<void> {
	const session = await new Promise<Session>((resolve) => {
		const made: Session = new Session({
			socket,
			role: 'client',
			handler: { settings: () => resolve(made), closed() {} },
		});
	});
	const all = paths.map((path, i) => {
		const recorder = new Recorder();
		const stream = session.request(
			[...(i % 2 ? POST : GET).slice(0, -1), path, 'x-number', String(i)],
			path === '/',
			recorder,
		);
		if (path !== '/') {
			stream.write(Buffer.alloc(path === '/large' ? 40_000 : 20, path));
			if (path === '/cancel') stream.reset();
			else stream.end(path === '/trailers' ? ['x-late', 'yes'] : undefined);
		}
		return recorder.over;
	});
	await Promise.all(all);
	session.updateSettings({ initialWindowSize: 100_000, headerTableSize: 100 });
	await new Promise<void>((resolve) => session.ping(() => resolve()));
	const last = new Recorder();
	session.request([...GET, 'x-number', 'last'], true, last);
	await last.over;
	const closed = once(socket, 'close');
	session.shutdown();
	await closed;
}

async function useNode(socket: Duplex): Promise<void> {
	const session = http2.connect('http://test', { createConnection: () => socket });
	const all = paths.map(async (path) => {
		const stream = session.request({ ':method': 'POST', ':path': path, cookie: ['a=b', 'c=d'] });
		stream.on('error', () => stream.destroy());
		stream.resume();
		stream.end(Buffer.alloc(path === '/large' ? 40_000 : 20, path));
		if (path === '/cancel') stream.close(http2.constants.NGHTTP2_CANCEL);
		await new Promise((resolve) => stream.once('close', resolve));
	});
	await Promise.all(all);
	const closed = once(session, 'close');
	session.settings({ initialWindowSize: 100_000 });
	session.close();
	await closed;
}

function serveNode(socket: net.Socket): void {
	const session = http2.performServerHandshake(socket);
	session.on('error', () => socket.destroy());
	session.on('stream', (stream, headers) => {
		stream.on('error', () => stream.destroy());
		if (headers[':path'] === '/hint') stream.additionalHeaders({ ':status': 103, link: '</a>' });
		stream.respond(
			{ ':status': 200, 'x-path': String(headers[':path']) },
			{ waitForTrailers: headers[':path'] === '/trailers' },
		);
		stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'ok' }));
		if (headers[':path'] === '/reset') stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
		else stream.pipe(stream);
	});
}

export async function recordAll(): Promise<Recording[]> {
	const serveEngine = (socket: net.Socket) => void new Session({ socket, role: 'server', handler: serving });
	return [
		await recorded('engine to engine', serveEngine, useEngine),
		await recorded("Node's client to engine", serveEngine, useNode),
		await recorded("engine to Node's server", serveNode, useEngine),
	];
}

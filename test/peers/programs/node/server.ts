/** The paths of the server. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { PatternCheck } from '../../../helpers/pattern-body.ts';
import { send, settingsOf } from './client.ts';

type Route = (stream: http2.ServerHttp2Stream, query: URLSearchParams, headers: http2.IncomingHttpHeaders) => void;

const resets: number[] = [];
let tellReset = () => {};
let together: http2.ServerHttp2Stream[] = [];

export function startServer(window: number): void {
	const server = http2.createServer({
		settings: { initialWindowSize: window, maxConcurrentStreams: 2000, enableConnectProtocol: true },
	});
	server.on('session', (session) => session.setLocalWindowSize(window));
	server.on('stream', (stream, headers) => {
		const url = new URL(headers[':path'] ?? '/', 'http://test');
		const route = routes[headers[':method'] === 'CONNECT' ? '/tunnel' : url.pathname];
		stream.on('error', () => {
			// Told by its code at the close.
		});
		stream.on('close', () => {
			if (stream.rstCode !== http2.constants.NGHTTP2_CANCEL) return;
			resets.push(stream.rstCode);
			tellReset();
		});
		if (route) route(stream, url.searchParams, headers);
		else stream.respond({ ':status': 404 }, { endStream: true });
	});
	server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as AddressInfo).port}`));
}

const routes: Record<string, Route> = {
	'/echo'(stream) {
		let trailers: http2.IncomingHttpHeaders = {};
		stream.on('trailers', (fields) => {
			trailers = fields;
		});
		stream.respond({ ':status': 200 }, { waitForTrailers: true });
		stream.on('wantTrailers', () => stream.sendTrailers(trailers));
		stream.pipe(stream);
	},

	'/tunnel'(stream, _query, headers) {
		stream.respond({ ':status': 200, 'x-protocol': headers[':protocol'] as string });
		stream.pipe(stream);
	},

	'/exchange'(stream, query) {
		const check = new PatternCheck();
		const received = new Promise<void>((resolve) => stream.once('end', resolve));
		stream.on('data', (chunk: Buffer) => check.add(chunk));
		stream.respond({ ':status': 200 }, { waitForTrailers: true });
		stream.on('wantTrailers', async () => {
			await received;
			stream.sendTrailers({ 'x-received': String(check.bytes), 'x-intact': String(check.intact) });
		});
		void send(stream, Number(query.get('bytes')));
	},

	'/early'(stream) {
		stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' });
		finish(stream, 'final');
	},

	'/reset'(stream) {
		stream.respond({ ':status': 200 });
		// close() with a code would end the body first.
		stream.write('some', () => stream.destroy(new Error('failed')));
	},

	'/hold'(stream) {
		stream.respond({ ':status': 200 });
		stream.resume();
	},

	/** The codes of resets, once there are `count`. */
	'/resets'(stream, query) {
		tellReset = () => {
			if (resets.length >= Number(query.get('count'))) finish(stream, JSON.stringify(resets));
		};
		tellReset();
	},

	'/together'(stream, query) {
		together.push(stream);
		if (together.length < Number(query.get('count'))) return;
		for (const each of together) finish(each, 'all here');
		together = [];
	},

	'/settings'(stream, query) {
		stream.session?.settings(settingsOf(query.toString()), () => finish(stream, 'settled'));
	},

	'/goaway'(stream, query) {
		const last = query.get('last');
		// close() says GOAWAY as well, for streams that came meanwhile too.
		if (last === null) stream.session?.close();
		else stream.session?.goaway(0, Number(last));
		finish(stream, 'last');
	},
};

function finish(stream: http2.ServerHttp2Stream, text: string): void {
	stream.respond({ ':status': 200 });
	stream.end(text);
}

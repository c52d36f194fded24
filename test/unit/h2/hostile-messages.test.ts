/** Frames where they have no business and messages that lie: which of stream and connection ends, with which code, and that neighbours go on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, errorCodeName, Flag, FrameType } from '../../../src/h2/protocol.ts';
import {
	type Connection,
	codeOf,
	connect,
	connectClient,
	frame,
	GET,
	OK,
	POST,
	Recorder,
	uint32,
} from '../../helpers/h2-peer.ts';

/** What became of stream 1 and of the connection after a frame: `ignored`, `stream CODE` or `connection CODE`. */
async function outcome({ peer, session }: Connection, bytes: Buffer): Promise<string> {
	const before = peer.of(FrameType.RST_STREAM, 1).length;
	peer.send(bytes);
	await peer.settle().catch(() => undefined);
	const goaway = peer.of(FrameType.GOAWAY)[0];
	if (goaway) return `connection ${errorCodeName(codeOf(goaway))}`;
	assert.equal(session.closed, false);
	const resets = peer.of(FrameType.RST_STREAM, 1).slice(before);
	return resets.length === 0 ? 'ignored' : `stream ${errorCodeName(codeOf(resets.at(-1) as never))}`;
}

async function halfClosed(): Promise<Connection> {
	const connection = connect('server');
	connection.peer.send(connection.peer.headers(1, GET));
	await connection.peer.settle();
	return connection;
}

const arrive = {
	idle: async () => connect('server'),
	'half-closed (remote)': halfClosed,
	'closed by both ends': async () => {
		const connection = await halfClosed();
		connection.accepted[0]?.stream.respond(OK, true);
		await connection.peer.settle();
		return connection;
	},
	'closed by a reset of the peer': async () => {
		const connection = connect('server');
		connection.peer.send(connection.peer.headers(1, POST, false), frame(FrameType.RST_STREAM, 0, 1, uint32(8)));
		await connection.peer.settle();
		return connection;
	},
	'reset by us': async () => {
		const connection = connect('server');
		connection.peer.send(connection.peer.headers(1, POST, false));
		await connection.peer.settle();
		connection.accepted[0]?.stream.reset();
		await connection.peer.settle();
		return connection;
	},
} satisfies Record<string, () => Promise<Connection>>;

type State = keyof typeof arrive;

const frames: Array<[string, (connection: Connection) => Buffer, Record<State, string>]> = [
	[
		'DATA',
		({ peer }) => peer.data(1, 'x'),
		{
			idle: 'connection PROTOCOL_ERROR',
			'half-closed (remote)': 'stream STREAM_CLOSED',
			'closed by both ends': 'stream STREAM_CLOSED',
			'closed by a reset of the peer': 'stream STREAM_CLOSED',
			'reset by us': 'ignored',
		},
	],
	[
		'HEADERS',
		({ peer }) => peer.headers(1, GET),
		{
			idle: 'ignored',
			'half-closed (remote)': 'stream STREAM_CLOSED',
			'closed by both ends': 'connection STREAM_CLOSED',
			'closed by a reset of the peer': 'connection STREAM_CLOSED',
			'reset by us': 'ignored',
		},
	],
	[
		'RST_STREAM',
		() => frame(FrameType.RST_STREAM, 0, 1, uint32(8)),
		{
			idle: 'connection PROTOCOL_ERROR',
			'half-closed (remote)': 'ignored',
			'closed by both ends': 'ignored',
			'closed by a reset of the peer': 'ignored',
			'reset by us': 'ignored',
		},
	],
	[
		'WINDOW_UPDATE',
		() => frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(5)),
		{
			idle: 'connection PROTOCOL_ERROR',
			'half-closed (remote)': 'ignored',
			'closed by both ends': 'ignored',
			'closed by a reset of the peer': 'ignored',
			'reset by us': 'ignored',
		},
	],
	[
		'PRIORITY',
		() => frame(FrameType.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 1])),
		{
			idle: 'ignored',
			'half-closed (remote)': 'ignored',
			'closed by both ends': 'ignored',
			'closed by a reset of the peer': 'ignored',
			'reset by us': 'ignored',
		},
	],
	[
		'CONTINUATION',
		() => frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1),
		{
			idle: 'connection PROTOCOL_ERROR',
			'half-closed (remote)': 'connection PROTOCOL_ERROR',
			'closed by both ends': 'connection PROTOCOL_ERROR',
			'closed by a reset of the peer': 'connection PROTOCOL_ERROR',
			'reset by us': 'connection PROTOCOL_ERROR',
		},
	],
	[
		'an unknown frame',
		() => frame(0x42, 0xff, 1, Buffer.from('?')),
		{
			idle: 'ignored',
			'half-closed (remote)': 'ignored',
			'closed by both ends': 'ignored',
			'closed by a reset of the peer': 'ignored',
			'reset by us': 'ignored',
		},
	],
];

describe('a server gets', () => {
	for (const [name, bytes, expected] of frames) {
		for (const state of Object.keys(arrive) as State[]) {
			it(`${name} on a stream that is ${state}: ${expected[state]}`, async () => {
				const connection = await arrive[state]();
				assert.equal(await outcome(connection, bytes(connection)), expected[state]);
				if (expected[state].startsWith('connection')) return;
				const before = connection.accepted.length;
				connection.peer.send(connection.peer.headers(101, GET));
				await connection.peer.settle();
				assert.equal(connection.accepted.length, before + 1);
			});
		}
	}

	it('a stream number below one that was used: the connection ends with PROTOCOL_ERROR', async () => {
		const { peer, accepted } = connect('server');
		peer.send(peer.headers(9, GET), peer.headers(1, GET));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ErrorCode.PROTOCOL_ERROR);
		assert.equal(accepted.length, 1);
	});
});

const A = [':authority', 'test'];
const requests: Array<[string, string[]]> = [
	['an upper-case name', [...GET, 'Upper', 'x']],
	['an empty name', [...GET, '', 'x']],
	['a name with a space', [...GET, 'a b', 'x']],
	['a name with a colon', [...GET, 'a:b', 'x']],
	['a name with a line break', [...GET, 'a\r\nb', 'x']],
	['a name with a NUL', [...GET, 'a\0', 'x']],
	['a name above ASCII', [...GET, 'n\xe4me', 'x']],
	['a value with CR', [...GET, 'x', 'a\rb']],
	['a value with LF', [...GET, 'x', 'a\nb']],
	['a value with CR LF and a second request', [...GET, 'x', 'a\r\n\r\nGET /admin HTTP/1.1']],
	['a value with NUL', [...GET, 'x', 'a\0b']],
	['a value with a leading space', [...GET, 'x', ' a']],
	['a value with a trailing tab', [...GET, 'x', 'a\t']],
	...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
		(name): [string, string[]] => [`the connection-specific field ${name}`, [...GET, name, 'x']],
	),
	['te other than trailers', [...GET, 'te', 'gzip']],
	['no :method', [':scheme', 'http', ...A, ':path', '/']],
	['no :scheme', [':method', 'GET', ...A, ':path', '/']],
	['no :path', [':method', 'GET', ':scheme', 'http', ...A]],
	['an empty :path', [':method', 'GET', ':scheme', 'http', ...A, ':path', '']],
	['a :path with CR LF', [':method', 'GET', ':scheme', 'http', ...A, ':path', '/\r\nx: y']],
	['a :method with a space', [':method', 'GET /x', ':scheme', 'http', ...A, ':path', '/']],
	['two :path', [...GET, ':path', '/']],
	['two :method', [':method', 'GET', ...GET]],
	[':status in a request', [...GET, ':status', '200']],
	['an unknown pseudo-header field', [...GET, ':what', 'x']],
	['a pseudo-header field behind a regular one', ['x', 'y', ...GET]],
	['two Content-Lengths that differ', [...POST, 'content-length', '1', 'content-length', '2']],
	['a negative Content-Length', [...POST, 'content-length', '-1']],
	['a Content-Length with a sign', [...POST, 'content-length', '+1']],
	['a Content-Length list', [...POST, 'content-length', '1, 1']],
];

const responses: Array<[string, string[]]> = [
	...requests
		.filter(
			([, fields]) => fields[0] === ':method' && fields.length === GET.length + 2 && !fields.at(-2)?.startsWith(':'),
		)
		.map(([name, fields]): [string, string[]] => [name, [...OK, ...fields.slice(-2)]]),
	['no :status', ['x', 'y']],
	['two :status', [...OK, ...OK]],
	['a :status of two digits', [':status', '20']],
	['a :status that is no number', [':status', '2oo']],
	[':path in a response', [...OK, ':path', '/']],
	['status 101', [':status', '101']],
];

describe('a malformed message resets its stream alone:', () => {
	for (const [name, fields] of requests) {
		it(`a request with ${name}`, async () => {
			const connection = connect('server');
			const { peer, accepted } = connection;
			peer.send(peer.headers(1, fields, false), peer.headers(3, GET));
			await peer.settle();
			assert.deepEqual(
				peer.of(FrameType.RST_STREAM).map((f) => [f.streamId, codeOf(f)]),
				[[1, ErrorCode.PROTOCOL_ERROR]],
			);
			assert.deepEqual(
				accepted.map(({ stream }) => stream.id),
				[3],
			);
		});
	}

	for (const [name, fields] of responses) {
		it(`a response with ${name}`, async () => {
			const { peer, session } = await connectClient();
			const bad = new Recorder();
			const good = new Recorder();
			session.request(GET, true, bad);
			session.request(GET, true, good);
			await peer.settle();
			peer.send(peer.headers(1, fields, false), peer.headers(3, OK));
			await Promise.all([bad.over, good.over]);
			assert.deepEqual(bad.calls, ['failed', 'closed']);
			assert.equal(bad.failure?.kind, 'protocol');
			assert.deepEqual(good.calls, ['headers', 'end', 'closed']);
		});
	}

	for (const [name, trailers] of [
		['a pseudo-header field', [':status', '200']],
		['an upper-case name', ['X', 'y']],
		['a line break', ['x', 'a\r\nb']],
		['a connection-specific field', ['transfer-encoding', 'chunked']],
	] as Array<[string, string[]]>) {
		it(`trailers with ${name}, in both roles`, async () => {
			const asServer = connect('server');
			asServer.peer.send(
				asServer.peer.headers(1, POST, false),
				asServer.peer.headers(1, trailers),
				asServer.peer.headers(3, GET),
			);
			await asServer.peer.settle();
			assert.deepEqual(asServer.accepted[0]?.recorder.calls, ['failed', 'closed']);
			assert.equal(asServer.accepted.length, 2);

			const { peer, session } = await connectClient();
			const recorder = new Recorder();
			session.request(GET, true, recorder);
			await peer.settle();
			peer.send(peer.headers(1, OK, false), peer.headers(1, trailers));
			await recorder.over;
			assert.deepEqual(recorder.calls, ['headers', 'failed', 'closed']);
			assert.equal(session.closed, false);
		});
	}

	for (const [name, length, body] of [
		['longer', '3', 'four'],
		['shorter', '5', 'four'],
	] as const) {
		for (const withTrailers of [false, true]) {
			it(`a body ${name} than its Content-Length${withTrailers ? ', ended by trailers' : ''}, in both roles`, async () => {
				const asServer = connect('server');
				const end = (connection: Connection) =>
					withTrailers ? connection.peer.headers(1, ['x', 'y']) : Buffer.alloc(0);
				asServer.peer.send(
					asServer.peer.headers(1, [...POST, 'content-length', length], false),
					asServer.peer.data(1, body, !withTrailers),
					end(asServer),
				);
				await asServer.peer.settle();
				assert.equal(asServer.accepted[0]?.recorder.failure?.kind, 'protocol');
				assert.ok(!asServer.accepted[0]?.recorder.calls.includes('end'));
				assert.ok((asServer.accepted[0]?.recorder.body.length ?? 9) <= Number(length));

				const client = await connectClient();
				const recorder = new Recorder();
				client.session.request(GET, true, recorder);
				await client.peer.settle();
				client.peer.send(
					client.peer.headers(1, [...OK, 'content-length', length], false),
					client.peer.data(1, body, !withTrailers),
					end(client),
				);
				await recorder.over;
				assert.equal(recorder.failure?.kind, 'protocol');
				assert.ok(!recorder.calls.includes('end'));
				assert.equal(client.session.closed, false);
			});
		}
	}
});

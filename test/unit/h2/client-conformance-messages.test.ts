/** What a client does with streams and responses that break the rules (RFC 9113 sections 5.1, 5.4 and 8). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, FrameType, SettingId } from '../../../src/h2/protocol.ts';
import { assertAlive, changesNothing, clientScene, endsConnection, endsStream } from '../../helpers/h2-client-scene.ts';
import {
	connectClient,
	frame,
	GET,
	OK,
	POST,
	type RawPeer,
	Recorder,
	settingsFrame,
	uint32,
} from '../../helpers/h2-peer.ts';

const { PROTOCOL_ERROR, STREAM_CLOSED, CANCEL } = ErrorCode;
const { RST_STREAM, HEADERS } = FrameType;
const HEAD = [':method', 'HEAD', ...GET.slice(2)];

describe('a client, stream states', () => {
	endsConnection('5.1 idle: DATA', PROTOCOL_ERROR, (peer) => [peer.data(99, 'x')]);
	endsConnection('5.1 idle: HEADERS', PROTOCOL_ERROR, (peer) => [peer.headers(99, OK)]);
	endsConnection('5.1 closed: HEADERS after the end of the response', STREAM_CLOSED, (peer) => [
		peer.headers(1, OK, true),
		peer.headers(1, OK, true),
	]);
	endsConnection("5.1 closed: HEADERS after the peer's own reset", STREAM_CLOSED, (peer) => [
		frame(RST_STREAM, 0, 1, uint32(CANCEL)),
		peer.headers(1, OK, true),
	]);
	it('5.1 half-closed (remote): HEADERS end the stream with STREAM_CLOSED, and no other', async () => {
		const { peer, session, one, other } = await clientScene();
		peer.send(peer.headers(3, OK, true), peer.headers(3, OK, true));
		const reset = await peer.next(RST_STREAM);
		assert.deepEqual([reset.streamId, reset.payload.readUInt32BE(0)], [3, STREAM_CLOSED]);
		await other.over;
		assert.equal(session.closed, false);
		assert.equal(one.failure, null);
	});
	it('5.1 closed: RST_STREAM and WINDOW_UPDATE that are late are no fault', async () => {
		const scene = await clientScene();
		const { peer, one } = scene;
		peer.send(peer.headers(1, OK, true), frame(RST_STREAM, 0, 1, uint32(0)));
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(7)), frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(5)));
		await one.over;
		assert.deepEqual(one.calls, ['headers', 'end', 'closed']);
		await assertAlive(scene);
		assert.equal(peer.of(RST_STREAM).length, 0);
	});
	it('5.1 closed: whatever is late on a stream that it reset is passed over, and DATA still counts', async () => {
		const scene = await clientScene({ options: { connectionWindow: 65_535 } });
		const { peer, first } = scene;
		first.reset();
		await peer.settle();
		peer.send(peer.headers(1, OK, false), peer.data(1, Buffer.alloc(16_000)), peer.data(1, Buffer.alloc(16_000)));
		peer.send(peer.data(1, Buffer.alloc(16_000)), peer.headers(1, ['x-late', '1'], true));
		await peer.next(FrameType.WINDOW_UPDATE, ({ streamId }) => streamId === 0);
		await assertAlive(scene);
		assert.equal(peer.of(RST_STREAM).length, 1);
	});
	it('5.1.1 numbers its streams oddly and upwards', async () => {
		const { peer, session } = await connectClient();
		for (let i = 0; i < 4; i++) session.request(GET, true, new Recorder());
		await peer.settle();
		assert.deepEqual(
			peer.of(HEADERS).map(({ streamId }) => streamId),
			[1, 3, 5, 7],
		);
	});
	it('5.1.2 opens no more streams than the server allows, and a reset or an end makes room', async () => {
		const { peer, session } = await connectClient({ peerSettings: [SettingId.MAX_CONCURRENT_STREAMS, 2] });
		const streams = [POST, POST].map((fields) => session.request(fields, false, new Recorder()));
		assert.throws(() => session.request(GET, true, new Recorder()), { code: ErrorCode.REFUSED_STREAM });
		streams[0]?.reset();
		assert.equal(session.canRequest, true);
		session.request(GET, true, new Recorder());
		peer.send(settingsFrame(SettingId.MAX_CONCURRENT_STREAMS, 1));
		await peer.settle();
		assert.equal(session.canRequest, false);
		assert.equal(session.openStreams, 2);
	});
});

describe('a client, errors', () => {
	it('5.4.1 GOAWAY of an error is the last that it sends, and what follows in the same read is not acted upon', async () => {
		const { peer, one, ended } = await clientScene();
		peer.send(Buffer.concat([frame(FrameType.PING, 0, 1, Buffer.alloc(8)), peer.headers(1, OK, true)]));
		await peer.closed();
		await ended;
		assert.equal(peer.frames.at(-1)?.type, FrameType.GOAWAY);
		assert.deepEqual(one.calls, ['failed', 'closed']);
	});
	it('5.4.2 a stream in error is reset once, however much more is wrong with it', async () => {
		const scene = await clientScene();
		const { peer, one } = scene;
		peer.send(peer.headers(1, [...OK, 'Bad', '1'], false), peer.data(1, 'x'), peer.headers(1, ['Bad', '2'], true));
		await one.over;
		await assertAlive(scene);
		assert.equal(peer.of(RST_STREAM).length, 1);
	});
	it('5.4.3 a connection that is cut leaves no stream waiting', async () => {
		const { far, one, other, ended } = await clientScene();
		far.destroy();
		await Promise.all([one.over, other.over]);
		assert.deepEqual([one.failure?.kind, other.failure?.kind], ['lost', 'lost']);
		assert.ok((await ended) instanceof Error);
	});
});

describe('a client, message framing', () => {
	const head = (peer: RawPeer, ...fields: string[]) => peer.headers(1, [...OK, ...fields], false);
	endsStream('8.1 DATA before any HEADERS', PROTOCOL_ERROR, (peer) => [peer.data(1, 'x')]);
	endsStream('8.1 DATA behind an interim response', PROTOCOL_ERROR, (peer) => [
		peer.headers(1, [':status', '103'], false),
		peer.data(1, 'x'),
	]);
	endsStream('8.1 an interim response that ends the stream', PROTOCOL_ERROR, (peer) => [
		peer.headers(1, [':status', '100'], true),
	]);
	endsStream('8.1 a second section that does not end the stream', PROTOCOL_ERROR, (peer) => [
		head(peer),
		peer.headers(1, ['x-trailer', '1'], false),
	]);
	endsStream('8.1 an interim response behind the final one', PROTOCOL_ERROR, (peer) => [
		head(peer),
		peer.headers(1, [':status', '103'], false),
	]);
	endsStream('8.1 a pseudo-header field in trailers', PROTOCOL_ERROR, (peer) => [
		head(peer),
		peer.headers(1, [':status', '200'], true),
	]);
	it('8.1 a response that is complete before the request stays complete when RST_STREAM(NO_ERROR) follows', async () => {
		const { peer, session, other } = await clientScene();
		peer.send(peer.headers(3, OK, true), frame(RST_STREAM, 0, 3, uint32(ErrorCode.NO_ERROR)));
		await other.over;
		assert.deepEqual(other.calls, ['headers', 'end', 'closed']);
		assert.equal(session.closed, false);
	});
	endsStream('8.1.1 less DATA than Content-Length', PROTOCOL_ERROR, (peer) => [
		head(peer, 'content-length', '5'),
		peer.data(1, 'four', true),
	]);
	endsStream('8.1.1 more DATA than Content-Length', PROTOCOL_ERROR, (peer) => [
		head(peer, 'content-length', '3'),
		peer.data(1, 'fo'),
		peer.data(1, 'ur'),
	]);
	endsStream('8.1.1 no DATA although there is a Content-Length', PROTOCOL_ERROR, (peer) => [
		peer.headers(1, [...OK, 'content-length', '5'], true),
	]);
	endsStream('8.1.1 trailers before all of the Content-Length has come', PROTOCOL_ERROR, (peer) => [
		head(peer, 'content-length', '5'),
		peer.data(1, 'four'),
		peer.headers(1, ['x-trailer', '1'], true),
	]);
	for (const value of ['-1', '+1', '1, 2', 'one', '']) {
		endsStream(`8.1.1 a Content-Length of "${value}"`, PROTOCOL_ERROR, (peer) => [head(peer, 'content-length', value)]);
	}
	endsStream('8.1.1 two different Content-Lengths', PROTOCOL_ERROR, (peer) => [
		head(peer, 'content-length', '1', 'content-length', '2'),
	]);
	endsStream(
		'8.1.1 a body in the response to HEAD',
		PROTOCOL_ERROR,
		(peer) => [head(peer), peer.data(1, 'x', true)],
		{},
		HEAD,
	);
	for (const status of ['204', '304']) {
		endsStream(`8.1.1 a body in a ${status}`, PROTOCOL_ERROR, (peer) => [
			peer.headers(1, [':status', status], false),
			peer.data(1, 'x', true),
		]);
	}
	it('8.5 what follows a successful CONNECT has no length, whatever its response says', async () => {
		const scene = await clientScene({}, [':method', 'CONNECT', ':authority', 'test:443']);
		const { peer, one } = scene;
		peer.send(peer.headers(1, [...OK, 'content-length', '2'], false), peer.data(1, 'a tunnel', true));
		await one.over;
		assert.deepEqual([one.failure, one.body.toString()], [null, 'a tunnel']);
		await assertAlive(scene);
	});
	it('8.1.1 HEAD and 304 may have a Content-Length, and end in empty DATA', async () => {
		const scene = await clientScene({}, HEAD);
		scene.peer.send(scene.peer.headers(1, [...OK, 'content-length', '5'], false), scene.peer.data(1, '', true));
		await scene.one.over;
		assert.deepEqual(scene.one.calls, ['headers', 'end', 'closed']);
		await assertAlive(scene);
	});
});

describe('a client, fields', () => {
	const responses: Array<[string, string[]]> = [
		['8.2 a name in upper case', [...OK, 'X-Upper', '1']],
		['8.2.1 an empty name', [...OK, '', '1']],
		['8.2.1 a space in a name', [...OK, 'x y', '1']],
		['8.2.1 a colon in a name', [...OK, 'x:y', '1']],
		['8.2.1 a control character in a name', [...OK, 'x\x01', '1']],
		['8.2.1 a name beyond ASCII', [...OK, 'x\xe9', '1']],
		['8.2.1 NUL in a value', [...OK, 'x', 'a\0b']],
		['8.2.1 CR in a value', [...OK, 'x', 'a\rb']],
		['8.2.1 LF in a value', [...OK, 'x', 'a\nb']],
		['8.2.1 a space before a value', [...OK, 'x', ' a']],
		['8.2.1 a tab behind a value', [...OK, 'x', 'a\t']],
		['8.2.2 connection', [...OK, 'connection', 'close']],
		['8.2.2 keep-alive', [...OK, 'keep-alive', '5']],
		['8.2.2 proxy-connection', [...OK, 'proxy-connection', 'close']],
		['8.2.2 transfer-encoding', [...OK, 'transfer-encoding', 'chunked']],
		['8.2.2 upgrade', [...OK, 'upgrade', 'x']],
		['8.3 an unknown pseudo-header field', [...OK, ':unknown', '1']],
		['8.3 a pseudo-header field of requests', [...OK, ':path', '/']],
		['8.3 a pseudo-header field behind a regular one', ['x', '1', ':status', '200']],
		['8.3 a repeated pseudo-header field', [...OK, ...OK]],
		['8.3.2 no :status', ['x', '1']],
		['8.3.2 an empty section', []],
		['8.3.2 a :status of two digits', [':status', '20']],
		['8.3.2 a :status with more than digits', [':status', '200 OK']],
		['8.3.2 a :status of 0', [':status', '000']],
		['8.6 a 101, which HTTP/2 does not have', [':status', '101']],
	];
	for (const [rule, fields] of responses) {
		endsStream(rule, PROTOCOL_ERROR, (peer) => [peer.headers(1, fields, false)]);
	}
	for (const [rule, fields] of [
		['8.2 a name in upper case, in trailers', ['X-Upper', '1']],
		['8.2.1 LF in a value, in trailers', ['x', 'a\nb']],
		['8.2.2 transfer-encoding, in trailers', ['transfer-encoding', 'chunked']],
	] as Array<[string, string[]]>) {
		endsStream(rule, PROTOCOL_ERROR, (peer) => [peer.headers(1, OK, false), peer.headers(1, fields, true)]);
	}
	it('8.2.1 a value may hold anything else, and may be empty', async () => {
		const scene = await clientScene();
		const fields = [...OK, 'x-all', '\x01 \x7f\x80\xff', 'x-empty', '', 'x-twice', 'a', 'x-twice', 'b'];
		scene.peer.send(scene.peer.headers(1, fields, true));
		await scene.one.over;
		assert.deepEqual(scene.one.fields, fields);
		await assertAlive(scene);
	});
	changesNothing('8.1 nothing is told of a response whose section has not come', () => []);
});

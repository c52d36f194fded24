/** Messages from head to trailers, and every way in which one can end early: what its owner hears, and that it is never `end`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, FrameType, MAX_STREAM_ID } from '../../../src/h2/protocol.ts';
import { codeOf, connect, connectClient, frame, GET, OK, POST, Recorder, uint32 } from '../../helpers/h2-peer.ts';

const length = (n: number) => ['content-length', String(n)];
const reset = (id: number, code: number) => frame(FrameType.RST_STREAM, 0, id, uint32(code));
const goaway = (last: number, code = 0) => frame(FrameType.GOAWAY, 0, 0, uint32(last, code));

async function requested(fields = GET, endStream = true) {
	const connection = await connectClient();
	const recorder = new Recorder();
	const stream = connection.session.request(fields, endStream, recorder);
	await connection.peer.next(FrameType.HEADERS);
	return { ...connection, recorder, stream };
}

describe('a response', () => {
	it('is told in order: 1xx, headers, data, trailers, end, closed', async () => {
		const { peer, recorder } = await requested();
		peer.send(peer.headers(1, [':status', '103', 'link', 'x'], false), peer.headers(1, OK, false));
		peer.send(peer.data(1, 'body'), peer.headers(1, ['x-sum', '4']));
		await recorder.over;
		assert.deepEqual(recorder.calls, ['information', 'headers', 'data', 'trailers', 'end', 'closed']);
		assert.deepEqual(recorder.informations, [[':status', '103', 'link', 'x']]);
		assert.deepEqual(recorder.trailerFields, ['x-sum', '4']);
	});

	const truncated: Array<[string, string[], (peer: Awaited<ReturnType<typeof requested>>['peer']) => Buffer[]]> = [
		['shorter than Content-Length', GET, (p) => [p.headers(1, [...OK, ...length(5)], false), p.data(1, 'four', true)]],
		['longer than Content-Length', GET, (p) => [p.headers(1, [...OK, ...length(3)], false), p.data(1, 'four', true)]],
		['without the body it announced', GET, (p) => [p.headers(1, [...OK, ...length(5)], true)]],
		[
			'cut short by trailers',
			GET,
			(p) => [p.headers(1, [...OK, ...length(5)], false), p.data(1, 'four'), p.headers(1, ['a', 'b'])],
		],
		['of DATA before HEADERS', GET, (p) => [p.data(1, 'four', true)]],
		['of a 1xx that ends the stream', GET, (p) => [p.headers(1, [':status', '100'], true)]],
		['101', GET, (p) => [p.headers(1, [':status', '101'], false)]],
		['with two heads', GET, (p) => [p.headers(1, OK, false), p.headers(1, OK, false)]],
		['with a malformed head', GET, (p) => [p.headers(1, [...OK, 'Upper', 'x'], true)]],
		['with malformed trailers', GET, (p) => [p.headers(1, OK, false), p.headers(1, [':path', '/'], true)]],
	];
	for (const [name, fields, frames] of truncated) {
		it(`${name} is a failure and resets the stream`, async () => {
			const { peer, recorder, session } = await requested(fields);
			peer.send(...frames(peer));
			assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), ErrorCode.PROTOCOL_ERROR);
			await recorder.over;
			assert.equal(recorder.failure?.kind, 'protocol');
			assert.equal(recorder.failure?.started, true);
			assert.equal(recorder.calls.includes('end'), false);
			assert.deepEqual(recorder.calls.slice(-2), ['failed', 'closed']);
			assert.equal(session.closed, false);
		});
	}

	for (const [name, fields, status] of [
		['to HEAD', [':method', 'HEAD', ...GET.slice(2)], '200'],
		['304', GET, '304'],
	] as const) {
		it(`${name} may have a Content-Length and no body`, async () => {
			const { peer, recorder } = await requested([...fields]);
			peer.send(peer.headers(1, [':status', status, ...length(5)], true));
			await recorder.over;
			assert.deepEqual(recorder.calls, ['headers', 'end', 'closed']);
		});
	}

	it('cut off by RST_STREAM is a failure with its code', async () => {
		const { peer, recorder } = await requested();
		peer.send(peer.headers(1, OK, false), peer.data(1, 'part'), reset(1, ErrorCode.NO_ERROR));
		await recorder.over;
		assert.deepEqual(recorder.calls, ['headers', 'data', 'failed', 'closed']);
		assert.deepEqual([recorder.failure?.kind, recorder.failure?.code, recorder.failure?.started], ['reset', 0, true]);
	});

	it('that is complete stays so when the rest of the request is refused', async () => {
		const { peer, recorder, session } = await requested(POST, false);
		peer.send(peer.headers(1, OK, true), reset(1, ErrorCode.NO_ERROR));
		await recorder.over;
		assert.deepEqual(recorder.calls, ['headers', 'end', 'closed']);
		assert.equal(session.openStreams, 0);
	});

	it('REFUSED_STREAM says that the request never started', async () => {
		const { peer, recorder } = await requested();
		peer.send(reset(1, ErrorCode.REFUSED_STREAM));
		await recorder.over;
		assert.deepEqual([recorder.failure?.kind, recorder.failure?.started], ['reset', false]);
	});

	for (const [name, cut] of [
		['ended', (far: { end(): void }) => far.end()],
		['destroyed', (far: { destroy(): void }) => far.destroy()],
	] as const) {
		it(`is lost when the socket is ${name} in the middle`, async () => {
			const { peer, far, recorder, ended } = await requested();
			peer.send(peer.headers(1, OK, false), peer.data(1, 'part'));
			await recorder.answered;
			cut(far);
			await recorder.over;
			assert.deepEqual([recorder.failure?.kind, recorder.failure?.started], ['lost', true]);
			assert.equal(recorder.calls.includes('end'), false);
			assert.ok((await ended) instanceof Error);
		});
	}

	it('is passed over after our own reset, which is told to nobody', async () => {
		const { peer, recorder, stream, session } = await requested();
		stream.reset();
		assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), ErrorCode.CANCEL);
		peer.send(peer.headers(1, OK, false), peer.data(1, 'late', true));
		await peer.settle();
		assert.deepEqual(recorder.calls, ['closed']);
		assert.equal(session.openStreams, 0);
		assert.equal(peer.of(FrameType.RST_STREAM).length, 1);
	});

	it('whose owner throws loses its own stream only', async () => {
		const { peer, session, faults } = await connectClient();
		const recorder = new Recorder();
		recorder.end = () => {
			throw new Error('my fault');
		};
		session.request(GET, true, recorder);
		await peer.next(FrameType.HEADERS);
		peer.send(peer.headers(1, OK, true));
		await peer.settle();
		assert.equal((faults[0] as Error).message, 'my fault');
		assert.equal(session.openStreams, 0);
		assert.equal(session.closed, false);
	});
});

describe('fields that cannot be sent', () => {
	it('make request() throw and open nothing', async () => {
		const { peer, session } = await connectClient();
		assert.throws(() => session.request([...GET, 'a', '\u{1f600}'], true, new Recorder()), TypeError);
		assert.equal(session.openStreams, 0);
		session.request([...GET, 'a', 'b'], true, new Recorder());
		assert.deepEqual(peer.fields(await peer.next(FrameType.HEADERS)), [...GET, 'a', 'b']);
	});

	it('as trailers reset their stream only', async () => {
		const { peer, session, accepted, faults } = connect('server');
		peer.send(peer.headers(1, GET));
		await peer.settle();
		accepted[0]?.stream.respond(OK, false);
		accepted[0]?.stream.write(Buffer.from('body'));
		accepted[0]?.stream.end(['a', '\u{1f600}']);
		assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), ErrorCode.INTERNAL_ERROR);
		await peer.settle();
		assert.equal(faults.length, 1);
		assert.equal(session.closed, false);
		assert.equal(session.openStreams, 0);
	});
});

describe('GOAWAY', () => {
	it('fails streams above its last id as not started and lets the others finish', async () => {
		const { peer, session, goaways, ended } = await connectClient();
		const [one, two] = [new Recorder(), new Recorder()];
		session.request(GET, true, one);
		session.request(GET, true, two);
		await peer.next(FrameType.HEADERS, (f) => f.streamId === 3);
		peer.send(goaway(MAX_STREAM_ID), goaway(1));
		await two.over;
		assert.deepEqual([two.failure?.kind, two.failure?.started], ['goaway', false]);
		assert.equal(one.failure, null);
		assert.equal(session.canRequest, false);
		assert.deepEqual(
			goaways.map(({ last }) => last),
			[MAX_STREAM_ID, 1],
		);
		peer.send(peer.headers(1, OK, true));
		await one.received;
		assert.equal(await ended, null);
		assert.deepEqual(one.calls, ['headers', 'end', 'closed']);
	});

	it('comes from a server in two steps: first announced, then final after a round trip', async () => {
		const { peer, session, accepted, ended } = connect('server');
		peer.send(peer.headers(1, GET));
		await peer.settle();
		peer.polite = false;
		session.shutdown('bye');
		const first = await peer.next(FrameType.GOAWAY);
		assert.equal(first.payload.readUInt32BE(0), MAX_STREAM_ID);
		assert.equal(first.payload.toString('utf8', 8), 'bye');
		const ping = await peer.next(FrameType.PING);
		peer.send(peer.headers(3, GET), frame(FrameType.PING, 1, 0, ping.payload));
		const last = await peer.next(FrameType.GOAWAY);
		assert.equal(last.payload.readUInt32BE(0), 3);
		peer.send(peer.headers(5, POST, false), peer.data(5, 'x', true));
		await peer.settle();
		assert.equal(accepted.length, 2);
		assert.deepEqual(peer.of(FrameType.RST_STREAM), []);
		for (const { stream } of accepted) stream.respond(OK, true);
		assert.equal(await ended, null);
		await peer.closed();
		assert.equal(peer.of(FrameType.HEADERS).length, 2);
	});

	it('that a client has announced forbids nothing yet', async () => {
		const { peer, session, recorder, ended } = await requested();
		session.announceShutdown('moving');
		const announced = await peer.next(FrameType.GOAWAY);
		assert.equal(announced.payload.readUInt32BE(0), MAX_STREAM_ID);
		assert.equal(announced.payload.toString('utf8', 8), 'moving');
		const later = new Recorder();
		session.request(GET, true, later);
		peer.send(peer.headers(1, OK, true), peer.headers(3, OK, true));
		await Promise.all([recorder.over, later.over]);
		assert.deepEqual(later.calls, ['headers', 'end', 'closed']);
		session.shutdown();
		assert.equal((await peer.next(FrameType.GOAWAY)).payload.readUInt32BE(0), 0);
		assert.equal(await ended, null);
	});

	it('from a client keeps its open streams', async () => {
		const { peer, session, recorder, ended } = await requested();
		session.shutdown();
		await peer.next(FrameType.GOAWAY);
		assert.throws(() => session.request(GET, true, new Recorder()), { code: ErrorCode.REFUSED_STREAM });
		peer.send(peer.headers(1, OK, true));
		await recorder.over;
		assert.equal(await ended, null);
	});
});

describe('PING', () => {
	it('is answered with its payload', async () => {
		const { peer } = connect('server');
		await peer.settle();
	});

	it('measures the round trip', async () => {
		const { peer, session } = await connectClient();
		const rtt = await new Promise<number>((resolve) => session.ping(resolve));
		assert.ok(rtt > 0);
		assert.ok(session.rtt > 0 && session.rtt <= rtt);
		peer.send(frame(FrameType.PING, 1, 0, Buffer.from('nobodys!')));
		await peer.settle();
		assert.equal(session.closed, false);
	});

	it('waits while its owner holds answers back', async () => {
		let holds = true;
		const { peer, session } = connect('server', { handler: { holdPings: () => holds } });
		peer.send(frame(FrameType.PING, 0, 0, Buffer.from('heldback')), peer.headers(1, [...GET, 'a', 'B\n']));
		await peer.next(FrameType.RST_STREAM);
		assert.equal(peer.of(FrameType.PING).filter((f) => f.flags === 1).length, 0);
		holds = false;
		session.releasePings();
		await peer.next(FrameType.PING, (f) => f.flags === 1 && f.payload.toString() === 'heldback');
	});
});

describe('a request that its handler does not take', () => {
	for (const [what, code, answer] of [
		['is refused', ErrorCode.REFUSED_STREAM, false],
		['is over without error if it was answered whole', ErrorCode.NO_ERROR, true],
	] as const) {
		it(what, async () => {
			const { peer, session } = connect('server', {
				handler: {
					stream(stream) {
						if (answer) stream.respond([':status', '501'], true);
						return null;
					},
				},
			});
			peer.send(peer.headers(1, POST, false));
			assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), code);
			assert.equal(peer.of(FrameType.HEADERS).length, answer ? 1 : 0);
			assert.equal(session.openStreams, 0);
		});
	}
});

describe('what stopReceiving() does', () => {
	it('ends the request with NO_ERROR once the response has left', async () => {
		const { peer, accepted } = connect('server');
		peer.send(peer.headers(1, POST, false));
		await peer.settle();
		accepted[0]?.stream.stopReceiving();
		accepted[0]?.stream.respond(OK, false);
		accepted[0]?.stream.end();
		assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), ErrorCode.NO_ERROR);
		assert.equal(peer.of(FrameType.DATA, 1).at(-1)?.flags, 1);
	});
});

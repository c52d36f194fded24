/** Peers that ask for work without end: each is cut off with ENHANCE_YOUR_CALM, in bounded memory, and honest ones are not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STRANGERS_OVERHEAD, STRANGERS_RESETS } from '../../../src/h2/limits.ts';
import { ErrorCode, Flag, FrameType } from '../../../src/h2/protocol.ts';
import {
	type Connection,
	codeOf,
	connect,
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
import { bytesInUse, endsWith, MiB, times } from '../../helpers/hostile.ts';

const { ENHANCE_YOUR_CALM, REFUSED_STREAM, CANCEL } = ErrorCode;
const strict = { resetBudget: { burst: 100, perSecond: 0 } };

/** Requests 1, 3, 5 … each followed by what makes it end in a reset. */
function burst(peer: RawPeer, from: number, count: number, then: (id: number) => Buffer): Buffer {
	const frames: Buffer[] = [];
	for (let i = 0; i < count; i++) {
		const id = from + 2 * i;
		frames.push(peer.headers(id, POST, false), then(id));
	}
	return Buffer.concat(frames);
}

const cancel = (id: number) => frame(FrameType.RST_STREAM, 0, id, uint32(CANCEL));

/** Sends pieces while each is read, until the connection ends or there were `most` of them; how many were sent. */
async function flood({ peer, session }: Connection, most: number, piece: () => Buffer): Promise<number> {
	let sent = 0;
	while (sent < most && !session.closed) {
		peer.send(piece());
		sent++;
		await new Promise((resolve) => setImmediate(resolve));
	}
	return sent;
}

describe('resets', () => {
	it('of 5,000 requests in a row, twice as many as an honest hub in ten seconds, are borne', async () => {
		const { peer, session, accepted } = connect('server');
		for (let round = 0; round < 10; round++) {
			peer.send(burst(peer, 1 + 2000 * round, 1000, cancel));
			await peer.settle();
		}
		assert.equal(session.closed, false);
		assert.equal(accepted.length, 10_000);
		assert.ok(accepted.every(({ recorder }) => recorder.calls.join() === 'failed,closed'));
	});

	it('without end are cut off (CVE-2023-44487), with what they took in memory given back', async () => {
		const before = bytesInUse();
		let opened = 0;
		const began = performance.now();
		const connection = connect('server', {
			handler: {
				stream() {
					opened++;
					return { data() {}, end() {}, failed() {} };
				},
			},
		});
		let id = 1;
		await flood(connection, 1000, () => {
			const bytes = burst(connection.peer, id, 1000, cancel);
			id += 2000;
			return bytes;
		});
		assert.equal(connection.session.closed, true);
		await endsWith(connection, ENHANCE_YOUR_CALM);
		const seconds = (performance.now() - began) / 1000;
		// The burst, what was added to it meanwhile, and what was sent before the end was seen.
		const most = 20_000 + 5000 * seconds + 5000;
		assert.ok(opened >= 20_000 && opened < most, `${opened} in ${seconds} s`);
		const growth = bytesInUse() - before;
		assert.ok(growth < 8 * MiB, `${growth} bytes`);
	});

	it('are paid for by requests that got a response', async () => {
		const { peer, session } = connect('server', {
			options: strict,
			handler: {
				stream(stream, fields) {
					if (fields.includes('/answer')) stream.respond(OK, true);
					return new Recorder();
				},
			},
		});
		const answered = [...POST.slice(0, -1), '/answer'];
		for (let i = 0; i < 1000; i++) {
			peer.send(peer.headers(4 * i + 1, answered), burst(peer, 4 * i + 3, 1, cancel));
			if (i % 100 === 0) await peer.settle();
		}
		await peer.settle();
		assert.equal(session.closed, false);
	});

	it('of three in ten requests, as a gateway of impatient clients makes them, are borne of strangers', async () => {
		let served = 0;
		const { peer, session } = connect('server', {
			options: { resetBudget: STRANGERS_RESETS, overheadBudget: STRANGERS_OVERHEAD },
			handler: {
				stream(stream, fields) {
					served++;
					if (fields.includes('/answer')) stream.respond(OK, true);
					return new Recorder();
				},
			},
		});
		const answered = [...POST.slice(0, -1), '/answer'];
		// Seconds of 1,000 requests each, the cancels first; what the budgets gain by time does not come to much here.
		for (let second = 0, id = 1; second < 20; second++) {
			peer.send(burst(peer, id, 300, cancel));
			id += 600;
			peer.send(...Array.from({ length: 700 }, (_, i) => peer.headers(id + 2 * i, answered, true)));
			id += 1400;
			await peer.settle();
		}
		assert.equal(session.closed, false);
		assert.equal(served, 20_000);
	});

	it('of requests whose response has begun cost nothing', async () => {
		const { peer, session } = connect('server', {
			options: strict,
			handler: {
				stream(stream) {
					stream.respond(OK, false);
					return new Recorder();
				},
			},
		});
		peer.send(burst(peer, 1, 1000, cancel));
		await peer.settle();
		assert.equal(session.closed, false);
	});

	it('are borne at the rate that is allowed for any length of time', async () => {
		const { peer, session } = connect('server', { options: { resetBudget: { burst: 20, perSecond: 100_000 } } });
		for (let i = 0; i < 20; i++) {
			await sleep(1);
			peer.send(burst(peer, 1 + 20 * i, 10, cancel));
			await peer.settle();
		}
		assert.equal(session.closed, false);
	});

	// CVE-2025-8671: the peer breaks a rule, so that the server resets while its owner is at work.
	const provocations: Array<[string, (id: number) => Buffer]> = [
		['WINDOW_UPDATE of 0', (id) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(0))],
		['a window over 2^31-1', (id) => times(2, frame(FrameType.WINDOW_UPDATE, 0, id, uint32(0x7fff_ffff)))],
		['PRIORITY of a wrong size', (id) => frame(FrameType.PRIORITY, 0, id, Buffer.alloc(4))],
		['PRIORITY on itself', (id) => frame(FrameType.PRIORITY, 0, id, Buffer.from([0, 0, id >> 8, id, 0]))],
		[
			'DATA after END_STREAM',
			(id) => Buffer.concat([frame(FrameType.DATA, Flag.END_STREAM, id), frame(FrameType.DATA, 0, id)]),
		],
		[
			'HEADERS after END_STREAM',
			(id) =>
				Buffer.concat([
					frame(FrameType.DATA, Flag.END_STREAM, id),
					frame(FrameType.HEADERS, 5, id, Buffer.from([0x82])),
				]),
		],
		['trailers that end nothing', (id) => frame(FrameType.HEADERS, Flag.END_HEADERS, id, Buffer.from([0x87 - 1]))],
	];
	for (const [name, provoke] of provocations) {
		it(`of ours that ${name} brings about are cut off like the peer's own`, async () => {
			const connection = connect('server', { options: strict });
			connection.peer.send(burst(connection.peer, 1, 100, provoke));
			await connection.peer.settle();
			assert.equal(connection.session.closed, false);
			assert.equal(connection.peer.of(FrameType.RST_STREAM).length, 100);
			connection.peer.send(burst(connection.peer, 201, 1, provoke));
			await endsWith(connection, ENHANCE_YOUR_CALM);
		});
	}

	it('that answer streams over the limit and large header lists are counted too', async () => {
		const options = { ...strict, settings: { maxConcurrentStreams: 1, maxHeaderListSize: 1000 } };
		for (const provoke of [
			(peer: RawPeer, id: number) => peer.headers(id, GET),
			(peer: RawPeer, id: number) => Buffer.concat([cancel(1), peer.headers(id, [...GET, 'x', 'y'.repeat(2000)])]),
		]) {
			const connection = connect('server', { options });
			connection.peer.send(connection.peer.headers(1, GET));
			await connection.peer.settle();
			let id = 1;
			await flood(connection, 1000, () => {
				id += 2;
				return provoke(connection.peer, id);
			});
			await endsWith(connection, ENHANCE_YOUR_CALM);
		}
	});

	it('that an owner brings about by refusing are counted too', async () => {
		const connection = connect('server', { options: strict, handler: { stream: () => null } });
		let id = -1;
		await flood(connection, 1000, () => {
			id += 2;
			return connection.peer.headers(id, GET);
		});
		await endsWith(connection, ENHANCE_YOUR_CALM);
	});

	it('of streams above a GOAWAY of ours are counted too', async () => {
		const connection = connect('server', { options: strict });
		connection.peer.send(connection.peer.headers(1, GET));
		await connection.peer.settle();
		connection.session.shutdown();
		await connection.peer.next(FrameType.GOAWAY, (goaway) => goaway.payload.readUInt32BE(0) === 1);
		let id = 1;
		await flood(connection, 1000, () => {
			id += 2;
			return connection.peer.headers(id, GET);
		});
		const error = (await connection.ended) as { code?: number } | null;
		assert.equal(error?.code, ENHANCE_YOUR_CALM);
	});
});

describe('frames that carry no message', () => {
	const kinds: Array<[string, Buffer]> = [
		['PING', frame(FrameType.PING, 0, 0, Buffer.alloc(8))],
		['answers to no PING', frame(FrameType.PING, Flag.ACK, 0, Buffer.alloc(8))],
		['SETTINGS', settingsFrame(4, 65_535)],
		['PRIORITY', frame(FrameType.PRIORITY, 0, 9, Buffer.from([0, 0, 0, 1, 1]))],
		['RST_STREAM of a stream that is over', cancel(1)],
		['WINDOW_UPDATE of 1', frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1))],
		['WINDOW_UPDATE of a stream that is over', frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1))],
		['GOAWAY', frame(FrameType.GOAWAY, 0, 0, uint32(0x7fff_ffff, 0))],
		['an unknown type', frame(0xbe, 0, 0)],
		['empty DATA', frame(FrameType.DATA, 0, 3)],
		['DATA of padding alone', frame(FrameType.DATA, Flag.PADDED, 3, Buffer.from([2, 0, 0]))],
	];
	for (const role of ['server', 'client'] as const) {
		for (const [name, bytes] of kinds) {
			// A client opens its streams itself: those of the kinds above are the server's.
			if (role === 'client' && bytes[3] === FrameType.DATA) continue;
			it(`are cut off when a peer that reads its answers sends ${name} to a ${role} without end`, async () => {
				const before = bytesInUse();
				const began = performance.now();
				const connection = role === 'server' ? connect('server') : await connectClient();
				const { peer, session } = connection;
				if (role === 'server') {
					peer.send(peer.headers(1, GET), cancel(1), peer.headers(3, POST, false));
				} else {
					const stream = session.request(GET, true, new Recorder());
					session.request(GET, true, new Recorder());
					stream.reset();
				}
				const piece = times(500, bytes);
				const sent = await flood(connection, 2000, () => piece);
				const seconds = (performance.now() - began) / 1000;
				const error = (await connection.ended) as { code?: number } | null;
				// A client whose peer has gone away closes when its streams are over.
				assert.equal(error?.code, ENHANCE_YOUR_CALM);
				assert.ok(sent * 500 <= 50_000 + 20_000 * seconds + 5000, `${sent * 500} frames in ${seconds} s`);
				peer.frames.length = connection.settings.length = connection.goaways.length = 0;
				connection.near.writes.length = connection.far.writes.length = 0;
				const growth = bytesInUse() - before;
				assert.ok(growth < 4 * MiB, `${growth} bytes`);
			});
		}
	}

	it('are borne at 4,000 of each kind', async () => {
		const { peer, session } = connect('server');
		peer.send(peer.headers(1, GET), cancel(1), peer.headers(3, POST, false));
		for (const [, bytes] of kinds) {
			for (let i = 0; i < 8; i++) {
				peer.send(times(500, bytes));
				await peer.settle();
			}
		}
		assert.equal(session.closed, false);
		assert.equal(session.openStreams, 1);
	});

	it('are no body in one-byte DATA, of which there may be any number', async () => {
		const { peer, session, accepted } = connect('server', { options: { overheadBudget: { burst: 50, perSecond: 0 } } });
		peer.send(peer.headers(1, POST, false));
		for (let i = 0; i < 10; i++) peer.send(times(1000, peer.data(1, 'x')));
		peer.send(peer.data(1, '', true));
		await peer.settle();
		assert.equal(session.closed, false);
		assert.equal(accepted[0]?.recorder.body.length, 10_000);
	});

	it('are not windows opened for bytes that were sent', async () => {
		const options = { overheadBudget: { burst: 50, perSecond: 0 } };
		const { peer, session, accepted } = connect('server', { options });
		peer.send(peer.headers(1, GET));
		await peer.until(() => accepted.length > 0);
		const stream = accepted[0]?.stream;
		stream?.respond(OK, false);
		for (let i = 0; i < 200; i++) {
			stream?.write(Buffer.alloc(2000));
			peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(2000)), frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(2000)));
			await new Promise((resolve) => setImmediate(resolve));
		}
		await peer.until(() => peer.bodyOf(1).length === 400_000);
		assert.equal(session.closed, false);
	});
});

describe('answers that nobody reads', () => {
	const unread: Array<[string, (peer: RawPeer, i: number) => Buffer]> = [
		['PING', () => times(100, frame(FrameType.PING, 0, 0, Buffer.alloc(8)))],
		['SETTINGS', () => times(100, settingsFrame())],
		[
			'DATA on streams that are over',
			(peer, i) => burst(peer, 200 * i + 5, 100, (id) => Buffer.concat([cancel(id), peer.data(id, '')])),
		],
		[
			'streams over the limit',
			(peer, i) => Buffer.concat(Array.from({ length: 100 }, (_, k) => peer.headers(200 * i + 2 * k + 5, GET))),
		],
	];
	for (const [name, piece] of unread) {
		it(`to ${name} end the connection before they are 256 KiB`, async () => {
			const connection = connect('server', { options: { settings: { maxConcurrentStreams: 2 } } });
			const { peer, near } = connection;
			peer.send(peer.headers(1, GET), cancel(1), peer.headers(3, POST, false));
			await peer.settle();
			near.hold();
			let most = 0;
			let i = 0;
			await flood(connection, 2000, () => {
				most = Math.max(most, near.writableLength);
				return piece(peer, i++);
			});
			const error = (await connection.ended) as { code?: number } | null;
			assert.equal(error?.code, ENHANCE_YOUR_CALM);
			assert.ok(most < 256 * 1024, `${most} bytes`);
			near.release();
			await peer.closed();
		});
	}

	it('as window updates end the connection too', async () => {
		const connection = connect('server', {
			options: { settings: { initialWindowSize: 1000 }, maxStreamWindow: 1000, windowBudget: 0 },
		});
		const { peer, near } = connection;
		await peer.settle();
		peer.send(peer.headers(1, POST, false));
		near.hold();
		const piece = times(100, peer.data(1, Buffer.alloc(500)));
		await flood(connection, 2000, () => piece);
		await endsWith(connection, ENHANCE_YOUR_CALM).catch(() => undefined);
		const error = connection.session.error as { code?: number } | null;
		assert.equal(error?.code, ENHANCE_YOUR_CALM);
		near.release();
	});

	it('as responses to streams that are over make a server refuse new ones, so that they stay below 2 MiB', async () => {
		const connection = connect('server', {
			options: { resetBudget: { burst: 1_000_000, perSecond: 0 } },
			handler: {
				stream(stream) {
					stream.respond([...OK, 'x', 'y'.repeat(2000)], true);
					return new Recorder();
				},
			},
		});
		const { peer, near, session } = connection;
		await peer.settle();
		near.hold();
		let most = 0;
		let id = -1;
		await flood(connection, 5000, () => {
			most = Math.max(most, near.writableLength);
			id += 2;
			return peer.headers(id, GET);
		});
		assert.ok(most < 2 * MiB, `${most} bytes`);
		assert.equal(session.closed, false);
		near.release();
		await peer.settle();
		assert.equal(peer.of(FrameType.HEADERS).length + peer.of(FrameType.RST_STREAM).length, 5000);
		assert.ok(peer.of(FrameType.RST_STREAM).every((reset) => codeOf(reset) === REFUSED_STREAM));
		// One who reads again is served again.
		peer.send(peer.headers(id + 2, GET));
		await peer.next(FrameType.HEADERS, (headers) => headers.streamId === id + 2);
	});

	it('are told apart from those of a busy connection whose socket is never empty', async () => {
		const { peer, near, session, accepted } = connect('server');
		peer.send(
			frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fff_0000 - 65_535)),
			settingsFrame(4, 0x7fff_ffff),
			peer.headers(1, GET),
		);
		await peer.settle();
		const stream = accepted[0]?.stream;
		stream?.respond(OK, false);
		// 20,000 PINGs in all, read late but read; there is always more of the body waiting.
		near.hold();
		for (let i = 0; i < 200; i++) {
			assert.equal(session.closed, false, `${session.error?.message} in round ${i}`);
			while (stream?.write(Buffer.alloc(64 * 1024)));
			peer.send(times(100, frame(FrameType.PING, 0, 0, Buffer.alloc(8))));
			for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
			// What is under way leaves, what was written behind it stays.
			near.release();
			near.hold();
			for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
			assert.ok(near.writableLength > 0);
		}
		assert.equal(session.closed, false, session.error?.message);
		near.destroy();
	});
});

/** The catalogue of odd HTTP/2 requests, as raw frames, at a lenient upstream in HTTP/1.1: what it saw, and that the connection goes on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Flag, FrameType } from '../../src/h2/protocol.ts';
import { HTTP2_FRAMING } from '../catalogue/http2-framing.ts';
import { HTTP2_HEADS } from '../catalogue/http2-heads.ts';
import type { Http2Row } from '../catalogue/rows.ts';
import { http2App } from '../helpers/field-peers.ts';
import type { RawPeer } from '../helpers/h2-peer.ts';
import { RecordingUpstream } from '../helpers/recording-upstream.ts';
import { stack } from '../helpers/stack.ts';

const HTTP2 = [...HTTP2_FRAMING, ...HTTP2_HEADS];

/** All wait for the one worker: whatever else came of a request has to be at the upstream before the next one is. */
const ALWAYS = { queue: { mode: 'always', max: 64, timeout: 20_000, maxBytes: 1024 * 1024 } } as const;

async function app(context: TestContext, port: number): Promise<RawPeer> {
	const peer = await http2App(context, port);
	await peer.next(FrameType.SETTINGS);
	return peer;
}

function sendRow(peer: RawPeer, streamId: number, { fields, data, trailers }: Http2Row): void {
	const frames = [peer.headers(streamId, [...fields], data === undefined)];
	for (const [i, payload] of (data ?? []).entries()) {
		const last = i === (data?.length ?? 0) - 1 && trailers === undefined;
		frames.push(peer.data(streamId, Buffer.from(payload, 'latin1'), last));
	}
	if (trailers !== undefined) frames.push(peer.headers(streamId, [...trailers], true));
	peer.send(...frames);
}

/** The status of a stream's response, or how it ended without one. */
async function outcome(peer: RawPeer, streamId: number): Promise<number | string> {
	for (;;) {
		if (peer.of(FrameType.RST_STREAM, streamId).length > 0 && peer.of(FrameType.HEADERS, streamId).length === 0)
			return 'reset';
		const ended = peer.frames.some(
			(frame) =>
				frame.streamId === streamId &&
				(frame.type === FrameType.HEADERS || frame.type === FrameType.DATA) &&
				(frame.flags & Flag.END_STREAM) !== 0,
		);
		if (ended) break;
		if (peer.ended) return 'connection ended';
		await peer.change();
	}
	const [headers] = peer.of(FrameType.HEADERS, streamId);
	return headers === undefined ? 'nothing' : Number(peer.fields(headers)[1]);
}

for (const pieces of [false, true]) {
	test(`every odd HTTP/2 request is served as one request or refused and seen by nobody${pieces ? ', frame by frame too' : ''}`, async (t) => {
		const upstream = await RecordingUpstream.open(t);
		const { port } = await stack(t, [upstream.address], { hub: ALWAYS });
		let innocents = 0;
		for (const row of HTTP2) {
			await t.test(row.name, async (each) => {
				const before = upstream.requests.length;
				const { unfinished } = upstream;
				const peer = await app(each, port);
				if (pieces) sendInPieces(peer);
				sendRow(peer, 1, row);
				assert.equal(await outcome(peer, 1), row.outcome);
				const innocent = `/innocent-${++innocents}`;
				peer.send(peer.headers(3, [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', innocent]));
				assert.equal(await outcome(peer, 3), 200);
				assert.equal(peer.bodyOf(3).toString(), `served ${innocent}`);
				const seen = upstream.requests.slice(before);
				if (row.announced !== undefined && seen.length > 1) assert.equal(seen.shift()?.body, row.announced);
				const targets = typeof row.effect === 'object' ? [row.effect.target, innocent] : [innocent];
				assert.deepEqual(
					seen.map(({ target }) => target),
					targets,
				);
				for (const { doubts } of seen) assert.deepEqual(doubts, []);
				const [first] = seen;
				if (typeof row.effect === 'object') assert.equal(first?.body, row.effect.body);
				if (row.effect !== 'no whole request') assert.deepEqual(upstream.unfinished, unfinished);
				if (row.sees !== undefined && first !== undefined) {
					const [name, value] = row.sees;
					const at = first.fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === name);
					assert.equal(at < 0 ? null : first.fields[at + 1], value);
				}
			});
		}
	});
}

/** Each frame is written on its own, once the one before it has left. */
function sendInPieces(peer: RawPeer): void {
	const { socket } = peer;
	let before: Promise<unknown> = Promise.resolve();
	peer.send = (...frames) => {
		for (const frame of frames) {
			before = before.then(async () => {
				if (socket.destroyed) return;
				await new Promise((resolve) => socket.write(frame, resolve));
				await new Promise((resolve) => setImmediate(resolve));
			});
		}
	};
}

test('the catalogue of HTTP/2 requests holds no row twice', () => {
	const keys = HTTP2.map(({ fields, data, trailers }) => JSON.stringify([fields, data, trailers]));
	assert.equal(new Set(keys).size, HTTP2.length);
	assert.ok(HTTP2.length >= 100, `${HTTP2.length} rows`);
});

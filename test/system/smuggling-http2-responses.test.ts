/** The catalogue of odd HTTP/2 answers, as raw frames of an h2c upstream: what apps in both versions see of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameType } from '../../src/h2/protocol.ts';
import { HTTP2_RESPONSES } from '../catalogue/http2-responses.ts';
import type { Http2ResponseRow } from '../catalogue/rows.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { RawPeer, settingsFrame } from '../helpers/h2-peer.ts';
import { ask, rawUpstream, stack } from '../helpers/stack.ts';

const ALWAYS = { queue: { mode: 'always', max: 64, timeout: 20_000, maxBytes: 1024 * 1024 } } as const;
const INNOCENT: Http2ResponseRow = {
	name: 'an innocent one',
	sections: [[':status', '200']],
	data: ['innocent'],
	sees: { status: 200, body: 'innocent' },
};

/** Answers `/row` with the row, and all else innocently. */
async function answerRows(peer: RawPeer, row: () => Http2ResponseRow): Promise<void> {
	while (!peer.ended) {
		const request = await peer.next(FrameType.HEADERS).catch(() => null);
		if (request === null) return;
		const fields = peer.fields(request);
		answerWith(peer, request.streamId, fields[fields.indexOf(':path') + 1] === '/row' ? row() : INNOCENT);
	}
}

function answerWith(peer: RawPeer, streamId: number, { sections, data, trailers }: Http2ResponseRow): void {
	const frames = sections.map((section, i) => {
		const ends = i === sections.length - 1 && data === undefined && trailers === undefined;
		return peer.headers(streamId, [...section], ends);
	});
	for (const [i, payload] of (data ?? []).entries()) {
		frames.push(peer.data(streamId, payload, i === (data?.length ?? 0) - 1 && trailers === undefined));
	}
	if (trailers !== undefined) frames.push(peer.headers(streamId, [...trailers], true));
	peer.send(...frames);
}

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
	test(`every odd answer of an HTTP/2 upstream is whole, cut or 502 for an app in ${version}, and its connection goes on`, async (t) => {
		let row = INNOCENT;
		let connections = 0;
		const address = await rawUpstream(t, (socket) => {
			connections++;
			const peer = new RawPeer(socket, 'server');
			peer.send(settingsFrame());
			void answerRows(peer, () => row);
		});
		const { port } = await stack(t, [`h2c://${address}`], { hub: ALWAYS });
		const session = await h2Connect(t, `http://127.0.0.1:${port}`);
		const send = async (path: string) => {
			if (version === 'HTTP/1.1') return ask(port, path);
			const answer = await h2Ask(session, path);
			return { ...answer, complete: answer.code === 0 };
		};
		for (const each of HTTP2_RESPONSES) {
			await t.test(each.name, async () => {
				row = each;
				const { status, headers, body, complete } = await send('/row');
				const own = headers['slime-error'];
				if (each.sees === 'cut') {
					// It is known to be broken before the app is told of it, or after.
					if (own === undefined) assert.equal(complete, false, 'it looks complete');
					else assert.deepEqual([status, own], [502, 'upstream_protocol']);
				} else if (typeof each.sees === 'string') {
					assert.deepEqual([status, own, complete], [502, each.sees, true], body);
				} else {
					assert.equal(own, undefined, body);
					assert.deepEqual([status, body, complete], [each.sees.status, each.sees.body, true]);
				}
				assert.equal((await send('/innocent')).body, 'innocent');
				assert.equal(connections, 1);
			});
		}
	});
}

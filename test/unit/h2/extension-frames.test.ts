/** Frames of extensions (RFC 9113 section 5.5): told to who asks for them, ignored otherwise, sent in order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../../src/h2/protocol.ts';
import type { ExtensionFrame } from '../../../src/h2/session.ts';
import { codeOf, connect, connectClient, frame, GET } from '../../helpers/h2-peer.ts';

const KiB = 1024;

/** A listener for a connection, and what it was told, as text. */
function listening() {
	const told: string[] = [];
	const extension = (_session: unknown, { type, flags, streamId, payload }: ExtensionFrame) =>
		told.push(`${type} ${flags} ${streamId} ${payload.toString('latin1')}`);
	return { told, handler: { extension } };
}

describe('frames of extensions', () => {
	for (const role of ['server', 'client'] as const) {
		for (const chunkSize of [1, 4096]) {
			it(`are told to the owner of a ${role}, whole, in chunks of ${chunkSize}`, async () => {
				const { told, handler } = listening();
				const { peer, session } = connect(role, { handler, chunkSize });
				peer.send(
					frame(0xf0, 0x81, 0, Buffer.from('one')),
					frame(0x0a, 0, 7),
					frame(0xff, 0, 0, Buffer.from('\xff', 'latin1')),
				);
				await peer.settle();
				assert.deepEqual(told, ['240 129 0 one', '10 0 7 ', '255 0 0 \xff']);
				assert.equal(session.closed, false);
			});
		}
	}

	it('keep what they said when the bytes that they came in are gone', async () => {
		const payloads: Buffer[] = [];
		const extension = (_session: unknown, { payload }: ExtensionFrame) => payloads.push(payload);
		const { peer } = connect('server', { handler: { extension } });
		const bytes = frame(0xf0, 0, 0, Buffer.from('kept'));
		peer.send(bytes);
		await peer.settle();
		bytes.fill(0);
		assert.equal(payloads[0]?.toString(), 'kept');
	});

	it('over 1 KiB are ignored, as all are where nobody asks for them', async () => {
		const { told, handler } = listening();
		const { peer, accepted } = connect('server', { handler });
		peer.send(
			frame(0xf0, 0, 0, Buffer.alloc(KiB + 1)),
			frame(0xf0, 0, 0, Buffer.alloc(KiB, 'x')),
			peer.headers(1, GET),
		);
		await peer.settle();
		assert.deepEqual(told, [`240 0 0 ${'x'.repeat(KiB)}`]);
		assert.equal(accepted.length, 1);
		const deaf = connect('server');
		deaf.peer.send(frame(0xf0, 0, 0, Buffer.from('x')), deaf.peer.headers(1, GET));
		await deaf.peer.settle();
		assert.equal(deaf.accepted.length, 1);
	});

	it('may not come in the middle of a header block', async () => {
		const { told, handler } = listening();
		const { peer } = connect('server', { handler });
		peer.send(frame(FrameType.HEADERS, 0, 1, Buffer.from(peer.encoder.encode(GET))), frame(0xf0, Flag.ACK, 0));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ErrorCode.PROTOCOL_ERROR);
		assert.deepEqual(told, []);
	});

	it('are sent as they are, in order with other frames', async () => {
		const { peer, session } = await connectClient();
		const began = peer.frames.length;
		session.ping();
		session.sendExtension({ type: 0xf0, flags: 3, streamId: 5, payload: Buffer.from('said') });
		session.updateSettings({ maxConcurrentStreams: 9 });
		const sent = await peer.next(0xf0);
		assert.deepEqual([sent.flags, sent.streamId, sent.payload.toString()], [3, 5, 'said']);
		await peer.settle();
		const types = peer.frames.slice(began).map(({ type }) => type);
		assert.deepEqual(types.slice(0, 3), [FrameType.PING, 0xf0, FrameType.SETTINGS]);
	});

	it('that are none, or too large, are not sent; nor is one on a connection that is over', async () => {
		const { peer, session } = await connectClient();
		const send = (type: number, payload = Buffer.alloc(0)) =>
			session.sendExtension({ type, flags: 0, streamId: 0, payload });
		for (const type of [0, FrameType.CONTINUATION, 0x100, -1, Number.NaN]) assert.throws(() => send(type), RangeError);
		assert.throws(() => send(0xf0, Buffer.alloc(KiB + 1)), RangeError);
		session.destroy();
		send(0xf0);
		await peer.closed();
		assert.equal(peer.of(0xf0).length, 0);
	});
});

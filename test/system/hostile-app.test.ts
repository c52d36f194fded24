/** Applications that speak HTTP/2 and attack the hub: their connection ends, other apps and the agents' tunnels notice nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ErrorCode, FrameType } from '../../src/h2/protocol.ts';
import { codeOf, frame, GET, RawPeer, settingsFrame, uint32 } from '../helpers/h2-peer.ts';
import { bytesInUse, MiB, times } from '../helpers/hostile.ts';
import { ask, eventually, stack, upstream } from '../helpers/stack.ts';

async function app(t: TestContext, port: number): Promise<RawPeer> {
	const socket = connect(port, '127.0.0.1');
	t.after(() => socket.destroy());
	await once(socket, 'connect');
	const peer = new RawPeer(socket, 'client');
	peer.send(settingsFrame());
	await peer.settle();
	return peer;
}

const cancels = (peer: RawPeer, round: number) =>
	Buffer.concat(
		Array.from({ length: 50 }, (_, i) => {
			const id = 100 * round + 2 * i + 1;
			return Buffer.concat([
				peer.headers(id, [...GET, 'slime-block', '1']),
				frame(FrameType.RST_STREAM, 0, id, uint32(8)),
			]);
		}),
	);

const floods: Array<[string, (peer: RawPeer, round: number) => Buffer]> = [
	['cancels requests as fast as it makes them', cancels],
	['asks with PING', () => times(200, frame(FrameType.PING, 0, 0, Buffer.alloc(8)))],
	['changes its SETTINGS', () => times(200, settingsFrame(4, 65_535))],
];

for (const [what, piece] of floods) {
	test(`an app that ${what} without end is cut, and others are served meanwhile`, { timeout: 60_000 }, async (t) => {
		const service = await upstream(t, (req, res) => {
			if (req.url === '/fine') res.end('fine');
		});
		const { port, hub } = await stack(t, [service.address], { agent: { numWorker: 2 } });
		const peer = await app(t, port);
		const before = bytesInUse();
		for (let round = 0; round < 2000 && !peer.ended; round++) {
			peer.send(piece(peer, round));
			if (round % 20 === 0) {
				const headers = { 'slime-block': '1' };
				assert.equal((await ask(port, '/fine', { headers })).body, 'fine');
			}
			await peer.room();
		}
		await peer.closed();
		assert.deepEqual(peer.of(FrameType.GOAWAY).map(codeOf), [ErrorCode.ENHANCE_YOUR_CALM]);
		await eventually('nothing of it is left', () => hub.leased === 0 && hub.waiting === 0 && service.active === 0);
		assert.equal(hub.agents, 1);
		assert.ok(service.peak <= 2);
		assert.equal((await ask(port, '/fine')).body, 'fine');
		await peer.discard();
		const growth = bytesInUse() - before;
		assert.ok(growth < 16 * MiB, `${growth} bytes`);
	});
}

test('an app that cancels 500 requests in a row is honest: its connection stays', { timeout: 60_000 }, async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/fine') res.end('fine');
	});
	const { port } = await stack(t, [service.address]);
	const peer = await app(t, port);
	for (let round = 0; round < 10; round++) {
		peer.send(cancels(peer, round));
		await peer.settle();
	}
	peer.send(peer.headers(1001, [...GET.slice(0, -1), '/fine', 'slime-block', '1']));
	const answer = await peer.next(FrameType.HEADERS, ({ streamId }) => streamId === 1001);
	assert.equal(peer.fields(answer)[1], '200');
});

/** The limit of streams that an agent announces, as a raw hub sees it in frames (PROTOCOL.md section 3). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { FrameType, SettingId } from '../../src/h2/protocol.ts';
import { GET, RawPeer, settingsFrame, settingsOf } from '../helpers/h2-peer.ts';
import { upstream } from '../helpers/stack.ts';
import { tunnelShim } from '../helpers/tunnel-shim.ts';

test('an agent with one hub announces its workers once: a request that comes and goes changes nothing', async (context) => {
	const { address } = await upstream(context, (_req, res) => void res.end('done'));
	const { port } = await tunnelShim(context, { upstreams: [address], numWorker: 1, reportHardware: false });
	const socket = net.connect(port, '127.0.0.1');
	context.after(() => socket.destroy());
	await once(socket, 'connect');
	const peer = new RawPeer(socket, 'client');
	peer.send(settingsFrame());
	for (const id of [1, 3, 5]) {
		peer.send(peer.headers(id, GET));
		await peer.next(FrameType.DATA, (f) => f.streamId === id && (f.flags & 1) === 1);
		await peer.settle();
	}
	const announced = peer.of(FrameType.SETTINGS).filter(({ flags }) => flags === 0);
	assert.deepEqual(
		announced.map((settings) => settingsOf(settings).get(SettingId.MAX_CONCURRENT_STREAMS)),
		[1],
	);
	assert.deepEqual(peer.of(FrameType.RST_STREAM), []);
});

/** SETTINGS: announced, acknowledged, changed while streams are open (RFC 9113 section 6.5, RFC 8441 section 3). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorCode, Flag, FrameType, SettingId } from '../../../src/h2/protocol.ts';
import {
	codeOf,
	connect,
	connectClient,
	creditOn,
	frame,
	GET,
	OK,
	POST,
	Recorder,
	settingsFrame,
	settingsOf,
	uint32,
} from '../../helpers/h2-peer.ts';

const ack = frame(FrameType.SETTINGS, Flag.ACK, 0);

describe('settings of ours', () => {
	it('are announced as given and hold once acknowledged', async () => {
		const settings = { maxConcurrentStreams: 5, initialWindowSize: 1000, enableConnectProtocol: true };
		const { peer, session } = connect('server', { options: { settings }, polite: false });
		const pairs = settingsOf(await peer.next(FrameType.SETTINGS, (f) => f.flags === 0));
		assert.deepEqual(Object.fromEntries(pairs), { 3: 5, 4: 1000, 8: 1 });
		await peer.settle();
		assert.equal(session.local.initialWindowSize, 65_535);
		assert.equal(session.settingsSettled, false);
		peer.send(ack);
		await peer.settle();
		assert.equal(session.local.initialWindowSize, 1000);
		assert.equal(session.settingsSettled, true);
	});

	it('leave a limit of Infinity unsaid', async () => {
		const options = { settings: { maxConcurrentStreams: Number.POSITIVE_INFINITY } };
		const { peer } = connect('server', { options });
		assert.equal((await peer.next(FrameType.SETTINGS, (f) => f.flags === 0)).payload.length, 0);
	});

	it('go out one at a time, newest values together', async () => {
		const { peer, session } = connect('server', { polite: false });
		await peer.settle();
		for (const n of [1, 2, 3]) session.updateSettings({ maxConcurrentStreams: n });
		session.updateSettings({ initialWindowSize: 9 });
		await peer.settle();
		assert.equal(peer.of(FrameType.SETTINGS).filter((f) => f.flags === 0).length, 1);
		assert.equal(session.settingsSent, false);
		peer.send(ack);
		const second = await peer.next(FrameType.SETTINGS, (f) => f.flags === 0);
		assert.deepEqual(Object.fromEntries(settingsOf(second)), { 3: 3, 4: 9 });
		assert.equal(session.settingsSent, true);
	});

	it('change the largest field section once acknowledged', async () => {
		const { peer, session, accepted } = connect('server', { options: { settings: { maxHeaderListSize: 200 } } });
		const large = [...GET, 'x-large', 'y'.repeat(300)];
		peer.send(peer.headers(1, large));
		assert.equal(peer.fields(await peer.next(FrameType.HEADERS))[1], '431');
		session.updateSettings({ maxHeaderListSize: 2000 });
		await peer.settle();
		await peer.settle();
		peer.send(peer.headers(3, large));
		await peer.settle();
		assert.equal(accepted.length, 1);
	});

	it('limit streams before they are acknowledged and after', async () => {
		const options = { settings: { maxConcurrentStreams: 1 } };
		for (const polite of [false, true]) {
			const { peer, accepted } = connect('server', { options, polite });
			if (polite) await peer.settle();
			peer.send(peer.headers(1, POST, false), peer.headers(3, POST, false), peer.data(3, 'x'));
			const reset = await peer.next(FrameType.RST_STREAM);
			assert.deepEqual([reset.streamId, codeOf(reset)], [3, ErrorCode.REFUSED_STREAM]);
			await peer.settle();
			assert.equal(accepted.length, 1);
			assert.equal(peer.of(FrameType.RST_STREAM).length, 1);
		}
	});

	it('allow larger frames when changed later', async () => {
		const { peer, session, accepted } = connect('server');
		await peer.settle();
		session.updateSettings({ maxFrameSize: 30_000 });
		await peer.next(FrameType.SETTINGS, (f) => settingsOf(f).has(SettingId.MAX_FRAME_SIZE));
		await peer.settle();
		peer.send(peer.headers(1, POST, false), peer.data(1, Buffer.alloc(30_000), true));
		await peer.settle();
		assert.equal(accepted[0]?.recorder.body.length, 30_000);
	});

	it('shrink the windows of open streams once acknowledged', async () => {
		const { peer, session, accepted } = connect('server', { reads: false });
		peer.send(peer.headers(1, POST, false), peer.data(1, Buffer.alloc(500)));
		await peer.settle();
		session.updateSettings({ initialWindowSize: 100 });
		await peer.next(FrameType.SETTINGS, (f) => settingsOf(f).get(SettingId.INITIAL_WINDOW_SIZE) === 100);
		await peer.settle();
		assert.equal(accepted[0]?.stream.receiveWindow.available, -400);
		peer.send(peer.data(1, 'x'));
		assert.equal(codeOf(await peer.next(FrameType.RST_STREAM)), ErrorCode.FLOW_CONTROL_ERROR);
		assert.equal(accepted[0]?.recorder.failure?.kind, 'protocol');
	});

	it('give back what was held of a large window that is made small', async () => {
		const { session, peer, accepted } = connect('server', {
			options: { settings: { initialWindowSize: 200_000 }, maxStreamWindow: 200_000 },
		});
		await peer.settle();
		peer.send(peer.headers(1, POST, false), peer.data(1, Buffer.alloc(16_000)));
		await peer.settle();
		assert.equal(accepted[0]?.recorder.body.length, 16_000);
		assert.equal(creditOn(peer, 1), 0);
		session.updateSettings({ initialWindowSize: 10_000 });
		await peer.settle();
		await peer.settle();
		assert.equal(session.local.initialWindowSize, 10_000);
		// Without it the window would stay below 0, and nothing could come that would open it.
		const { available = 0 } = accepted[0]?.stream.receiveWindow ?? {};
		assert.ok(available >= 10_000, `${available} bytes may come`);
		assert.ok(creditOn(peer, 1) >= 16_000);
	});
});

describe("the peer's settings", () => {
	it('are told, acknowledged and followed', async () => {
		const { peer, session, settings } = await connectClient({ peerSettings: [3, 1, 8, 1] });
		assert.equal(settings[0]?.enableConnectProtocol, true);
		session.request(GET, true, new Recorder());
		assert.equal(session.canRequest, false);
		peer.send(settingsFrame(SettingId.MAX_CONCURRENT_STREAMS, 2));
		await peer.next(FrameType.SETTINGS, (f) => f.flags === 1);
		assert.equal(session.canRequest, true);
		peer.send(settingsFrame(SettingId.MAX_CONCURRENT_STREAMS, 0));
		await peer.next(FrameType.SETTINGS, (f) => f.flags === 1);
		assert.throws(() => session.request(GET, true, new Recorder()), { code: ErrorCode.REFUSED_STREAM });
	});

	it('may not take extended CONNECT back', async () => {
		const { peer } = await connectClient({ peerSettings: [8, 1] });
		peer.send(settingsFrame(SettingId.ENABLE_CONNECT_PROTOCOL, 0));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ErrorCode.PROTOCOL_ERROR);
	});

	it('change the compression table from the next block on', async () => {
		const { peer, session } = await connectClient();
		const fields = [...GET, 'x-name', 'value'];
		session.request(fields, true, new Recorder());
		assert.deepEqual(peer.fields(await peer.next(FrameType.HEADERS)), fields);
		peer.decoder.setMaxTableSize(0);
		peer.send(settingsFrame(SettingId.HEADER_TABLE_SIZE, 0));
		await peer.settle();
		session.request(fields, true, new Recorder());
		const second = await peer.next(FrameType.HEADERS);
		assert.equal(second.payload[0], 0x20);
		assert.deepEqual(peer.fields(second), fields);
	});

	it('cut header blocks and bodies to the frame size', async () => {
		const { peer, session } = await connectClient({ peerSettings: [SettingId.MAX_FRAME_SIZE, 20_000] });
		const large = ['x', '~'.repeat(25_000)];
		const stream = session.request([...POST, ...large], false, new Recorder());
		const head = await peer.next(FrameType.HEADERS);
		assert.equal(head.payload.length, 20_000);
		const rest = await peer.next(FrameType.CONTINUATION);
		const payload = Buffer.concat([head.payload, rest.payload]);
		assert.deepEqual(peer.fields({ ...head, payload }), [...POST, ...large]);
		stream.write(Buffer.alloc(50_000));
		await peer.until(() => peer.bodyOf(stream.id).length === 50_000);
		assert.deepEqual(
			peer.of(FrameType.DATA).map((f) => f.payload.length),
			[20_000, 20_000, 10_000],
		);
	});

	it('move the windows of open streams, below zero too', async () => {
		const { peer, session } = await connectClient({ peerSettings: [SettingId.INITIAL_WINDOW_SIZE, 1000] });
		const stream = session.request(POST, false, new Recorder());
		stream.write(Buffer.alloc(3000));
		await peer.until(() => peer.bodyOf(1).length === 1000);
		peer.send(settingsFrame(SettingId.INITIAL_WINDOW_SIZE, 100));
		await peer.settle();
		assert.equal(stream.sendWindow, -900);
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(900)));
		await peer.settle();
		assert.equal(peer.bodyOf(1).length, 1000);
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1)));
		await peer.until(() => peer.bodyOf(1).length === 1001);
		peer.send(settingsFrame(SettingId.INITIAL_WINDOW_SIZE, 2099));
		await peer.until(() => peer.bodyOf(1).length === 3000);
	});

	it('that push an open window over 2^31-1 end the connection', async () => {
		const { peer, session } = await connectClient();
		session.request(POST, false, new Recorder());
		await peer.next(FrameType.HEADERS);
		peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(0x7fff_0000)), settingsFrame(4, 0x7fff_ffff));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), ErrorCode.FLOW_CONTROL_ERROR);
	});

	it('reach a server that answers a request of its client', async () => {
		const { peer, accepted } = connect('server', { peerSettings: [SettingId.INITIAL_WINDOW_SIZE, 10] });
		peer.send(peer.headers(1, GET));
		await peer.settle();
		accepted[0]?.stream.respond(OK, false);
		accepted[0]?.stream.write(Buffer.alloc(11));
		await peer.settle();
		assert.equal(peer.bodyOf(1).length, 10);
	});
});

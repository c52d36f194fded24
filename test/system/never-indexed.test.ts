/** Secrets on the wire: they are never-indexed literals wherever the hub and the agent write them (RFC 7541 section 7.1.3). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { FrameType } from '../../src/h2/protocol.ts';
import type { Role } from '../../src/h2/session.ts';
import { GET, type RawFrame, RawPeer, settingsFrame } from '../helpers/h2-peer.ts';
import { type Representation, representations } from '../helpers/hpack-representations.ts';
import { ask, eventually, rawUpstream, stack, token, upstream } from '../helpers/stack.ts';
import { tunnelShim } from '../helpers/tunnel-shim.ts';

const never: Representation = 'never indexed';

/** The fields of a HEADERS frame and how each of them was written. */
function written(peer: RawPeer, { payload }: RawFrame): Map<string, { value: string; as: Representation }> {
	const as = representations(payload);
	const fields = peer.decoder.decode(payload);
	assert.equal(as.length, fields.length / 2);
	return new Map(
		as.map((how, i) => [fields[2 * i] as string, { value: fields[2 * i + 1] as string, as: how }] as const),
	);
}

function assertNever(found: ReturnType<typeof written>, secrets: Readonly<Record<string, string>>): void {
	for (const [name, value] of Object.entries(secrets)) assert.deepEqual(found.get(name), { value, as: never }, name);
}

/** Nothing of these values lies in the table that the other end keeps for us. */
function assertNotKept({ decoder }: RawPeer, values: readonly string[]): void {
	const kept = Array.from({ length: decoder.table.length }, (_, age) => decoder.table.at(age)?.value);
	for (const value of values) assert.equal(kept.includes(value), false, `${value} is in the table`);
}

async function peerAt(context: TestContext, port: number, role: Role): Promise<RawPeer> {
	const socket = net.connect(port, '127.0.0.1');
	context.after(() => socket.destroy());
	await once(socket, 'connect');
	const peer = new RawPeer(socket, role);
	peer.send(settingsFrame());
	return peer;
}

/** An upstream in HTTP/2 without TLS that speaks whatever a test says. */
async function rawHttp2Upstream(context: TestContext): Promise<{ address: string; connected: Promise<RawPeer> }> {
	let connected: (peer: RawPeer) => void = () => {};
	const first = new Promise<RawPeer>((resolve) => {
		connected = resolve;
	});
	const address = await rawUpstream(context, (socket) => {
		const peer = new RawPeer(socket, 'server');
		peer.send(settingsFrame());
		connected(peer);
	});
	return { address: `h2c://${address}`, connected: first };
}

test('a hub writes the secrets of an app never-indexed towards its agents, the same ones each time', async (context) => {
	const { hub, port } = await stack(context, [], { hub: { appPassword: 'the password' } });
	const socket = net.connect(port, '127.0.0.1');
	context.after(() => socket.destroy());
	const handshake = ['GET /.slime/tunnel HTTP/1.1', 'Host: hub', 'Connection: Upgrade', 'Upgrade: h2c-reverse'];
	handshake.push(`Authorization: Bearer ${await token()}`, 'Slime-Agent-Id: raw', '', '');
	socket.write(handshake.join('\r\n'));
	const [head] = (await once(socket, 'data')) as [Buffer];
	const end = head.indexOf('\r\n\r\n') + 4;
	assert.match(head.toString('latin1', 0, end), /^HTTP\/1\.1 101 /);
	socket.unshift(head.subarray(end));
	const peer = new RawPeer(socket, 'server');
	peer.send(settingsFrame(3, 10));
	await eventually('the agent joined', () => hub.agents === 1);
	const secrets = { authorization: 'Bearer of the app', cookie: 'session=1', 'x-api-key': 'key 1', 'api-key': 'key 2' };
	for (let round = 0; round < 2; round++) {
		const own = { 'slime-app-password': 'the password', 'proxy-authorization': 'Basic eDp5' };
		const answer = ask(port, '/', { headers: { ...secrets, ...own, 'x-plain': 'plain' } });
		const request = await peer.next(FrameType.HEADERS);
		const found = written(peer, request);
		assertNever(found, secrets);
		// These two are for the hub itself and go no further.
		for (const name of Object.keys(own)) assert.equal(found.has(name), false, name);
		assert.equal(found.get('x-plain')?.as, round === 0 ? 'with indexing' : 'indexed');
		peer.send(peer.headers(request.streamId, [':status', '204']));
		assert.equal((await answer).status, 204);
	}
	assertNotKept(peer, Object.values(secrets));
});

test('an agent writes the secrets of its upstream never-indexed towards the hub', async (context) => {
	const { address } = await upstream(context, (_req, res) => {
		res.writeHead(200, { 'set-cookie': 'session=2', 'x-api-key': 'key 3', authorization: 'odd', 'x-plain': 'plain' });
		res.end();
	});
	const { port } = await tunnelShim(context, { upstreams: [address], reportHardware: false });
	const peer = await peerAt(context, port, 'client');
	const secrets = { 'set-cookie': 'session=2', 'x-api-key': 'key 3', authorization: 'odd' };
	for (const id of [1, 3]) {
		peer.send(peer.headers(id, GET));
		const found = written(peer, await peer.next(FrameType.HEADERS));
		assertNever(found, secrets);
		assert.equal(found.get('x-plain')?.as, id === 1 ? 'with indexing' : 'indexed');
	}
	assertNotKept(peer, Object.values(secrets));
});

test('an agent passes on what came never-indexed as such, from hub to upstream and back, whatever its name', async (context) => {
	const { address, connected } = await rawHttp2Upstream(context);
	const { port } = await tunnelShim(context, { upstreams: [address], reportHardware: false });
	const hub = await peerAt(context, port, 'client');
	const secrets = {
		authorization: 'Bearer of the app',
		cookie: 'session=1',
		'x-api-key': 'key 1',
		'x-marked': 'by the hub',
	};
	const section = [...GET, ...Object.entries(secrets).flat(), 'x-plain', 'plain'];
	const answer = { 'set-cookie': 'session=2', 'x-marked-too': 'by the upstream' };
	let service: RawPeer | undefined;
	for (const id of [1, 3]) {
		hub.send(headersWith(hub, id, section, ['x-marked']));
		service ??= await connected;
		const request = await service.next(FrameType.HEADERS);
		const found = written(service, request);
		assertNever(found, secrets);
		assert.equal(found.get('x-plain')?.as, id === 1 ? 'with indexing' : 'indexed');
		const response = [':status', '200', ...Object.entries(answer).flat(), 'x-plain', 'plain'];
		service.send(headersWith(service, request.streamId, response, ['x-marked-too']));
		assertNever(written(hub, await hub.next(FrameType.HEADERS)), answer);
	}
	assert.ok(service);
	assertNotKept(service, Object.values(secrets));
	assertNotKept(hub, Object.values(answer));
});

test('what an HTTP/2 app marks goes through hub and agent to its upstream so, and what the upstream marks back', async (context) => {
	const { address, connected } = await rawHttp2Upstream(context);
	const { port } = await stack(context, [address]);
	const app = await peerAt(context, port, 'client');
	const secrets = { authorization: 'Bearer of the app', 'x-marked': 'by the app' };
	const section = [...GET, 'slime-block', '1', ...Object.entries(secrets).flat()];
	const answer = { 'set-cookie': 'session=2', 'x-marked-too': 'by the upstream' };
	for (const id of [1, 3]) {
		app.send(headersWith(app, id, section, ['x-marked']));
		const service = await connected;
		const request = await service.next(FrameType.HEADERS);
		assertNever(written(service, request), secrets);
		const response = [':status', '200', ...Object.entries(answer).flat()];
		service.send(headersWith(service, request.streamId, response, ['x-marked-too']));
		assertNever(written(app, await app.next(FrameType.HEADERS)), answer);
	}
});

/** HEADERS with END_STREAM, those names never-indexed. */
function headersWith(peer: RawPeer, id: number, fields: string[], neverIndexed: string[]): Buffer {
	const block = Buffer.from(peer.encoder.encode(fields, neverIndexed));
	const head = peer.headers(id, []);
	head.writeUIntBE(block.length, 0, 3);
	return Buffer.concat([head, block]);
}

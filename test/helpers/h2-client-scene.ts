/** The engine as a client with two requests under way at a raw server, and what a rule broken by that server must lead to. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { errorCodeName, FrameType } from '../../src/h2/protocol.ts';
import type { Stream } from '../../src/h2/stream.ts';
import { type Connection, codeOf, connectClient, GET, POST, type RawPeer, Recorder, type Setup } from './h2-peer.ts';

export interface ClientScene extends Connection {
	/** Stream 1: a request that is complete. */
	readonly one: Recorder;
	readonly first: Stream;
	/** Stream 3: a request whose body is under way. It is the bystander. */
	readonly other: Recorder;
	readonly second: Stream;
}

/** @param fields of the request on stream 1 */
export async function clientScene(setup: Setup = {}, fields: string[] = GET): Promise<ClientScene> {
	const connection = await connectClient(setup);
	const [one, other] = [new Recorder(), new Recorder()];
	const first = connection.session.request(fields, true, one);
	const second = connection.session.request(POST, false, other);
	await connection.peer.settle();
	return { ...connection, one, first, other, second };
}

type Frames = (peer: RawPeer, scene: ClientScene) => Buffer[];

/** The connection ends with GOAWAY and that code, and all streams are told that they are lost. */
export function endsConnection(rule: string, code: number, frames: Frames, setup: Setup = {}): void {
	it(`${rule}: the connection ends with ${errorCodeName(code)}`, async () => {
		const scene = await clientScene(setup);
		const { peer, session, ended, other } = scene;
		peer.send(...frames(peer, scene));
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), code);
		await peer.closed();
		assert.equal(((await ended) as { code?: number } | null)?.code, code);
		assert.equal(session.closed, true);
		await other.over;
		assert.deepEqual([other.failure?.kind, other.failure?.code], ['lost', code]);
		assert.equal(peer.of(FrameType.RST_STREAM).length, 0);
	});
}

/** Stream 1 is reset with that code and its owner told; stream 3 and the connection go on, and a third request is answered. */
export function endsStream(
	rule: string,
	code: number,
	frames: Frames,
	setup: Setup = {},
	fields: string[] = GET,
): void {
	it(`${rule}: the stream ends with ${errorCodeName(code)}`, async () => {
		const scene = await clientScene(setup, fields);
		const { peer, one } = scene;
		peer.send(...frames(peer, scene));
		const reset = await peer.next(FrameType.RST_STREAM);
		assert.deepEqual([reset.streamId, codeOf(reset)], [1, code]);
		await one.over;
		assert.deepEqual([one.failure?.kind, one.failure?.code], ['protocol', code]);
		assert.equal(one.calls.includes('end'), false);
		await assertAlive(scene);
		assert.equal(peer.of(FrameType.RST_STREAM).length, 1);
	});
}

/** Nothing ends, nothing is told. */
export function changesNothing(rule: string, frames: Frames, setup: Setup = {}): void {
	it(rule, async () => {
		const scene = await clientScene(setup);
		const { peer, one, other } = scene;
		peer.send(...frames(peer, scene));
		await peer.settle();
		assert.deepEqual([one.calls, other.calls], [[], []]);
		await assertAlive(scene);
		assert.equal(peer.of(FrameType.RST_STREAM).length, 0);
	});
}

/** Stream 3 is whole and can be answered to its end, on a connection that takes further requests. */
export async function assertAlive({ peer, session, second, other }: ClientScene): Promise<void> {
	await peer.settle();
	assert.equal(session.closed, false);
	assert.deepEqual(peer.of(FrameType.GOAWAY), []);
	assert.equal(other.failure, null);
	const third = new Recorder();
	const stream = session.request(GET, true, third);
	second.end();
	await peer.settle();
	for (const id of [second.id, stream.id]) {
		peer.send(peer.headers(id, [':status', '200'], false), peer.data(id, 'fine', true));
	}
	for (const recorder of [other, third]) {
		await recorder.over;
		assert.equal(recorder.failure, null);
		assert.equal(recorder.body.toString(), 'fine');
		assert.deepEqual(recorder.calls.slice(-2), ['end', 'closed']);
	}
}

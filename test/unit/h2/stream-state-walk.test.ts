/**
 * A real session is brought into every state, in both roles and in every way that leads there, and is sent every type of frame:
 * what it then does is what docs/http2-engine.md says (RFC 9113 section 5.1).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Flag, FrameType } from '../../../src/h2/protocol.ts';
import type { Role } from '../../../src/h2/session.ts';
import type { Stream } from '../../../src/h2/stream.ts';
import type { Verdict } from '../../../src/h2/stream-state.ts';
import { statedStates, statedVerdicts, statelessVerdicts } from '../../helpers/engine-tables.ts';
import {
	type Connection,
	codeOf,
	connect,
	connectClient,
	frame,
	GET,
	OK,
	POST,
	Recorder,
	uint32,
} from '../../helpers/h2-peer.ts';

/** A connection and the stream of it that is in the state in question. */
interface Scene {
	readonly connection: Connection;
	readonly id: number;
	/** Not there where no stream ever was. */
	readonly stream?: Stream;
	readonly recorder?: Recorder;
}

/** More resets than are remembered. */
const MANY = 1025;

async function asServer(act: (connection: Connection) => void | Promise<void> = () => {}, id = 1): Promise<Scene> {
	const connection = connect('server');
	await connection.peer.settle();
	await act(connection);
	await connection.peer.settle();
	const found = connection.accepted.find(({ stream }) => stream.id === id);
	return found ? { connection, id, stream: found.stream, recorder: found.recorder } : { connection, id };
}

/** A request from the peer, then what our side does. */
async function served(fields: string[], endStream: boolean, act: (stream: Stream) => void = () => {}): Promise<Scene> {
	const scene = await asServer(({ peer }) => peer.send(peer.headers(1, fields, endStream)));
	act(scene.stream as Stream);
	await scene.connection.peer.settle();
	return scene;
}

/** A request of ours, then what the peer does. */
async function asked(endStream: boolean, act: (connection: Connection, stream: Stream) => void): Promise<Scene> {
	const connection = await connectClient();
	const recorder = new Recorder();
	const stream = connection.session.request(endStream ? GET : POST, endStream, recorder);
	await connection.peer.settle();
	act(connection, stream);
	await connection.peer.settle();
	return { connection, id: stream.id, stream, recorder };
}

const reset = (id: number) => frame(FrameType.RST_STREAM, 0, id, uint32(8));
const answer = ({ peer }: Connection, endStream: boolean) => peer.send(peer.headers(1, OK, endStream));

/** Every way into each state: role, state, how, scene. */
const ways: Array<[Role, string, string, () => Promise<Scene>]> = [
	['server', 'FORBIDDEN', 'an even number', () => asServer(undefined, 2)],
	[
		'server',
		'IDLE',
		'above all that were used',
		() => asServer(({ peer }) => peer.send(peer.headers(1, POST, false)), 3),
	],
	['server', 'OPEN', 'request under way', () => served(POST, false)],
	['server', 'HALF_CLOSED_LOCAL', 'response complete', () => served(POST, false, (s) => s.respond(OK, true))],
	['server', 'HALF_CLOSED_REMOTE', 'request complete', () => served(GET, true)],
	['server', 'CLOSED', 'both complete', () => served(GET, true, (s) => s.respond(OK, true))],
	[
		'server',
		'CLOSED',
		'reset by the peer',
		() => asServer(({ peer }) => peer.send(peer.headers(1, POST, false), reset(1))),
	],
	['server', 'RESET_BY_US', 'cancelled', () => served(POST, false, (s) => s.reset())],
	['server', 'SKIPPED', 'below the first', () => asServer(({ peer }) => peer.send(peer.headers(5, POST, false)), 3)],
	[
		'server',
		'SKIPPED',
		'between two',
		() => asServer(({ peer }) => peer.send(peer.headers(1, GET), peer.headers(7, GET)), 5),
	],
	[
		'server',
		'FORGOTTEN',
		'many resets ago',
		() =>
			asServer(async ({ peer, accepted }) => {
				for (let i = 0; i < MANY; i++) peer.send(peer.headers(1 + 2 * i, POST, false));
				await peer.settle();
				for (const { stream } of accepted) stream.reset();
			}),
	],
	['client', 'FORBIDDEN', 'a number of the peer', async () => ({ connection: await connectClient(), id: 2 })],
	[
		'client',
		'FORBIDDEN',
		'a number of ours that was not used',
		async () => ({ connection: await connectClient(), id: 1 }),
	],
	['client', 'OPEN', 'both under way', () => asked(false, (c) => answer(c, false))],
	['client', 'HALF_CLOSED_LOCAL', 'request complete', () => asked(true, (c) => answer(c, false))],
	['client', 'HALF_CLOSED_REMOTE', 'response complete', () => asked(false, (c) => answer(c, true))],
	['client', 'CLOSED', 'both complete', () => asked(true, (c) => answer(c, true))],
	['client', 'CLOSED', 'reset by the peer', () => asked(false, ({ peer }) => peer.send(reset(1)))],
	['client', 'RESET_BY_US', 'cancelled', () => asked(false, (_c, stream) => stream.reset())],
	[
		'client',
		'RESET_BY_US',
		'given up at GOAWAY',
		() =>
			asked(false, ({ session, peer }) => {
				session.request(POST, false, new Recorder());
				peer.send(frame(FrameType.GOAWAY, 0, 0, uint32(1, 0)));
			}).then(({ connection }) => ({ connection, id: 3 })),
	],
	[
		'client',
		'FORGOTTEN',
		'many resets ago',
		() =>
			asked(false, ({ session }, first) => {
				first.reset();
				for (let i = 0; i < MANY; i++) session.request(POST, false, new Recorder()).reset();
			}),
	],
];

/** One frame of each type as it is right in itself: HEADERS open where they may, and are trailers elsewhere. */
function frameFor(type: string, state: string, { connection: { peer }, id }: Scene): Buffer {
	switch (type) {
		case 'DATA':
			return peer.data(id, 'x');
		case 'HEADERS':
			return peer.headers(id, state === 'IDLE' ? GET : ['x-trailer', '1']);
		case 'RST_STREAM':
			return reset(id);
		case 'WINDOW_UPDATE':
			return frame(FrameType.WINDOW_UPDATE, 0, id, uint32(5));
		case 'PRIORITY':
			return frame(FrameType.PRIORITY, 0, id, Buffer.from([0, 0, 0, 0, 9]));
		case 'PUSH_PROMISE':
			return frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, id, uint32(2));
		case 'SETTINGS':
			return frame(FrameType.SETTINGS, 0, id);
		case 'PING':
			return frame(FrameType.PING, 0, id, Buffer.alloc(8));
		case 'GOAWAY':
			return frame(FrameType.GOAWAY, 0, id, uint32(0, 0));
		case 'CONTINUATION':
			return frame(FrameType.CONTINUATION, Flag.END_HEADERS, id);
		default:
			return frame(Number(type), 0xff, id, Buffer.from('what'));
	}
}

/** That a frame which was accepted had its effect. */
function assertEffect(type: string, scene: Scene, window: number): void {
	const { connection, stream, recorder } = scene;
	if (stream === undefined) {
		assert.equal(connection.accepted.at(-1)?.stream.id, scene.id, 'the stream was opened');
	} else if (type === 'DATA') {
		assert.equal(recorder?.body.toString(), 'x');
	} else if (type === 'HEADERS') {
		assert.deepEqual(recorder?.trailerFields, ['x-trailer', '1']);
		assert.equal(recorder?.failure, null);
	} else if (type === 'RST_STREAM') {
		assert.equal(recorder?.calls.at(-1), 'closed');
	} else {
		assert.equal(stream.sendWindow, window + 5);
	}
}

async function check(scene: Scene, type: string, state: string, verdict: Verdict): Promise<void> {
	const { connection, id, stream, recorder } = scene;
	const { peer, session, accepted } = connection;
	const window = stream?.sendWindow ?? 0;
	const resets = peer.of(FrameType.RST_STREAM).length;
	const calls = [...(recorder?.calls ?? [])];
	const requests = accepted.length;
	peer.send(frameFor(type, state, scene));
	if (verdict.do === 'end-connection') {
		assert.equal(codeOf(await peer.next(FrameType.GOAWAY)), verdict.code);
		await peer.closed();
		assert.equal(session.closed, true);
		return;
	}
	await peer.settle();
	assert.equal(session.closed, false);
	assert.deepEqual(peer.of(FrameType.GOAWAY), []);
	const answers = peer.of(FrameType.RST_STREAM).slice(resets);
	if (verdict.do === 'end-stream') {
		assert.deepEqual(
			answers.map((one) => [one.streamId, codeOf(one)]),
			[[id, verdict.code]],
		);
		return;
	}
	assert.deepEqual(answers, []);
	if (verdict.do === 'accept') {
		assertEffect(type, scene, window);
		return;
	}
	assert.deepEqual(recorder?.calls ?? [], calls);
	assert.equal(accepted.length, requests);
	assert.equal(stream?.sendWindow ?? 0, window);
}

for (const [role, state, how, enter] of ways) {
	describe(`a ${role}'s stream that is ${state}: ${how}`, () => {
		for (const { frame: type, text, verdict } of statedVerdicts().filter((stated) => stated.state === state)) {
			it(`${type}: ${text}`, async () => check(await enter(), type, state, verdict));
		}
		for (const { frame: type, text, verdict } of statelessVerdicts()) {
			it(`${type}: ${text}`, async () => check(await enter(), type, state, verdict));
		}
	});
}

it('every state was walked in every role in which it exists', () => {
	const walked = new Set(ways.map(([role, state]) => `${role} ${state}`));
	const stated = statedStates().flatMap(({ state, roles }) => roles.map((role) => `${role} ${state}`));
	assert.deepEqual([...walked].sort(), stated.sort());
});

/** Hubs and agents that say exactly the frames that a test wants, at the other end of a real agent's or a real hub's tunnel. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { parseHubAddress } from '../../src/tunnel/address.ts';
import { dialTunnel } from '../../src/tunnel/dial.ts';
import { acceptUpgrade } from '../../src/tunnel/handshake.ts';
import { RawPeer, settingsFrame, settingsOf } from './h2-peer.ts';
import { eventually, listenOn, type Stack, token } from './stack.ts';

export const MAX_CONCURRENT_STREAMS = 3;

/** The stream limit that the peer was told last. */
export function limitOf(peer: RawPeer): number | undefined {
	for (const { payload, flags } of peer.frames.filter((f) => f.type === 4).reverse()) {
		const limit = settingsOf({ type: 4, flags, streamId: 0, payload }).get(MAX_CONCURRENT_STREAMS);
		if (limit !== undefined) return limit;
	}
	return undefined;
}

/** A hub whose tunnels are in the test's hands. */
export class RawHub {
	readonly url: string;
	readonly #arrived: RawPeer[] = [];
	#wake: (() => void) | null = null;

	private constructor(port: number) {
		this.url = `http://127.0.0.1:${port}`;
	}

	static async open(context: TestContext): Promise<RawHub> {
		const server = createServer();
		const hub = new RawHub(await listenOn(context, server));
		server.on('upgrade', (_req, socket: Socket, head) => {
			context.after(() => socket.destroy());
			acceptUpgrade(socket, {});
			if (head.length > 0) socket.unshift(head);
			const peer = new RawPeer(socket, 'client');
			peer.send(settingsFrame());
			hub.#arrived.push(peer);
			hub.#wake?.();
		});
		return hub;
	}

	/** The next tunnel, when its agent has told its first limit. */
	async tunnel(): Promise<RawPeer> {
		while (this.#arrived.length === 0) {
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
		const peer = this.#arrived.shift() as RawPeer;
		await peer.until(() => limitOf(peer) !== undefined);
		return peer;
	}
}

/** An agent of `stack`'s hub whose frames are in the test's hands. @param limit the workers that it says it has */
export async function rawAgent(context: TestContext, { hub }: Stack, limit = 1): Promise<RawPeer> {
	const before = hub.agents;
	const { socket, head } = await dialTunnel({
		hub: parseHubAddress(hub.url),
		token: await token(),
		agentId: 'raw',
		info: { version: 'raw', numWorker: limit },
		connectTimeout: 10_000,
	});
	context.after(() => socket.destroy());
	if (head.length > 0) socket.unshift(head);
	const peer = new RawPeer(socket, 'server');
	peer.send(settingsFrame(MAX_CONCURRENT_STREAMS, limit));
	await eventually('the raw agent joined', () => hub.agents === before + 1);
	return peer;
}

/** Cuts a peer's connection as a crash does. */
export async function cut(peer: RawPeer): Promise<void> {
	const { socket } = peer;
	socket.destroy();
	if (!socket.closed) await once(socket, 'close');
}

/** Ends of a tunnel that have all the right papers and then send whatever a test says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { acceptUpgrade } from '../../src/tunnel/handshake.ts';
import { RawPeer, settingsFrame } from './h2-peer.ts';
import { listenOn } from './stack.ts';

/** A hub that lets every agent in and does nothing by itself. */
export class FakeHub {
	readonly url: string;
	readonly #arrived: RawPeer[] = [];
	readonly #waiting: Array<(peer: RawPeer) => void> = [];

	private constructor(url: string) {
		this.url = url;
	}

	static async open(context: TestContext): Promise<FakeHub> {
		const server = createServer();
		const port = await listenOn(context, server);
		const hub = new FakeHub(`http://127.0.0.1:${port}`);
		const sockets = new Set<Duplex>();
		server.on('upgrade', (_req, socket: Duplex) => {
			sockets.add(socket);
			acceptUpgrade(socket);
			const peer = new RawPeer(socket, 'client');
			peer.send(settingsFrame());
			const next = hub.#waiting.shift();
			if (next) next(peer);
			else hub.#arrived.push(peer);
		});
		context.after(() => {
			for (const socket of sockets) socket.destroy();
		});
		return hub;
	}

	/** The next tunnel; the preface was sent. */
	tunnel(): Promise<RawPeer> {
		const peer = this.#arrived.shift();
		if (peer) return Promise.resolve(peer);
		return new Promise((resolve) => this.#waiting.push(resolve));
	}
}

/** Joins a hub as an agent with `workers` workers. */
export async function fakeAgent(context: TestContext, port: number, token: string, workers: number): Promise<RawPeer> {
	const req = request({
		host: '127.0.0.1',
		port,
		path: '/.slime/tunnel',
		headers: {
			connection: 'Upgrade',
			upgrade: 'h2c-reverse',
			authorization: `Bearer ${token}`,
			'slime-agent-id': 'hostile',
		},
	});
	req.end();
	const [response, socket, head] = await once(req, 'upgrade');
	assert.equal(response.statusCode, 101);
	context.after(() => socket.destroy());
	if (head.length > 0) socket.unshift(head);
	const peer = new RawPeer(socket, 'server');
	peer.send(settingsFrame(3, workers));
	await peer.settle();
	return peer;
}

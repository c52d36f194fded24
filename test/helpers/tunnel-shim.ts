/**
 * The hub's side of the handshake and nothing else (PROTOCOL.md section 1): each TCP connection is given the tunnel of a fresh
 * agent, byte for byte, so that any HTTP/2 client can speak to the agent as it ships.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type Agent, createAgent, type GivenAgentOptions } from '../../src/index.ts';
import { listenOn } from './stack.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\n\r\n';

export interface TunnelShim {
	/** Where HTTP/2 clients connect. */
	readonly port: number;
	/** Connections that were given a tunnel. */
	readonly served: number;
}

/** @param options of each agent; its hub, token and id are the shim's */
export async function tunnelShim(
	context: TestContext,
	options: Omit<GivenAgentOptions, 'token' | 'hubs' | 'agentID'>,
): Promise<TunnelShim> {
	const awaited = new Map<string, (tunnel: Socket) => void>();
	const open = new Set<Socket>();
	const agents = new Set<Agent>();
	let served = 0;

	const track = (socket: Socket) => {
		open.add(socket);
		// Either end may cut the connection; the other one is then cut too.
		socket.on('error', () => socket.destroy());
		socket.on('close', () => open.delete(socket));
	};

	const hub = createServer({ allowHalfOpen: true }, (socket) => {
		track(socket);
		let head = '';
		socket.on('data', function read(chunk: Buffer) {
			head += chunk.toString('latin1');
			if (!head.includes('\r\n\r\n')) return;
			socket.off('data', read);
			socket.pause();
			const id = /^slime-agent-id: (.*)$/im.exec(head)?.[1]?.trim() ?? '';
			const take = awaited.get(id);
			awaited.delete(id);
			// An agent dials again when its tunnel ended; one that was used is not wanted again.
			if (take === undefined) {
				socket.destroy();
				return;
			}
			socket.write(SWITCH);
			take(socket);
		});
	});
	const hubPort = await listenOn(context, hub);

	const front = createServer({ allowHalfOpen: true, pauseOnConnect: true }, async (client) => {
		track(client);
		served++;
		const agentID = `agent-${served}`;
		const arrived = new Promise<Socket>((resolve) => awaited.set(agentID, resolve));
		const agent = await createAgent({ ...options, token: 'opaque', hubs: [`127.0.0.1:${hubPort}`], agentID });
		agents.add(agent);
		const tunnel = await arrived;
		client.pipe(tunnel);
		tunnel.pipe(client);
		client.once('close', () => tunnel.destroy());
		tunnel.once('close', () => client.destroy());
		await once(tunnel, 'close');
		await agent.close();
		agents.delete(agent);
	});
	const port = await listenOn(context, front);

	context.after(async () => {
		for (const socket of open) socket.destroy();
		await Promise.all([...agents].map((agent) => agent.close()));
	});
	return {
		port,
		get served() {
			return served;
		},
	};
}

/** An agent that may leave its network through a CONNECT proxy only: the environment names it, the tunnel passes it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startCli } from '../helpers/cli.ts';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { ask, eventually, listenOn, stack, token, WAITS } from '../helpers/stack.ts';

interface EgressProxy {
	readonly port: number;
	/** What was asked for: authority and Proxy-Authorization. */
	readonly asked: Array<{ to: string | undefined; authorization: string | undefined }>;
}

async function egressProxy(context: TestContext, authorization?: string): Promise<EgressProxy> {
	const asked: EgressProxy['asked'] = [];
	const open = new Set<Socket>();
	const server = createServer((_req, res) => res.writeHead(405).end());
	server.on('connect', (req, client: Socket, head: Buffer) => {
		asked.push({ to: req.url, authorization: req.headers['proxy-authorization'] });
		if (req.headers['proxy-authorization'] !== authorization) {
			client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
			return;
		}
		const { hostname, port } = new URL(`http://${req.url}`);
		const onward = connect(Number(port), hostname, () => {
			client.write('HTTP/1.1 200 Connection established\r\n\r\n');
			if (head.length > 0) onward.write(head);
			client.pipe(onward).pipe(client);
		});
		for (const [socket, other] of [
			[client, onward],
			[onward, client],
		] as const) {
			open.add(socket);
			socket.on('error', () => socket.destroy());
			socket.on('close', () => other.destroy());
		}
	});
	const port = await listenOn(context, server);
	context.after(() => {
		for (const socket of open) socket.destroy();
	});
	return { port, asked };
}

async function agentBehind(context: TestContext, hubUrl: string, upstream: string, proxy: string) {
	const agent = startCli(['agent', 'run', '--hub', hubUrl, '--upstream', upstream, '--agentID', 'inside'], {
		env: {
			SLIME_AGENT_TOKEN: await token(),
			SLIME_AGENT_REPORT_HARDWARE: 'false',
			http_proxy: proxy,
			no_proxy: '',
			NO_PROXY: '',
		},
	});
	context.after(async () => {
		agent.child.kill('SIGKILL');
		await agent.exit;
	});
	return agent;
}

test('a tunnel through a CONNECT proxy with a password serves requests and streams', async (context) => {
	const { hub, port } = await stack(context);
	const { address, streams } = await talkingUpstream(context);
	const proxy = await egressProxy(context, `Basic ${Buffer.from('agent:s3cret').toString('base64')}`);
	const agent = await agentBehind(context, hub.url, address, `http://agent:s3cret@127.0.0.1:${proxy.port}`);
	await eventually('the agent joined', () => hub.agents === 1);
	assert.deepEqual(
		proxy.asked.map(({ to }) => to),
		[`127.0.0.1:${port}`],
	);

	const answer = await ask(port, '/v1/models', { headers: WAITS });
	assert.equal(answer.status, 200);
	assert.equal(answer.headers['slime-agent-id'], 'inside');

	const { service, read } = await eventAtOnce(context, { port, path: '/events', streams });
	assert.equal(await read(), 'data: first\n\n');
	service.end('data: last\n\n');
	assert.equal(await read(), 'data: last\n\n');
	assert.doesNotMatch(agent.stdout + agent.stderr, /s3cret/);
});

test('an agent whose proxy wants another password says so, without telling the one it has', async (context) => {
	const { hub } = await stack(context);
	const proxy = await egressProxy(context, 'Basic something-else');
	const agent = await agentBehind(context, hub.url, '127.0.0.1:9', `http://agent:s3cret@127.0.0.1:${proxy.port}`);
	await agent.output(/407|password|proxy/i);
	assert.equal(hub.agents, 0);
	assert.doesNotMatch(agent.stdout + agent.stderr, /s3cret/);
});

/** A hub's name: looked up again and again, with a tunnel to each hub behind it. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Agent, createAgent } from '../../src/index.ts';
import { type FakeName, fakeName } from '../helpers/names.ts';
import { closedPort } from '../helpers/ports.ts';
import { Arrivals, ask, eventually, LogSink, listenOn, stack, token, upstream, WAITS } from '../helpers/stack.ts';

const NAME = 'hubs.test';

/** A hub at one of the addresses that this machine has for itself. */
async function hubAt(context: TestContext, host: string, port: number) {
	return stack(context, [], { hub: { host, port } });
}

/** Another address of a hub. */
async function secondAddress(context: TestContext, host: string, to: { host: string; port: number }): Promise<void> {
	const open = new Set<Socket>();
	const server = createServer((socket) => {
		const onward = connect(to.port, to.host);
		for (const [one, other] of [
			[socket, onward],
			[onward, socket],
		] as const) {
			open.add(one);
			one.on('error', () => other.destroy()).on('close', () => open.delete(one));
			one.pipe(other);
		}
	});
	await listenOn(context, server, { host, port: to.port });
	context.after(() => {
		for (const socket of open) socket.destroy();
	});
}

async function agentOf(context: TestContext, port: number, address: string): Promise<{ agent: Agent; log: LogSink }> {
	const log = new LogSink();
	const agent = await createAgent({
		token: await token(),
		hubs: [`http://${NAME}:${port}`],
		upstreams: [address],
		agentID: 'agent',
		resolveInterval: 20,
		reportHardware: false,
		logger: log.logger,
	});
	context.after(() => agent.close());
	return { agent, log };
}

/** Until so many more lookups have been answered. */
async function lookups(name: FakeName, times: number): Promise<void> {
	const until = name.asked + times;
	await eventually('the name was looked up', () => name.asked >= until);
}

test('each hub behind a name gets one tunnel, also one that has two addresses, and all of them share the workers', async (context) => {
	const port = await closedPort();
	const one = await hubAt(context, '127.0.0.1', port);
	const two = await hubAt(context, '127.0.0.2', port);
	await secondAddress(context, '127.0.0.3', { host: '127.0.0.2', port });
	const name = fakeName(context, NAME, ['127.0.0.1', '127.0.0.2', '127.0.0.3']);
	const arrivals = new Arrivals();
	const service = await upstream(context, arrivals.handler);
	const { agent, log } = await agentOf(context, port, service.address);
	await eventually('both hubs have it', () => one.hub.agents === 1 && two.hub.agents === 1);
	await eventually('the third leads to the second', () => log.has('another tunnel leads to the same hub'));
	await lookups(name, 5);
	assert.equal(agent.connected, 2);
	assert.equal(one.log.lines.filter(({ msg }) => msg === 'agent connected').length, 1);
	assert.equal(two.log.lines.filter(({ msg }) => msg === 'agent connected').length, 1);
	const first = ask(port, '/', { headers: WAITS });
	const [, busy] = await arrivals.next();
	const second = ask(port, '/', { headers: WAITS, host: '127.0.0.2' });
	await eventually('it waits there', () => two.hub.waiting === 1);
	busy.end('one');
	assert.equal((await first).body, 'one');
	const [, next] = await arrivals.next();
	next.end('two');
	assert.equal((await second).body, 'two');
	assert.equal(service.peak, 1);
});

test('a hub that comes to a name gets a tunnel, and one that leaves it loses its own when its requests are done', async (context) => {
	const port = await closedPort();
	const one = await hubAt(context, '127.0.0.1', port);
	const two = await hubAt(context, '127.0.0.2', port);
	const three = await hubAt(context, '127.0.0.3', port);
	const name = fakeName(context, NAME, ['127.0.0.1', '127.0.0.2']);
	const arrivals = new Arrivals();
	const service = await upstream(context, arrivals.handler);
	const { agent } = await agentOf(context, port, service.address);
	await eventually('two have it', () => one.hub.agents === 1 && two.hub.agents === 1);
	name.addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
	await eventually('the third has it, too', () => three.hub.agents === 1);
	assert.equal(agent.connected, 3);
	const running = ask(port, '/', { headers: WAITS, host: '127.0.0.2' });
	const [, response] = await arrivals.next();
	response.write('half, ');
	// An answer that leaves some out for once counts for nothing.
	name.addresses = ['127.0.0.1'];
	await lookups(name, 1);
	name.addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
	await lookups(name, 3);
	assert.equal(two.log.has('the agent is leaving'), false);
	assert.equal(agent.connected, 3);
	name.addresses = ['127.0.0.1', '127.0.0.3'];
	await eventually('the second is told', () => two.log.has('the agent is leaving'));
	response.end('whole');
	assert.equal((await running).body, 'half, whole');
	await eventually('its tunnel is gone', () => two.log.has('agent disconnected') && two.hub.agents === 0);
	assert.equal(one.hub.agents + three.hub.agents, 2);
	assert.equal(agent.connected, 2);
});

test('an agent moves to where the name of its hub leads now, and finishes at the old one what it has', async (context) => {
	const port = await closedPort();
	const old = await hubAt(context, '127.0.0.1', port);
	const next = await hubAt(context, '127.0.0.2', port);
	const name = fakeName(context, NAME, ['127.0.0.1']);
	const arrivals = new Arrivals();
	const service = await upstream(context, arrivals.handler);
	const { agent } = await agentOf(context, port, service.address);
	await eventually('the old one has it', () => old.hub.agents === 1);
	const running = ask(port, '/', { headers: WAITS });
	const [, response] = await arrivals.next();
	response.write('half, ');
	name.addresses = [];
	await lookups(name, 5);
	assert.equal(old.hub.agents, 1, 'a name that cannot be looked up changes nothing');
	name.addresses = ['127.0.0.2'];
	await eventually('the new one has it', () => next.hub.agents === 1);
	const waiting = ask(port, '/', { headers: WAITS, host: '127.0.0.2' });
	response.end('whole');
	assert.equal((await running).body, 'half, whole');
	await eventually('the old one has lost it', () => old.hub.agents === 0);
	const [, late] = await arrivals.next();
	late.end('late');
	assert.equal((await waiting).body, 'late');
	assert.equal(service.peak, 1);
	assert.equal(agent.connected, 1);
});

/** The admin listener's limits: each is held, and whoever was ended for it is counted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { AdminAccess } from '../../../src/admin/access.ts';
import { probeRoutes } from '../../../src/admin/probes.ts';
import { type AdminLimits, AdminServer } from '../../../src/admin/server.ts';
import { EndedConnections } from '../../../src/hub/ended.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { eventually, RawClient } from '../../helpers/stack.ts';

/** Milliseconds; a machine that stands still for as long makes another phase of it. */
const SHORT = 1500;
const GET = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

interface Scene {
	readonly port: number;
	/** The phases that were counted. */
	ended(): Record<string, number>;
}

async function scene(t: TestContext, limits: Partial<AdminLimits>): Promise<Scene> {
	const counted = new EndedConnections(silentLogger);
	const server = new AdminServer({
		routes: [
			...probeRoutes(() => 'ready'),
			{ method: 'POST', path: '/read', open: true, handle: (req) => void req.resume() },
			{
				method: 'GET',
				path: '/large',
				open: true,
				handle: (_req, res) => void res.end(Buffer.alloc(32 * 1024 * 1024)),
			},
		],
		access: new AdminAccess(undefined, '127.0.0.1'),
		audit: null,
		logger: silentLogger,
		ended: counted,
		limits,
	});
	const at = await server.open({ host: '127.0.0.1', port: 0, required: true });
	t.after(() => server.close());
	return {
		port: at?.port ?? 0,
		ended: () => Object.fromEntries(Object.entries(counted.counts).filter(([, count]) => count > 0)),
	};
}

test('a connection that says nothing, half a head, or half a body is ended and counted', async (t) => {
	const { port, ended } = await scene(t, { requestTimeout: SHORT });
	const silent = await RawClient.open(t, port);
	await silent.all();
	assert.deepEqual(ended(), { first_byte: 1 });
	for (const text of [
		'GET /healthz HTTP/1.1\r\nHost: ',
		'POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
	]) {
		const slow = await RawClient.open(t, port);
		slow.send(text);
		await slow.all();
	}
	assert.deepEqual(ended(), { first_byte: 1, headers: 2 });
});

test('a connection that is idle, or whose client does not read, is ended and counted', async (t) => {
	const impatient = await scene(t, { keepAliveTimeout: SHORT });
	const idle = await RawClient.open(t, impatient.port);
	idle.send(GET);
	assert.match(await idle.all(), /200 OK/);
	assert.deepEqual(impatient.ended(), { keep_alive: 1 });
	const { port, ended } = await scene(t, { silence: SHORT });
	const paused = connect(port, '127.0.0.1');
	t.after(() => paused.destroy());
	paused.pause();
	paused.write('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
	await eventually('it is ended', () => ended().keep_alive === 1);
});

test('one connection too many, of one address or of all, is closed and counted', async (t) => {
	for (const [limits, phase] of [
		[{ connections: 2 }, 'too_many'],
		[{ connectionsPerAddress: 2 }, 'per_address'],
	] as const) {
		const { port, ended } = await scene(t, limits);
		const served: RawClient[] = [];
		for (let i = 0; i < 2; i++) {
			const client = await RawClient.open(t, port);
			client.send(GET);
			await client.sees('200 OK');
			served.push(client);
		}
		const third = connect(port, '127.0.0.1');
		t.after(() => third.destroy());
		third.on('error', () => undefined);
		let received = '';
		third.on('data', (chunk) => {
			received += chunk;
		});
		third.write(GET);
		await once(third, 'close');
		assert.equal(received, '');
		assert.deepEqual(ended(), { [phase]: 1 });
		// Those that are there go on.
		served[0]?.send(GET);
		await served[0]?.sees('200 OK', 2);
	}
});

test('the last request that a connection may bring is answered with Connection: close', async (t) => {
	const { port } = await scene(t, { requestsPerConnection: 2 });
	const client = await RawClient.open(t, port);
	client.send(GET);
	await client.sees('200 OK');
	client.send(GET);
	const text = await client.all();
	assert.equal(text.split('200 OK').length - 1, 2);
	assert.equal(text.split(/connection: close/i).length - 1, 1);
});

test('too many header bytes or fields are 431', async (t) => {
	const { port } = await scene(t, {});
	for (const fields of [`X: ${'x'.repeat(16 * 1024)}\r\n`, 'X: x\r\n'.repeat(100)]) {
		const client = await RawClient.open(t, port);
		client.send(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
		assert.match(await client.all(), /^HTTP\/1\.1 431 .*slime-error: headers_too_large/is);
	}
});

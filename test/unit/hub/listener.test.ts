/** A listener that is retired: new connections go to whoever accepts next, those that are open lose nothing. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { Agent as HttpsAgent, request } from 'node:https';
import { type TestContext, test } from 'node:test';
import type { AppRequest } from '../../../src/hub/app-request.ts';
import { Door } from '../../../src/hub/door.ts';
import { EndedConnections } from '../../../src/hub/ended.ts';
import { Listener } from '../../../src/hub/listener.ts';
import { HUB_DEFAULTS } from '../../../src/hub/options.ts';
import { Upgrades } from '../../../src/hub/upgrades.ts';
import { PerAddress } from '../../../src/shared/per-address.ts';
import type { ServerTls } from '../../../src/tls/contexts.ts';
import { makeCertificates } from '../../helpers/certificates.ts';
import { ask, RawClient } from '../../helpers/stack.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function answer(app: AppRequest): void {
	app.head(200, ['content-length', '6']);
	app.finish(Buffer.from('served'), []);
}

async function listening(
	context: TestContext,
	tls: ServerTls | null = null,
): Promise<{ retire: (over?: () => void) => void; port: number }> {
	const { logger } = HUB_DEFAULTS;
	const ended = new EndedConnections(logger);
	const listener = new Listener(
		{
			...HUB_DEFAULTS,
			tls,
			verifyIfPresented: false,
			upgrades: new Upgrades([]),
			trusted: null,
			perAddress: new PerAddress(0),
			ended,
		},
		{ request: answer, tunnel: () => assert.fail('no tunnel'), refused: () => assert.fail('nobody is refused') },
	);
	const door = new Door(listener, 100, ended, logger);
	const { port } = await door.open({ host: '127.0.0.1', port: 0 });
	context.after(() => {
		door.close();
		listener.close();
		listener.destroy();
	});
	const retire = () => {
		door.close();
		return listener.retire();
	};
	return { retire, port };
}

test('connections that are open when a listener is retired are served, and closed after that', async (t) => {
	const { retire, port } = await listening(t);
	const idle = await RawClient.open(t, port);
	idle.send(GET);
	await idle.sees('served');
	const silent = await RawClient.open(t, port);
	// An answer to somebody who came later: the silent one was accepted.
	await ask(port);
	const over = retire();
	for (const client of [idle, silent]) client.send(GET);
	assert.match(await idle.all(), /served.*\r\nConnection: close\r\n.*served$/s);
	assert.match(await silent.all(), /\r\nConnection: close\r\n.*served$/s);
	await assert.rejects(ask(port), { code: 'ECONNREFUSED' });
	await over;
});

test('an HTTP/2 connection that is open when a listener is retired is told so, and what it asked before it knew is served', async (t) => {
	const { retire, port } = await listening(t);
	const session = connect(`http://127.0.0.1:${port}`);
	t.after(() => session.destroy());
	const asked = () =>
		new Promise((resolve, reject) => {
			let body = '';
			const stream = session.request();
			stream.setEncoding('utf8').on('data', (text) => {
				body += text;
			});
			stream.on('error', reject);
			stream.on('end', () => resolve(body));
		});
	assert.equal(await asked(), 'served');
	const told = new Promise((resolve) => session.once('goaway', resolve));
	retire();
	assert.equal(await asked(), 'served');
	assert.equal(await told, 0);
});

test('a TLS connection that is open when a listener is retired is served, and closed after that', async (t) => {
	const { ca, cert, key } = makeCertificates();
	const tls = { cert, key, minVersion: 'TLSv1.2', requestCert: false, rejectUnauthorized: false } as const;
	const { retire, port } = await listening(t, tls);
	const agent = new HttpsAgent({ keepAlive: true, ca });
	t.after(() => agent.destroy());
	const asked = () =>
		new Promise((resolve, reject) => {
			const req = request({ host: '127.0.0.1', port, agent }, (res) => {
				res.resume();
				res.on('end', () => resolve([res.statusCode, res.headers.connection, req.reusedSocket]));
			});
			req.on('error', reject);
			req.end();
		});
	assert.deepEqual(await asked(), [200, 'keep-alive', false]);
	retire();
	assert.deepEqual(await asked(), [200, 'close', true]);
	await assert.rejects(asked(), { code: 'ECONNREFUSED' });
});

/** HAProxy in front of the hub: applications and tunnels through it, a path prefix taken off. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { writeCertificates } from '../helpers/certificates.ts';
import { eventAtOnce, talkingUpstream } from '../helpers/event-stream.ts';
import { h2Ask } from '../helpers/h2-app.ts';
import { haproxy } from '../helpers/proxy-programs.ts';
import { ask, stack, upstream, WAITS } from '../helpers/stack.ts';

/** @returns the port of a HAProxy that stands in front of the hub */
function before(context: TestContext, hubPort: number): Promise<number> {
	return haproxy(
		context,
		'http',
		(port) => `
frontend apps
	bind 127.0.0.1:${port}
	http-request replace-path /gpu/(.*) /\\1
	default_backend hub
backend hub
	server hub 127.0.0.1:${hubPort}
`,
	);
}

/** @returns the port of a HAProxy that passes bytes on from 127.0.0.2, behind a PROXY header */
function forwarder(context: TestContext, hubPort: number, options: string): Promise<number> {
	return haproxy(
		context,
		'tcp',
		(port) => `
frontend apps
	bind 127.0.0.1:${port}
	default_backend hub
backend hub
	source 127.0.0.2
	server hub 127.0.0.1:${hubPort} ${options}
`,
	);
}

for (const prefix of ['', '/gpu']) {
	test(`applications and a tunnel pass HAProxy${prefix && ` below ${prefix}`}`, async (context) => {
		const { port: hubPort, join: joinHub } = await stack(context);
		const { address, streams } = await talkingUpstream(context);
		const port = await before(context, hubPort);
		await joinHub(address, { hubs: [`http://127.0.0.1:${port}${prefix}`] });

		const seen = await ask(port, `${prefix}/v1/models`, { headers: WAITS });
		assert.equal(seen.status, 200);
		assert.equal(JSON.parse(seen.body).url, '/v1/models');

		const body = 'x'.repeat(3 * 1024 * 1024);
		const echoed = await ask(port, `${prefix}/echo`, { method: 'POST', headers: WAITS, body });
		assert.ok(echoed.complete && echoed.body === body, `${echoed.body.length} bytes came back`);

		const { app, service, read } = await eventAtOnce(context, { port, path: `${prefix}/events`, streams });
		assert.equal(await read(), 'data: first\n\n');
		service.write('data: second\n\n');
		assert.equal(await read(), 'data: second\n\n');
		const stopped = once(service, 'close');
		app.destroy();
		await stopped;
	});
}

for (const options of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id']) {
	test(`apps and a tunnel keep their addresses behind HAProxy with ${options}`, async (context) => {
		const { cert, key, ca } = await certificates(context);
		const hub = { trustedProxies: ['127.0.0.2'], proxyProtocol: true };
		for (const tls of [undefined, { cert, key }]) {
			const { port: hubPort, join: joinHub, log } = await stack(context, [], { hub: { ...hub, tls } });
			const service = await upstream(context, (req, res) => res.end(req.headers['x-forwarded-for']));
			const port = await forwarder(context, hubPort, options);
			const scheme = tls ? 'https' : 'http';
			await joinHub(service.address, { hubs: [`${scheme}://localhost:${port}`], ca });
			const [version, pem] = [tls ? 'h2' : 'h2c', await readFile(ca)];
			for (const localAddress of ['127.0.0.1', '127.0.0.5']) {
				const socket = connect({ host: '127.0.0.1', port, localAddress });
				const secure = tls && connectTls({ socket, ca: pem, servername: 'localhost', ALPNProtocols: ['h2'] });
				const session = connectHttp2(`${scheme}://localhost:${port}`, { createConnection: () => secure ?? socket });
				context.after(() => session.destroy());
				assert.equal((await h2Ask(session)).body, localAddress, version);
			}
			assert.equal(log.lines.find((line) => line.msg === 'agent connected')?.address, '127.0.0.1');
		}
	});
}

async function certificates(context: TestContext) {
	const folder = await mkdtemp(join(tmpdir(), 'slime-haproxy-'));
	context.after(() => rm(folder, { recursive: true, force: true }));
	return writeCertificates(folder);
}

/** HAProxy in front of the hub: applications and tunnels through it, a path prefix taken off. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventAtOnce, talkingUpstream, WAIT } from '../helpers/event-stream.ts';
import { findProgram, freePort, startDaemon } from '../helpers/peer-process.ts';
import { ask, stack } from '../helpers/stack.ts';

/** @returns the port of a HAProxy that stands in front of the hub */
async function haproxy(context: TestContext, hubPort: number): Promise<number> {
	const program = findProgram('haproxy', 'haproxy');
	const folder = await mkdtemp(join(tmpdir(), 'slime-haproxy-'));
	context.after(() => rm(folder, { recursive: true, force: true }));
	const port = await freePort();
	const config = `
defaults
	mode http
	option abortonclose
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
frontend apps
	bind 127.0.0.1:${port}
	http-request replace-path /gpu/(.*) /\\1
	default_backend hub
backend hub
	server hub 127.0.0.1:${hubPort}
`;
	await writeFile(join(folder, 'haproxy.cfg'), config);
	await startDaemon(context, program, ['-db', '-f', join(folder, 'haproxy.cfg')], port);
	return port;
}

for (const prefix of ['', '/gpu']) {
	test(`applications and a tunnel pass HAProxy${prefix && ` below ${prefix}`}`, async (context) => {
		const { port: hubPort, join: joinHub } = await stack(context);
		const { address, streams } = await talkingUpstream(context);
		const port = await haproxy(context, hubPort);
		await joinHub(address, { hubs: [`http://127.0.0.1:${port}${prefix}`] });

		const seen = await ask(port, `${prefix}/v1/models`, { headers: WAIT });
		assert.equal(seen.status, 200);
		assert.equal(JSON.parse(seen.body).url, '/v1/models');

		const body = 'x'.repeat(3 * 1024 * 1024);
		const echoed = await ask(port, `${prefix}/echo`, { method: 'POST', headers: WAIT, body });
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

/** Node's own HTTP/2 as the other end, in both roles, over real sockets. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Session, type SessionHandler } from '../../../src/h2/session.ts';
import type { Stream } from '../../../src/h2/stream.ts';
import { GET, OK, POST, Recorder } from '../../helpers/h2-peer.ts';
import { seeded } from '../../helpers/seeded.ts';

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	return (server.address() as AddressInfo).port;
}

function body(random: (below: number) => number): Buffer {
	return Buffer.alloc(random(20_000), random(256));
}

describe("the engine as server, Node's http2 as client", () => {
	let server: net.Server;
	let client: http2.ClientHttp2Session;
	const sessions: Session[] = [];
	const failures: string[] = [];
	let onFailure = () => {};

	/** Echoes; /trailers, /early, /reset, /wait and /settings do what they say. */
	const handler: SessionHandler = {
		stream(stream, fields) {
			const path = fields[fields.indexOf(':path') + 1];
			if (path === '/reset') {
				stream.respond(OK, false);
				stream.write(Buffer.from('some'));
				setTimeout(() => stream.reset(2), 20);
			} else if (path === '/early') {
				stream.respond([':status', '103', 'link', '</a>'], false);
				stream.respond(OK, true);
			} else {
				stream.respond(OK, false);
			}
			return {
				data(from, chunk) {
					from.write(chunk);
					from.consume(chunk.length);
				},
				end: (from) => {
					if (path !== '/wait' && path !== '/reset') from.end(path === '/trailers' ? ['x-sum', 'ok'] : undefined);
				},
				failed: (_from, failure) => {
					failures.push(`${failure.kind} ${failure.code}`);
					onFailure();
				},
			};
		},
		closed() {},
	};

	before(async () => {
		server = net.createServer((socket) => {
			sessions.push(
				new Session({
					socket,
					role: 'server',
					handler,
					settings: { maxConcurrentStreams: 2000, enableConnectProtocol: true },
				}),
			);
		});
		client = http2.connect(`http://127.0.0.1:${await listening(server)}`);
		await once(client, 'remoteSettings');
	});
	after(() => {
		client.destroy();
		server.close();
	});

	async function echoed(sent: Buffer, path = '/'): Promise<{ got: Buffer; trailers: http2.IncomingHttpHeaders }> {
		const request = client.request({ ':method': 'POST', ':path': path });
		let trailers = {};
		request.on('trailers', (fields) => {
			trailers = fields;
		});
		request.end(sent);
		const chunks: Buffer[] = [];
		for await (const chunk of request) chunks.push(chunk as Buffer);
		return { got: Buffer.concat(chunks), trailers };
	}

	it('echoes 1,000 bodies at once unharmed', async () => {
		const random = seeded(1);
		await Promise.all(
			Array.from({ length: 1000 }, async () => {
				const sent = body(random);
				assert.equal(hash((await echoed(sent)).got), hash(sent));
			}),
		);
		assert.equal(sessions[0]?.openStreams, 0);
	});

	it('announces extended CONNECT', () => assert.equal(client.remoteSettings.enableConnectProtocol, true));

	it('sends trailers and early hints', async () => {
		assert.equal((await echoed(Buffer.from('x'), '/trailers')).trailers['x-sum'], 'ok');
		const request = client.request({ ':path': '/early' });
		const [early] = await once(request, 'headers');
		assert.equal(early[':status'], 103);
		const [final] = await once(request, 'response');
		assert.equal(final[':status'], 200);
		request.resume();
		await once(request, 'close');
	});

	it('is told of a cancel, 2,000 times on one connection', async () => {
		failures.length = 0;
		for (let round = 0; round < 20; round++) {
			const told = new Promise<void>((resolve) => {
				onFailure = () => {
					if (failures.length === (round + 1) * 100) resolve();
				};
			});
			for (let i = 0; i < 100; i++) {
				const request = client.request({ ':path': '/wait' });
				request.on('error', () => {});
				request.once('response', () => request.close(http2.constants.NGHTTP2_CANCEL));
			}
			await told;
		}
		assert.deepEqual(new Set(failures), new Set(['reset 8']));
		assert.equal((await echoed(Buffer.from('still here'))).got.toString(), 'still here');
	});

	it('resets what it cannot finish', async () => {
		const request = client.request({ ':path': '/reset' });
		request.resume();
		const [error] = await once(request, 'error');
		assert.equal(error.code, 'ERR_HTTP2_STREAM_ERROR');
		assert.equal(request.rstCode, 2);
	});

	it('follows changed settings both ways', async () => {
		await new Promise((resolve) => client.settings({ initialWindowSize: 1000, headerTableSize: 0 }, resolve));
		const sent = Buffer.alloc(300_000, 5);
		assert.equal(hash((await echoed(sent)).got), hash(sent));
		const announced = once(client, 'remoteSettings');
		sessions[0]?.updateSettings({ maxConcurrentStreams: 7, maxFrameSize: 32_768 });
		const [settings] = await announced;
		assert.deepEqual([settings.maxConcurrentStreams, settings.maxFrameSize], [7, 32_768]);
		assert.equal(hash((await echoed(sent)).got), hash(sent));
	});

	it('finishes what is open after shutdown and then closes', async () => {
		const request = client.request({ ':method': 'POST', ':path': '/' });
		await once(request, 'response');
		const goaway = once(client, 'goaway');
		const closed = once(client, 'close');
		sessions[0]?.shutdown('bye');
		await goaway;
		request.end('last words');
		let text = '';
		request.setEncoding('utf8');
		for await (const chunk of request) text += chunk;
		assert.equal(text, 'last words');
		await closed;
	});
});

describe("the engine as client, Node's http2 as server", () => {
	let server: http2.Http2Server;
	let session: Session;
	let nodeSession: http2.ServerHttp2Session;
	let ended: Promise<Error | null>;
	const cancelled: number[] = [];
	let onCancel = () => {};

	before(async () => {
		server = http2.createServer({ settings: { maxConcurrentStreams: 2000 } });
		server.on('session', (opened) => {
			nodeSession = opened;
		});
		server.on('stream', (stream, headers) => {
			const path = headers[':path'];
			stream.on('error', () => {});
			stream.on('close', () => {
				if (stream.rstCode !== 0) cancelled.push(stream.rstCode);
				onCancel();
			});
			if (path === '/early') stream.additionalHeaders({ ':status': 103, link: '</a>' });
			stream.respond({ ':status': 200 }, { waitForTrailers: path === '/trailers' });
			stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'ok' }));
			if (path === '/reset') {
				stream.write('some', () => stream.destroy(new Error('failed')));
			} else {
				stream.pipe(stream);
			}
		});
		const port = await listening(server);
		const socket = net.connect(port, '127.0.0.1');
		await new Promise<void>((ready) => {
			ended = new Promise((resolve) => {
				const handler: SessionHandler = { settings: () => ready(), closed: (_session, error) => resolve(error) };
				session = new Session({ socket, role: 'client', handler });
			});
		});
	});
	after(() => {
		session.destroy();
		server.close();
	});

	function send(path: string, sent: Buffer, reads = true): { stream: Stream; recorder: Recorder } {
		const recorder = new Recorder(reads);
		const stream = session.request([...POST.slice(0, -1), path], false, recorder);
		stream.write(sent);
		stream.end();
		return { stream, recorder };
	}

	it('gets 1,000 bodies back unharmed', async () => {
		const random = seeded(2);
		await Promise.all(
			Array.from({ length: 1000 }, async () => {
				const sent = body(random);
				const { recorder } = send('/', sent);
				await recorder.over;
				assert.equal(recorder.failure, null);
				assert.equal(hash(recorder.body), hash(sent));
			}),
		);
		assert.equal(session.openStreams, 0);
	});

	it('gets trailers and early hints', async () => {
		const { recorder } = send('/trailers', Buffer.from('x'));
		await recorder.over;
		assert.deepEqual(recorder.trailerFields, ['x-sum', 'ok']);
		const early = send('/early', Buffer.from('x')).recorder;
		await early.over;
		assert.equal(early.informations[0]?.[1], '103');
		assert.deepEqual(early.calls, ['information', 'headers', 'data', 'end', 'closed']);
	});

	it('is told of a reset after part of the body, never of an end', async () => {
		const recorder = new Recorder();
		session.request([...GET.slice(0, -1), '/reset'], true, recorder);
		await recorder.over;
		assert.equal(recorder.failure?.kind, 'reset');
		assert.equal(recorder.failure?.code, 2);
		assert.equal(recorder.calls.includes('end'), false);
	});

	it('cancels', async () => {
		const recorder = new Recorder();
		const stream = session.request(POST, false, recorder);
		await recorder.answered;
		const told = new Promise<void>((resolve) => {
			onCancel = resolve;
		});
		cancelled.length = 0;
		stream.reset();
		await told;
		assert.deepEqual(cancelled, [8]);
		assert.deepEqual(recorder.calls, ['headers', 'closed']);
	});

	it('follows changed settings', async () => {
		await new Promise((resolve) => nodeSession.settings({ initialWindowSize: 500, maxConcurrentStreams: 3 }, resolve));
		assert.equal(session.remote.maxConcurrentStreams, 3);
		const sent = Buffer.alloc(200_000, 3);
		const { recorder } = send('/', sent);
		await recorder.over;
		assert.equal(hash(recorder.body), hash(sent));
	});

	it('lets open streams finish after GOAWAY and takes no new ones', async () => {
		const recorder = new Recorder();
		const stream = session.request(POST, false, recorder);
		await recorder.answered;
		nodeSession.goaway(0, stream.id);
		while (!session.draining) await new Promise((resolve) => setImmediate(resolve));
		assert.throws(() => session.request(GET, true, new Recorder()), { name: 'StreamError' });
		stream.write(Buffer.from('last words'));
		stream.end();
		await recorder.over;
		assert.equal(recorder.body.toString(), 'last words');
		assert.equal(await ended, null);
	});
});

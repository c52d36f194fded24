/** nghttp2's tools as the other end: nghttp and h2load against the engine as server, the engine as client against nghttpd. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { Session, type SessionHandler } from '../../src/h2/session.ts';
import { GET, OK, POST, Recorder } from '../helpers/h2-peer.ts';
import { findProgram, startDaemon } from '../helpers/peer-process.ts';
import { closedPort } from '../helpers/ports.ts';

/** What a client printed, once it has ended. */
async function run(tool: 'nghttp' | 'h2load', args: string[]): Promise<string> {
	const child = spawn(findProgram(tool, 'nghttp2-client'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
	const output: string[] = [];
	for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => output.push(String(text)));
	await once(child, 'close');
	return output.join('');
}

let server: net.Server;
let url = '';
let dir = '';
let sessions: Session[] = [];
/** Bytes of every request's body, in the order of their ends. */
const uploaded: number[] = [];
const trailers: string[][] = [];

const handler: SessionHandler = {
	stream(stream, _fields, endStream) {
		let bytes = 0;
		const answer = () => {
			stream.respond([...OK, 'trailer', 'x-bytes'], false);
			stream.write(Buffer.from(`got ${bytes} bytes\n`));
			stream.end(['x-bytes', String(bytes)]);
		};
		if (endStream) queueMicrotask(answer);
		return {
			data(from, chunk) {
				bytes += chunk.length;
				from.consume(chunk.length);
			},
			trailers: (_stream, fields) => trailers.push(fields),
			end() {
				uploaded.push(bytes);
				if (!endStream) answer();
			},
			failed() {},
		};
	},
	closed: (session) => {
		sessions = sessions.filter((one) => one !== session);
	},
};

before(async () => {
	dir = await mkdtemp(join(tmpdir(), 'nghttp2-'));
	await writeFile(join(dir, 'body'), Buffer.alloc(3_000_000, 'x'));
	server = net.createServer((socket) => {
		sessions.push(new Session({ socket, role: 'server', handler, settings: { maxConcurrentStreams: 200 } }));
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

after(async () => {
	for (const session of sessions) session.destroy();
	server.close();
	await rm(dir, { recursive: true });
});

it('nghttp uploads 3 MB with trailers, padded, and reads the answer and its trailers', async () => {
	uploaded.length = 0;
	const args = ['-v', '-b', '200', '-d', join(dir, 'body'), '--trailer', 'x-sum: 7', url];
	const output = await run('nghttp', args);
	assert.deepEqual(uploaded, [3_000_000]);
	assert.deepEqual(trailers, [['x-sum', '7']]);
	assert.match(output, /got 3000000 bytes/);
	assert.match(output, /x-bytes: 3000000/);
	assert.doesNotMatch(output, /RST_STREAM|PROTOCOL_ERROR/);
});

it('h2load makes 10,000 requests on 4 connections and none fails', async () => {
	const output = await run('h2load', ['-n', '10000', '-c', '4', '-m', '50', url]);
	assert.match(output, /10000 done, 10000 succeeded, 0 failed, 0 errored, 0 timeout/);
});

it('h2load uploads 40 bodies through small windows', async () => {
	uploaded.length = 0;
	const args = ['-n', '40', '-c', '2', '-m', '10', '-w', '14', '-W', '15', '-d', join(dir, 'body'), url];
	const output = await run('h2load', args);
	assert.match(output, /40 succeeded, 0 failed/);
	assert.deepEqual(uploaded, new Array(40).fill(3_000_000));
});

it('the engine downloads from nghttpd and uploads to it', async (context) => {
	const port = await closedPort();
	const args = ['--no-tls', '-a', '127.0.0.1', '--trailer', 'x-sum: 7', '-d', dir, String(port)];
	await startDaemon(context, findProgram('nghttpd', 'nghttp2-server'), args, port);
	const socket = net.connect(port, '127.0.0.1');
	const session = await new Promise<Session>((resolve, reject) => {
		const made: Session = new Session({
			socket,
			role: 'client',
			handler: { settings: () => resolve(made), closed: (_session, error) => reject(error) },
		});
	});
	const downloads = Array.from({ length: 20 }, () => new Recorder());
	for (const recorder of downloads) session.request([...GET.slice(0, -1), '/body'], true, recorder);
	for (const recorder of downloads) {
		await recorder.over;
		assert.equal(recorder.failure, null);
		assert.equal(recorder.body.length, 3_000_000);
		assert.deepEqual(recorder.trailerFields, ['x-sum', '7']);
	}
	const upload = new Recorder();
	const stream = session.request([...POST.slice(0, -1), '/body'], false, upload);
	stream.write(Buffer.alloc(500_000));
	stream.end(['x-end', '1']);
	await upload.over;
	assert.equal(upload.failure, null);
	assert.equal(upload.fields[1], '200');
	session.shutdown();
	await once(socket, 'close');
});

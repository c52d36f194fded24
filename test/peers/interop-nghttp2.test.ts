/** nghttp2's tools at what they alone can do or do to the utmost; the everyday is in nghttp2.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Settings } from '../../src/h2/settings.ts';
import type { Stream } from '../../src/h2/stream.ts';
import { Recorder } from '../helpers/h2-peer.ts';
import { type EngineClient, type EngineClientOptions, engineClient, request } from '../helpers/interop-client.ts';
import { type EngineServer, engineServer, windows } from '../helpers/interop-server.ts';
import { GiB, PatternExchange, PatternSource } from '../helpers/pattern-body.ts';
import { findProgram, type Ran, RunningPeer, startDaemon } from '../helpers/peer-process.ts';
import { runPiped } from '../helpers/piped-peer.ts';
import { closedPort } from '../helpers/ports.ts';

/** Many times what the longest takes: what hangs fails. */
const bounded = { timeout: 600_000 };

const MiB = 1024 * 1024;
/** Of streams and of the connection: 2^16 - 1 bytes, and 2^24 - 1. */
const bits = { small: ['-w', '16', '-W', '16'], large: ['-w', '24', '-W', '24'] } as const;
const sizes = ['small', 'large'] as const;

function run(context: TestContext, tool: 'nghttp' | 'h2load', args: readonly string[]): Promise<Ran> {
	const program = findProgram(tool, 'nghttp2-client');
	return new RunningPeer(context, program, args, '', { timeout: 600_000 }).done;
}

const urlOf = (engine: EngineServer, path: string) => `http://127.0.0.1:${engine.port}${path}`;

/** A folder with a file of `bytes` zeros that takes no space. */
async function folderWith(context: TestContext, name: string, bytes: number): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'nghttp2-'));
	context.after(() => rm(dir, { recursive: true }));
	await writeFile(join(dir, name), '');
	await truncate(join(dir, name), bytes);
	return dir;
}

for (const size of sizes) {
	test(`nghttp downloads a gigabyte through ${size} windows of its own`, bounded, async (context) => {
		const engine = await engineServer(context);
		const args = [...bits[size], urlOf(engine, `/exchange?bytes=${GiB}`)];
		const { code, check, stderr } = await runPiped(context, findProgram('nghttp', 'nghttp2-client'), args);
		assert.equal(code, 0, stderr);
		assert.deepEqual([check.bytes, check.intact], [GiB, true]);
		assert.equal(engine.sessions[0]?.remote.initialWindowSize, size === 'small' ? 2 ** 16 - 1 : 2 ** 24 - 1);
	});

	test(`h2load uploads a gigabyte through ${size} windows of the engine`, bounded, async (context) => {
		const engine = await engineServer(context, windows[size]);
		const dir = await folderWith(context, 'gigabyte', GiB);
		const args = ['-n', '1', '-c', '1', '-d', join(dir, 'gigabyte'), urlOf(engine, '/exchange?bytes=0')];
		assert.match((await run(context, 'h2load', args)).stdout, /1 succeeded, 0 failed, 0 errored, 0 timeout/);
		assert.equal(engine.exchanges[0]?.check.bytes, GiB);
	});
}

test('h2load has 1,000 requests open at once on one connection', bounded, async (context) => {
	const engine = await engineServer(context);
	const args = ['-n', '1000', '-c', '1', '-m', '1000', urlOf(engine, '/together?count=1000')];
	assert.match((await run(context, 'h2load', args)).stdout, /1000 succeeded, 0 failed, 0 errored, 0 timeout/);
	assert.equal(engine.sessions.length, 1);
});

test('nghttp sees early hints, 100-continue, trailers and a reset for what they are', bounded, async (context) => {
	const engine = await engineServer(context);
	const dir = await folderWith(context, 'body', 100_000);
	const early = await run(context, 'nghttp', ['-v', urlOf(engine, '/early')]);
	assert.match(early.stdout, /:status: 103.*link: <\/a>; rel=preload.*:status: 200.*final/s);
	const expecting = ['-v', '--expect-continue', '-d', join(dir, 'body'), urlOf(engine, '/once?id=2')];
	const continued = await run(context, 'nghttp', expecting);
	// It waits for a second at most, and then sends what it has.
	for (const part of [/:status: 100/, /send DATA.*:status: 200/s]) assert.match(continued.stdout, part);
	const reset = await run(context, 'nghttp', ['-v', urlOf(engine, '/reset')]);
	assert.match(reset.stdout, /some.*recv RST_STREAM.*error_code=INTERNAL_ERROR/s);
});

test(
	'nghttp sends header sections in CONTINUATION frames, without header tables and with padding',
	bounded,
	async (context) => {
		const engine = await engineServer(context);
		const args = ['-v', '--continuation', '-c', '0', '--encoder-header-table-size=0', '-b', '255', '-m', '20'];
		const { stdout } = await run(context, 'nghttp', [...args, urlOf(engine, '/once?id=1')]);
		assert.match(stdout, /send HEADERS frame <length=1[7-9]\d{3},/);
		assert.equal(engine.executed.get('1'), 20);
		assert.deepEqual(engine.errors, []);
		assert.equal(engine.sessions[0]?.remote.headerTableSize, 0);
	},
);

test('h2load goes on while the engine changes its settings again and again', bounded, async (context) => {
	const engine = await engineServer(context);
	const dir = await folderWith(context, 'body', 200_000);
	const started = engine.asked();
	const args = ['-n', '600', '-c', '1', '-m', '20', '-d', join(dir, 'body'), urlOf(engine, '/exchange?bytes=200000')];
	const running = run(context, 'h2load', args);
	await started;
	const [session = assert.fail('no connection')] = engine.sessions;
	const changes: Array<Partial<Settings>> = [
		{ initialWindowSize: 1000 },
		{ headerTableSize: 0, maxFrameSize: 65_536 },
		{ initialWindowSize: MiB, headerTableSize: 8192 },
		{ maxFrameSize: 16_384, initialWindowSize: 30_000 },
	];
	let rounds = 0;
	let over = false;
	void running.then(() => {
		over = true;
	});
	while (!over && rounds < 100) {
		await engine.change(session, changes[rounds++ % changes.length] ?? {});
	}
	assert.match((await running).stdout, /600 succeeded, 0 failed, 0 errored, 0 timeout/);
	assert.ok(rounds > changes.length, `${rounds} changes`);
	assert.deepEqual([...new Set(engine.exchanges.map(({ check }) => check.bytes))], [200_000]);
});

test('nghttp gets what it has asked for from an engine that goes away', bounded, async (context) => {
	const engine = await engineServer(context);
	const urls = [`/exchange?bytes=${10 * MiB}`, '/goaway', `/exchange?bytes=${MiB}`].map((path) => urlOf(engine, path));
	const { code, stdout } = await run(context, 'nghttp', ['-nv', ...urls]);
	assert.equal(code, 0);
	assert.match(stdout, /recv GOAWAY.*last_stream_id=2147483647, error_code=NO_ERROR/s);
	assert.equal(stdout.match(/recv \(stream_id=\d+\) :status: 200/g)?.length, 3);
	assert.equal(stdout.match(/x-received: 0/g)?.length, 2);
	await engine.idle();
	assert.equal(engine.sessions[0]?.error, null);
});

interface Nghttpd {
	readonly client: EngineClient;
	readonly dir: string;
}

/** nghttpd with a file `gigabyte` of zeros and a file `small`. */
async function nghttpd(
	context: TestContext,
	args: readonly string[],
	options: EngineClientOptions = {},
): Promise<Nghttpd> {
	const dir = await folderWith(context, 'gigabyte', GiB);
	await writeFile(join(dir, 'small'), 'small');
	const port = await closedPort();
	const program = findProgram('nghttpd', 'nghttp2-server');
	await startDaemon(context, program, ['--no-tls', '-a', '127.0.0.1', '-d', dir, ...args, String(port)], port);
	return { client: await engineClient(context, port, options), dir };
}

for (const size of sizes) {
	test(`the engine downloads a gigabyte from nghttpd through ${size} windows of its own`, bounded, async (context) => {
		const { client } = await nghttpd(context, [], windows[size]);
		const download = new PatternExchange(0, false);
		client.session.request(request('GET', '/gigabyte'), true, download);
		await download.over;
		assert.deepEqual([download.failure, download.check.bytes], [null, GiB]);
	});

	test(`the engine uploads a gigabyte to nghttpd through ${size} windows of the other`, bounded, async (context) => {
		const { client } = await nghttpd(context, bits[size]);
		const upload = new PatternExchange(GiB, false);
		upload.drain(client.session.request(request('POST', '/small'), false, upload));
		await upload.over;
		assert.deepEqual([upload.failure, upload.fields[1], upload.check.bytes], [null, '200', 5]);
	});
}

test('the engine has 1,000 requests open at nghttpd, and not one more', bounded, async (context) => {
	const { client } = await nghttpd(context, ['-m', '1000']);
	const open = Array.from({ length: 1000 }, () => client.ask('POST', '/small'));
	assert.equal(client.session.canRequest, false);
	assert.throws(() => client.ask('GET', '/small', null), { name: 'StreamError', code: 7 });
	for (const { stream } of open) stream.end();
	for (const { recorder } of open) {
		await recorder.over;
		assert.deepEqual([recorder.failure, recorder.body.toString()], [null, 'small']);
	}
	assert.equal(await client.get('/small'), 'small');
});

test('the engine stops downloads from nghttpd in the middle, and nothing else suffers', bounded, async (context) => {
	const { client } = await nghttpd(context, ['-m', '100']);
	const stopped = Array.from({ length: 50 }, () => new Stopping());
	for (const handler of stopped) client.session.request(request('GET', '/gigabyte'), true, handler);
	await Promise.all(stopped.map(({ over }) => over));
	for (const handler of stopped) assert.deepEqual(handler.calls, ['headers', 'data', 'closed']);
	assert.equal(await client.get('/small'), 'small');
	assert.equal(client.session.openStreams, 0);
});

/** Resets its stream at the first bytes of a body. */
class Stopping extends Recorder {
	override data(stream: Stream, chunk: Buffer): void {
		super.data(stream, chunk);
		stream.reset();
	}
}

test('nghttpd answers and then wants no more of an upload: the answer stands', bounded, async (context) => {
	const { client } = await nghttpd(context, ['--early-response']);
	const recorder = new Recorder();
	const stream = client.session.request(request('POST', '/small'), false, recorder);
	const source = new PatternSource(MiB);
	for (let piece = source.next(); piece !== null; piece = source.next()) stream.write(piece);
	await recorder.over;
	assert.deepEqual(recorder.calls, ['headers', 'data', 'end', 'closed']);
	assert.deepEqual([recorder.failure, recorder.body.toString()], [null, 'small']);
	assert.equal(await client.get('/small'), 'small');
});

test(
	'the engine changes its settings while nghttpd sends, with and without header tables',
	bounded,
	async (context) => {
		for (const tables of [[], ['-c', '0', '--encoder-header-table-size=0']]) {
			const { client } = await nghttpd(context, tables);
			const download = new PatternExchange(0, false);
			client.session.request(request('GET', '/gigabyte'), true, download);
			for (const change of [
				{ initialWindowSize: 1000 },
				{ headerTableSize: 0 },
				{ maxFrameSize: 65_536, headerTableSize: 16_384 },
				{ initialWindowSize: MiB },
			]) {
				await client.change(change);
				assert.equal(await client.get('/small'), 'small');
			}
			assert.equal(client.session.openStreams, 1);
			await download.over;
			assert.deepEqual([download.failure, download.check.bytes], [null, GiB]);
		}
	},
);

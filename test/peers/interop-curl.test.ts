/** curl over HTTP/2 against the engine as server: with TLS, where it chooses HTTP/2 by ALPN, and with prior knowledge. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { certificateFiles } from '../helpers/interop-peer.ts';
import { type EngineServer, type EngineServerOptions, engineServer, windows } from '../helpers/interop-server.ts';
import { GiB, pattern } from '../helpers/pattern-body.ts';
import { findProgram, type Ran, RunningPeer } from '../helpers/peer-process.ts';
import { type Piped, runPiped } from '../helpers/piped-peer.ts';

/** Many times what the longest takes: what hangs fails. */
const bounded = { timeout: 600_000 };

interface Setup {
	readonly engine: EngineServer;
	readonly url: string;
	start(args: readonly string[], input?: string): RunningPeer;
	curl(args: readonly string[], input?: string): Promise<Ran>;
	/** Bodies on stdin and stdout are pattern. */
	piped(args: readonly string[], given?: number): Promise<Piped>;
}

async function setup(context: TestContext, how: 'tls' | 'plain', options: EngineServerOptions = {}): Promise<Setup> {
	const program = findProgram('curl', 'curl');
	const files = how === 'tls' ? await certificateFiles(context) : undefined;
	const tls = files && { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
	const engine = await engineServer(context, { ...options, ...(tls && { tls }) });
	// -q: no configuration of whoever runs the tests; a proxy of theirs neither.
	const always = [
		'-q',
		'-sS',
		'--noproxy',
		'*',
		...(files ? ['--http2', '--cacert', files.ca] : ['--http2-prior-knowledge']),
	];
	const start: Setup['start'] = (args, input) => new RunningPeer(context, program, [...always, ...args], input);
	return {
		engine,
		start,
		url: `${files ? 'https' : 'http'}://127.0.0.1:${engine.port}`,
		curl: (args, input) => start(args, input).done,
		piped: (args, given) => runPiped(context, program, [...always, ...args], given),
	};
}

for (const how of ['tls', 'plain'] as const) {
	const over = how === 'tls' ? 'by ALPN' : 'with prior knowledge';

	test(`curl ${over} uploads a body and gets it back`, bounded, async (context) => {
		const { url, curl } = await setup(context, how);
		const body = 'y'.repeat(2 * 1024 * 1024);
		const ran = await curl(
			['--data-binary', '@-', '-w', ' HTTP/%{http_version} %{response_code}', `${url}/echo`],
			body,
		);
		assert.equal(ran.code, 0, ran.stderr);
		assert.ok(ran.stdout === `${body} HTTP/2 200`, `${ran.stdout.length} bytes came back`);
	});

	for (const size of ['small', 'large'] as const) {
		test(
			`curl ${over} exchanges a gigabyte each way through ${size} windows of the engine`,
			bounded,
			async (context) => {
				const { engine, url, piped } = await setup(context, how, windows[size]);
				const ran = await piped(['-T', '-', '-X', 'POST', `${url}/exchange?bytes=${GiB}`], GiB);
				assert.equal(ran.code, 0, ran.stderr);
				assert.deepEqual([ran.check.bytes, ran.check.intact], [GiB, true]);
				const [{ check } = assert.fail('nothing came')] = engine.exchanges;
				assert.deepEqual([check.bytes, check.intact], [GiB, true]);
			},
		);
	}
}

test('curl sees early hints, the answer and its trailers in order', bounded, async (context) => {
	const { url, curl } = await setup(context, 'tls');
	const early = await curl(['-i', `${url}/early`]);
	assert.match(early.stdout, /^HTTP\/2 103 \r\nlink: <\/a>; rel=preload\r\n\r\nHTTP\/2 200 \r\n\r\nfinal$/);
	const trailers = await curl(['-D', '-', '-o', '/dev/null', '-X', 'POST', '-d', 'x', `${url}/exchange?bytes=100`]);
	assert.match(
		trailers.stdout,
		/^HTTP\/2 200 \r\ntrailer: x-received, x-intact\r\n\r\nx-received: 1\r\nx-intact: false\r\n/,
	);
});

test('curl sends a body after 100-continue', bounded, async (context) => {
	const { engine, url, curl } = await setup(context, 'plain');
	const args = ['-v', '-H', 'expect: 100-continue', '--data-binary', '@-', `${url}/exchange?bytes=0`];
	const ran = await curl(args, pattern(100_000).toString('latin1'));
	assert.equal(ran.code, 0, ran.stderr);
	assert.match(ran.stderr, /< HTTP\/2 100/);
	assert.ok((engine.exchanges[0]?.check.bytes ?? 0) > 100_000);
});

// With prior knowledge curl 7.88 fails at the second request of a connection, whoever serves it; and of more than 100 at once it
// moves the rest to further connections.
test('curl makes 1,000 requests on one connection, 100 at once', bounded, async (context) => {
	const { engine, url, curl } = await setup(context, 'tls');
	const ran = await curl([
		'-Z',
		'--parallel-max',
		'100',
		'-w',
		'%{response_code}\n',
		`${url}/once?id=[1-1000]`,
		'-o',
		'/dev/null',
	]);
	assert.equal(ran.code, 0, ran.stderr);
	assert.deepEqual(ran.stdout.match(/200\n/g)?.length, 1000);
	assert.equal(engine.executed.size, 1000);
	assert.equal(engine.sessions.length, 1);
});

test('curl is told of a reset after part of a body', bounded, async (context) => {
	const { url, curl } = await setup(context, 'tls');
	const ran = await curl([`${url}/reset`]);
	assert.equal(ran.stdout, 'some');
	assert.equal(ran.code, 92, ran.stderr);
	assert.match(ran.stderr, /INTERNAL_ERROR/);
});

test('curl is cut off in the middle of a body and does not take it for an end', bounded, async (context) => {
	const { engine, url, start } = await setup(context, 'plain');
	const running = start(['-N', `${url}/hold`]);
	await running.sees('held');
	engine.sessions[0]?.socket.destroy();
	const ran = await running.done;
	assert.ok(ran.code, ran.stderr);
});

test('curl that gives up in the middle of a body is told of as a failure of its stream', bounded, async (context) => {
	const { engine, url, start } = await setup(context, 'plain');
	const running = start(['-N', `${url}/hold`]);
	await running.sees('held');
	running.child.kill('SIGINT');
	const [failure] = await engine.failed(1);
	assert.deepEqual([failure?.kind, failure?.started], ['lost', true]);
});

test('curl follows settings that the engine changes between its requests', bounded, async (context) => {
	const { engine, url, curl } = await setup(context, 'tls');
	const changes = [
		'headerTableSize=0',
		'initialWindowSize=1000',
		'maxFrameSize=65536',
		'headerTableSize=8192',
		'maxConcurrentStreams=1',
	];
	const urls = changes.flatMap((change) => [`${url}/settings?${change}`, `${url}/echo`]);
	const body = 'z'.repeat(300_000);
	const ran = await curl(['--data-binary', '@-', ...urls], body);
	assert.equal(ran.code, 0, ran.stderr);
	assert.ok(ran.stdout === `settled${body}`.repeat(changes.length), `${ran.stdout.length} bytes came back`);
	assert.equal(engine.sessions.length, 1);
	const { headerTableSize, initialWindowSize, maxFrameSize, maxConcurrentStreams } = engine.sessions[0]?.local ?? {};
	assert.deepEqual([headerTableSize, initialWindowSize, maxFrameSize, maxConcurrentStreams], [8192, 1000, 65_536, 1]);
});

test(
	'curl finishes a request on a connection that goes away and makes the next on another',
	bounded,
	async (context) => {
		const { engine, url, curl } = await setup(context, 'tls');
		const ran = await curl([
			'-w',
			' %{response_code} %{num_connects}\n',
			`${url}/once?id=1`,
			`${url}/goaway`,
			`${url}/once?id=2`,
		]);
		assert.equal(ran.code, 0, ran.stderr);
		assert.equal(ran.stdout, '1 200 1\nlast 200 0\n2 200 1\n');
		assert.equal(engine.sessions.length, 2);
		await engine.idle();
		assert.equal(engine.sessions[0]?.error, null);
	},
);

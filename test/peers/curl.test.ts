/** curl as an application: what people paste first, and the corners of HTTP/1 that it can be made to speak. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { talkingUpstream } from '../helpers/event-stream.ts';
import { findProgram, type Ran, RunningPeer } from '../helpers/peer-process.ts';
import { type Arrivals, stack } from '../helpers/stack.ts';

const BIG = 'y'.repeat(2 * 1024 * 1024);

interface Setup {
	readonly url: string;
	readonly streams: Arrivals;
	start(args: readonly string[], input?: string): RunningPeer;
	curl(args: readonly string[], input?: string): Promise<Ran>;
}

async function setup(context: TestContext): Promise<Setup> {
	const program = findProgram('curl', 'curl');
	const { hub, join } = await stack(context);
	const { address, streams } = await talkingUpstream(context);
	await join(address, { numWorker: 4 });
	const start: Setup['start'] = (args, input) => {
		// -q: no configuration of whoever runs the tests; a proxy of theirs neither.
		const always = ['-q', '-sS', '--noproxy', '*', '--max-time', '20', '-H', 'Slime-Block: 1'];
		return new RunningPeer(context, program, [...always, ...args], input);
	};
	const curl: Setup['curl'] = async (args, input) => {
		const ran = await start(args, input).done;
		assert.equal(ran.code, 0, ran.stderr);
		return ran;
	};
	return { url: hub.url, streams, start, curl };
}

test('curl gets an answer and sees which agent gave it', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout } = await curl(['-i', `${url}/v1/models?a=b%20c`]);
	assert.match(stdout, /^HTTP\/1\.1 200 /);
	assert.match(stdout, /^slime-agent-id: \S+\r$/im);
	assert.match(stdout, /"url":"\/v1\/models\?a=b%20c"/);
	assert.doesNotMatch(stdout, /slime-block/i);
});

test('curl HEAD has no body and keeps its connection for a second request', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout } = await curl(['-I', `${url}/a`, `${url}/b`, '-w', '%{num_connects} ']);
	assert.match(stdout, /^HTTP\/1\.1 200 /);
	assert.match(stdout, /0 $/);
});

test('curl uploads with Content-Length, after 100-continue', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout, stderr } = await curl(
		['-v', '-H', 'Expect: 100-continue', '--expect100-timeout', '60', '--data-binary', '@-', `${url}/echo`],
		BIG,
	);
	assert.ok(stdout === BIG, `${stdout.length} bytes came back`);
	assert.match(stderr, /< HTTP\/1\.1 100 Continue/);
});

test('curl uploads in chunks', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout } = await curl(['-X', 'POST', '-T', '-', `${url}/echo`], BIG);
	assert.ok(stdout === BIG, `${stdout.length} bytes came back`);
});

test('curl with HTTP/1.0 gets a body without chunks', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout } = await curl(['--http1.0', '-i', '--data-binary', 'one two', `${url}/echo`]);
	const [head = '', body] = stdout.split('\r\n\r\n');
	assert.match(head, /^HTTP\/1\.[01] 200 /);
	assert.doesNotMatch(head, /transfer-encoding/i);
	assert.equal(body, 'one two');
});

test('curl --http2 without TLS falls back to HTTP/1.1', async (context) => {
	const { url, curl } = await setup(context);
	const { stdout } = await curl(['--http2', '-w', ' version %{http_version}', '--data-binary', 'hello', `${url}/echo`]);
	assert.equal(stdout, 'hello version 1.1');
});

test('curl -N prints events as they come, and its end stops the upstream', async (context) => {
	const { url, streams, start } = await setup(context);
	const client = start(['-N', `${url}/events`]);
	const [, service] = await streams.next();
	service.write('data: first\n\n');
	await client.sees('data: first\n\n');
	service.write('data: second\n\n');
	await client.sees('data: second\n\n');
	const stopped = once(service, 'close');
	client.child.kill('SIGINT');
	await stopped;
});

test('curl sees that a stream was cut, with HTTP/1.1 and with HTTP/1.0', async (context) => {
	const { url, streams, start } = await setup(context);
	for (const [flag, code] of [
		['--http1.1', 18],
		['--http1.0', 56],
	] as const) {
		const client = start([flag, '-N', `${url}/events`]);
		const [, service] = await streams.next();
		service.write('data: first\n\n');
		await client.sees('data: first\n\n');
		service.destroy();
		assert.equal((await client.done).code, code, flag);
	}
});

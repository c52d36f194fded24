/** h2spec in strict mode against the engine as a server, and against the agent as it ships: every case passes and none is skipped. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { Session, type SessionHandler } from '../../src/h2/session.ts';
import { OK } from '../helpers/h2-peer.ts';
import { type ConformanceCase, readReport, runH2spec } from '../helpers/h2spec.ts';
import { listenOn } from '../helpers/stack.ts';
import { tunnelShim } from '../helpers/tunnel-shim.ts';

const CASES = 146;

/** A test a case, so that a failure is known by its name. */
async function judge(context: TestContext, cases: readonly ConformanceCase[]): Promise<void> {
	for (const { section, title, outcome, detail } of cases) {
		await context.test(`${section}: ${title}`, () => assert.equal(outcome, 'passed', detail));
	}
	assert.equal(cases.length, CASES);
}

/** Answers when the request is complete, with a body. */
const answering: SessionHandler = {
	stream(stream, _fields, endStream) {
		const answer = () => {
			stream.respond([...OK, 'content-type', 'text/plain'], false);
			stream.write(Buffer.from('the answer of a server on the engine'));
			stream.end();
		};
		if (endStream) queueMicrotask(answer);
		return {
			data: (from, chunk) => from.consume(chunk.length),
			end() {
				if (!endStream) answer();
			},
			failed() {},
		};
	},
	closed() {},
};

test('the engine as a server passes h2spec in strict mode', async (context) => {
	const sessions = new Set<Session>();
	const server = net.createServer((socket) => {
		const session = new Session({
			socket,
			role: 'server',
			handler: { ...answering, closed: (closed) => void sessions.delete(closed) },
			settings: { maxConcurrentStreams: 100 },
		});
		sessions.add(session);
	});
	const port = await listenOn(context, server);
	context.after(() => {
		for (const session of sessions) session.destroy();
	});
	await judge(context, await runH2spec(context, port, 4000));
});

test('the agent as it ships passes h2spec in strict mode over its tunnels', async (context) => {
	const upstream = createHttpServer((req, res) => {
		req.resume();
		// A request that is cut is the agent's doing and expected.
		req.on('error', () => undefined);
		req.once('end', () => res.end('the answer of an upstream behind an agent'));
	});
	const address = `127.0.0.1:${await listenOn(context, upstream)}`;
	context.after(() => upstream.closeAllConnections());
	const shim = await tunnelShim(context, { upstreams: [address], numWorker: 100, reportHardware: false });
	await judge(context, await runH2spec(context, shim.port, 20_000));
	// Each case has a connection of its own, at least.
	assert.ok(shim.served >= CASES, `${shim.served} connections`);
});

test("a case's failure and a skipped case are read out of h2spec's report with their names", () => {
	const report = `<testsuites><testsuite name="5.1. Stream States" package="http2/5.1">
		<testcase package="http2/5.1" classname="idle: Sends a DATA frame" time="0.001"></testcase>
		<testcase package="http2/5.1" classname="closed: &#34;HEADERS&#34;" time="0.002">
			<failure>GOAWAY Frame (Error Code: STREAM_CLOSED)</failure><error>RST_STREAM &amp; more</error></testcase>
		<testcase package="http2/5.1.2" classname="limit" time="0"><skipped></skipped></testcase></testsuite></testsuites>`;
	const cases = readReport(report);
	assert.deepEqual(
		cases.map(({ section, title, outcome }) => [section, title, outcome]),
		[
			['http2/5.1', 'idle: Sends a DATA frame', 'passed'],
			['http2/5.1', 'closed: "HEADERS"', 'failed'],
			['http2/5.1.2', 'limit', 'skipped'],
		],
	);
	assert.match(cases[1]?.detail ?? '', /STREAM_CLOSED[\s\S]*RST_STREAM & more/);
});

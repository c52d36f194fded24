/** h2spec in strict mode against the engine as a server, the agent as it ships, and the hub's port for apps: every case passes, none is skipped. */
import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { Session, type SessionHandler } from '../../src/h2/session.ts';
import { OK } from '../helpers/h2-peer.ts';
import { type ConformanceCase, readReport, runH2spec } from '../helpers/h2spec.ts';
import { listenOn, stack } from '../helpers/stack.ts';
import { tlsFiles } from '../helpers/tls-clients.ts';
import { tunnelShim } from '../helpers/tunnel-shim.ts';

const CASES = 146;
/** The hub takes 64 KiB of fields, in frames of as much. */
const APP_FIELD_BYTES = 20_000;

/** A test a case, so that a failure is known by its name. */
async function judge(context: TestContext, cases: readonly ConformanceCase[], expected = CASES): Promise<void> {
	for (const { section, title, outcome, detail } of cases) {
		await context.test(`${section}: ${title}`, () => assert.equal(outcome, 'passed', detail));
	}
	assert.equal(cases.length, expected);
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

for (const tls of [true, false]) {
	const name = tls ? 'over TLS' : 'by prior knowledge, where what does not begin as HTTP/2 is HTTP/1';
	test(`the port for apps passes h2spec in strict mode ${name}`, async (context) => {
		let served = 0;
		const upstream = createHttpServer((req, res) => {
			served++;
			req.resume();
			// As above.
			req.on('error', () => undefined);
			req.once('end', () => res.end('the answer of an upstream behind a hub'));
		});
		const address = `127.0.0.1:${await listenOn(context, upstream)}`;
		context.after(() => upstream.closeAllConnections());
		const { files } = await tlsFiles(context);
		const { port } = await stack(context, [address], {
			hub: tls ? { tls: { cert: files.cert, key: files.key } } : {},
			agent: { numWorker: 100, ca: tls ? files.ca : undefined },
		});
		const cases = await runH2spec(context, port, APP_FIELD_BYTES, tls);
		// An unknown preface is a request of HTTP/1 on this port, and gets its 400.
		const other = cases.filter(({ section, title }) => section === 'http2/3.5' && title.includes('invalid'));
		await judge(context, tls ? cases : cases.filter((one) => !other.includes(one)), tls ? CASES : CASES - 1);
		assert.equal(other.length, 1);
		assert.ok(served > 0);
	});
}

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

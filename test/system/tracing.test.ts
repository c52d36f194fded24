/** Traces: what belongs to one passes through, and with a collector hub and agent tell what they spend time on. */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { createRequire } from 'node:module';
import { type TestContext, test } from 'node:test';
import type { Tracing } from '../../src/index.ts';
import { type CollectedSpan, Collector } from '../helpers/otlp-collector.ts';
import { closedPort } from '../helpers/ports.ts';
import { Arrivals, ask, eventually, LogSink, stack, upstream, WAITS } from '../helpers/stack.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const FIELDS = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=opaque,other=1' };

/** Packages that were loaded. */
function loaded(): string[] {
	return Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('@opentelemetry'));
}

/** As the variables of a process would have it. */
async function tracingTo(collector: Collector, service: string, log = new LogSink()): Promise<Tracing> {
	process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url;
	process.env.OTEL_EXPORTER_OTLP_PROTOCOL = 'http/json';
	const { openTelemetry } = await import('../../src/shared/opentelemetry.ts');
	return openTelemetry({ service, logger: log.logger });
}

/** A hub and an agent that both send what they trace to one collector. */
async function traced(t: TestContext, upstreams: readonly string[]) {
	const collector = await Collector.open(t);
	const [hub, agent] = [await tracingTo(collector, 'slime-hub'), await tracingTo(collector, 'slime-agent')];
	const made = await stack(t, upstreams, { hub: { tracing: hub }, agent: { tracing: agent } });
	const flush = async () => void (await Promise.all([hub.end(10_000), agent.end(10_000)]));
	return { ...made, collector, tracing: { hub, agent }, flush };
}

/** Whether one span lies in the other. Clocks of spans are exact to a microsecond or so. */
function assertWithin(inner: CollectedSpan, outer: CollectedSpan): void {
	const slack = 1_000_000n;
	const fits = inner.start + slack >= outer.start && inner.end <= outer.end + slack && inner.start <= inner.end;
	assert.ok(fits, `${inner.name} ${inner.start}-${inner.end} in ${outer.name} ${outer.start}-${outer.end}`);
}

test('what belongs to a trace passes unchanged where nothing is traced, and nothing is loaded for it', async (t) => {
	const seen: IncomingHttpHeaders[] = [];
	const service = await upstream(t, (req, res) => {
		seen.push(req.headers);
		res.end();
	});
	const { port } = await stack(t, [service.address]);
	await ask(port, '/', { headers: { ...FIELDS, baggage: 'user=7' } });
	await ask(port);
	const [one, other] = seen;
	assert.deepEqual(
		[one?.traceparent, one?.tracestate, one?.baggage],
		[FIELDS.traceparent, FIELDS.tracestate, 'user=7'],
	);
	assert.deepEqual([other?.traceparent, other?.tracestate], [undefined, undefined]);
	assert.deepEqual(loaded(), []);
});

test('a request is one trace from the app to the upstream: queue, tunnel, upstream, and the first byte of both', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub, port, collector, flush } = await traced(t, [service.address]);
	const first = ask(port);
	const [, res] = await arrivals.next();
	const answer = ask(port, '/v1/chat?secret=1', { method: 'POST', body: 'x', headers: { ...FIELDS, ...WAITS } });
	await eventually('it waits', () => hub.waiting === 1);
	res.end();
	await first;
	const [req, second] = await arrivals.next();
	second.writeHead(503).end('no');
	assert.equal((await answer).status, 503);
	await flush();

	const spans = collector.spans.filter(({ traceId }) => traceId === TRACE);
	const ofTrace = (name: string, parent?: CollectedSpan) =>
		collector.one(
			name,
			({ traceId, parentSpanId }) => traceId === TRACE && (!parent || parentSpanId === parent.spanId),
		);
	const [whole, queue, tunnel, at] = [ofTrace('POST'), ofTrace('queue'), ofTrace('tunnel'), ofTrace('upstream')];
	assert.equal(spans.length, 6);
	assert.equal(whole.parentSpanId, PARENT);
	assert.deepEqual([queue.parentSpanId, tunnel.parentSpanId], [whole.spanId, whole.spanId]);
	assert.equal(at.parentSpanId, tunnel.spanId);
	assert.deepEqual([whole.service, tunnel.service, at.service], ['slime-hub', 'slime-hub', 'slime-agent']);
	assert.deepEqual([whole.kind, queue.kind, tunnel.kind, at.kind], [2, 1, 3, 3]);
	assert.equal(req.headers.traceparent, `00-${TRACE}-${at.spanId}-01`);
	assert.equal(req.headers.tracestate, FIELDS.tracestate);
	for (const span of [queue, tunnel]) assertWithin(span, whole);
	assertWithin(ofTrace('first byte', tunnel), tunnel);
	assertWithin(ofTrace('first byte', at), at);
	assert.ok(queue.end <= tunnel.start + 1_000_000n, 'it waits before it is sent');

	const { attributes } = whole;
	assert.equal(attributes['http.request.method'], 'POST');
	assert.equal(attributes['url.path'], '/v1/chat');
	assert.equal(attributes['http.response.status_code'], 503);
	assert.equal(attributes['slime.outcome'], 'complete');
	assert.equal(attributes['slime.request_id'], at.attributes['slime.request_id']);
	assert.equal(whole.failed, true);
	assert.match(String(tunnel.attributes['slime.agent']), /^agent-/);
	assert.ok(!JSON.stringify(collector.spans, (_, value) => String(value) && value?.toString?.()).includes('secret'));
});

test('a request without a trace begins one, and each agent that it was sent to has a span', async (t) => {
	const seen: unknown[] = [];
	const service = await upstream(t, (req, res) => {
		seen.push(req.headers.traceparent);
		res.end();
	});
	const { port, collector, join, tracing, flush } = await traced(t, []);
	await join(`127.0.0.1:${await closedPort()}`, { agentID: 'dead', numWorker: 9, tracing: tracing.agent });
	await join(service.address, { agentID: 'alive', numWorker: 9, tracing: tracing.agent });
	for (let i = 0; i < 3; i++) assert.equal((await ask(port)).status, 200);
	await flush();
	const requests = collector.spans.filter(({ name }) => name === 'GET');
	assert.equal(new Set(requests.map(({ traceId }) => traceId)).size, 3);
	assert.ok(
		requests.every(({ parentSpanId, failed }) => parentSpanId === '' && !failed),
		'each begins its trace',
	);
	const twice = requests.find(({ attributes }) => attributes['slime.attempts'] === 2);
	assert.ok(twice !== undefined, 'one went on to another agent');
	const sent = collector.spans.filter(({ name, parentSpanId }) => name === 'tunnel' && parentSpanId === twice.spanId);
	const told = sent.map(({ attributes, failed }) => [attributes['slime.agent'], attributes['error.type'], failed]);
	assert.deepEqual(told, [
		['dead', 'upstream_unreachable', true],
		['alive', undefined, false],
	]);
	const failed = collector.one('upstream', ({ parentSpanId }) => parentSpanId === sent[0]?.spanId);
	assert.equal(failed.attributes['error.type'], 'upstream_unreachable');
	assert.equal(new Set(seen).size, 3);
});

test('what the application does not want sampled is not exported, and its trace goes on', async (t) => {
	const seen: unknown[] = [];
	const service = await upstream(t, (req, res) => {
		seen.push(req.headers.traceparent);
		res.end();
	});
	const { port, collector, flush } = await traced(t, [service.address]);
	await ask(port, '/', { headers: { traceparent: `00-${TRACE}-${PARENT}-00` } });
	await flush();
	assert.equal(collector.requests, 0);
	assert.match(String(seen[0]), new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-00$`));
});

test('a collector that refuses, or never answers, holds up no request, and ending waits for it no longer than it may', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	for (const [answer, timeout, told] of [
		[
			(_req: unknown, res: { writeHead(status: number): { end(): void } }) => void res.writeHead(400).end(),
			10_000,
			'could not be exported',
		],
		[() => undefined, 100, 'not all exported in time'],
	] as const) {
		const log = new LogSink();
		const collector = await Collector.open(t, answer);
		const tracing = await tracingTo(collector, 'slime-hub', log);
		const { port } = await stack(t, [service.address], { hub: { tracing } });
		assert.equal((await ask(port)).status, 200);
		await tracing.end(timeout);
		assert.ok(log.has(told), JSON.stringify(log.lines));
		await eventually('it was asked', () => collector.requests > 0);
	}
});

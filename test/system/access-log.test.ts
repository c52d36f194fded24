/** The access log: one line a request, with what it was and how it ended; or a line for some of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ACCESS_LOG_FIELDS, type AccessLogField, type AccessLogOptions } from '../../src/config/access-log.ts';
import { createLogger, type GivenHubOptions } from '../../src/index.ts';
import { closedPort } from '../helpers/ports.ts';
import {
	type AgentWish,
	Arrivals,
	ask,
	eventually,
	type LogSink,
	type Stack,
	stack,
	token,
	upstream,
} from '../helpers/stack.ts';

type Line = Readonly<Partial<Record<AccessLogField, unknown>>>;

/** The log's lines about requests, without what all lines have. */
function access({ lines }: Pick<LogSink, 'lines'>): Line[] {
	return lines.filter(({ msg }) => msg === 'access').map(({ level: _, time: __, msg: ___, ...line }) => line);
}

async function logging(
	t: TestContext,
	upstreams: readonly string[],
	accessLog: Partial<AccessLogOptions>,
	given: { readonly hub?: Partial<GivenHubOptions>; readonly agent?: AgentWish } = {},
): Promise<Stack> {
	const all = { sample: 1, errors: false, fields: ACCESS_LOG_FIELDS, ...accessLog };
	return stack(t, upstreams, { ...given, hub: { ...given.hub, accessLog: all } });
}

test('a line says who asked for what, who served it, how much it was and how long it took', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const keys = [{ name: 'team-a', key: 'key-of-team-a' }];
	const { hub, port, log, join } = await logging(t, [], {}, { hub: { keys } });
	await join(service.address, { agentID: 'gpu-1', token: await token({ name: 'berlin', scopes: ['eu'] }) });
	const headers = { authorization: 'Bearer key-of-team-a', 'slime-scope': 'eu', 'x-request-id': 'first' };
	const first = ask(port, '/v1/chat?secret=1', { method: 'POST', body: 'x'.repeat(1000), headers });
	const [req, res] = await arrivals.next();
	req.resume();
	await once(req, 'end');
	const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
	const second = ask(port, '/v1/models', {
		headers: { ...headers, 'x-request-id': 'second', 'slime-block': '1', traceparent },
	});
	await eventually('it waits', () => hub.waiting === 1);
	res.write('one');
	res.end('three');
	await first;
	(await arrivals.next())[1].writeHead(404).end('no');
	await second;

	const [one, two] = access(log);
	const common = {
		key: 'team-a',
		address: '127.0.0.1',
		http: '1.1',
		scope: 'eu',
		agent: 'gpu-1',
		token: 'berlin',
		attempts: 1,
		outcome: 'complete',
	};
	const times = ({ queueMs, firstByteMs, totalMs }: Line) => [queueMs, firstByteMs, totalMs].map(Number);
	const { queueMs, firstByteMs, totalMs, ...whole } = one as Line;
	assert.deepEqual(whole, {
		...common,
		requestId: 'first',
		method: 'POST',
		path: '/v1/chat',
		status: 200,
		requestBytes: 1000,
		responseBytes: 8,
	});
	assert.equal(queueMs, undefined);
	assert.ok(Number(firstByteMs) > 0 && Number(firstByteMs) <= Number(totalMs), `${firstByteMs} of ${totalMs}`);
	const { queueMs: _, firstByteMs: __, totalMs: ___, ...other } = two as Line;
	assert.deepEqual(other, {
		...common,
		requestId: 'second',
		traceId: '0af7651916cd43dd8448eb211c80319c',
		method: 'GET',
		path: '/v1/models',
		status: 404,
		requestBytes: 0,
		responseBytes: 2,
	});
	const [queued = 0, head = 0, total = 0] = times(two as Line);
	assert.ok(queued > 0 && queued <= head && head <= total, `${queued} ${head} ${total}`);
	assert.equal(access(log).length, 2);
	assert.ok(!/key-of-team-a|secret=1/.test(JSON.stringify(access(log))));
});

test('a request that fails has a line too, in whatever way, and every request one', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const keys = [{ name: 'a', key: 'key-a', scopes: ['x'] }];
	const hub = { keys, appPassword: 'sesame' };
	const { port, log, join } = await logging(t, [`127.0.0.1:${await closedPort()}`], {}, { hub });
	const headers = { 'slime-app-password': 'sesame' };
	const told = async (path: string, also: Record<string, string> = headers) => {
		const before = access(log).length;
		await ask(port, path, { headers: also });
		assert.equal(access(log).length, before + 1);
		const { status, outcome, error, key, attempts } = access(log).at(-1) as Line;
		return [status, outcome, error, key, attempts];
	};
	assert.deepEqual(await told('/', {}), [401, 'error', 'unauthorized', undefined, 0]);
	assert.deepEqual(await told('/.slime/x'), [404, 'error', 'not_found', undefined, 0]);
	assert.deepEqual(await told('/'), [502, 'error', 'upstream_unreachable', undefined, 1]);
	const scoped = { 'slime-app-password': 'key-a', 'slime-scope': 'y' };
	assert.deepEqual(await told('/', scoped), [403, 'error', 'scope_denied', 'a', 0]);
	assert.equal((access(log).at(-1) as Line).scope, 'y');
	const waits = { ...headers, 'slime-scope': 'nobody', 'slime-block': '1', 'slime-queue-timeout': '0.05' };
	assert.deepEqual(await told('/', waits), [503, 'error', 'queue_timeout', undefined, 0]);
	const { queueMs } = access(log).at(-1) as Line;
	assert.ok(Number(queueMs) >= 40, `${queueMs} ms in the queue`);

	const socket = connect(port, '127.0.0.1').on('error', () => undefined);
	socket.end('this is no HTTP\r\n\r\n');
	socket.resume();
	await once(socket, 'close');
	const refused = { address: '127.0.0.1', attempts: 0, status: 400, outcome: 'error', error: 'bad_request' };
	assert.deepEqual(access(log).at(-1), { ...refused, requestBytes: 0, responseBytes: 0, totalMs: 0 });

	await join(service.address, { numWorker: 4 });
	const cut = ask(port, '/', { headers });
	const [, res] = await arrivals.next();
	res.write('half');
	setImmediate(() => res.destroy());
	await cut;
	assert.equal((access(log).at(-1) as Line).outcome, 'cut');
	assert.equal((access(log).at(-1) as Line).responseBytes, 4);

	const leaving = new AbortController();
	const left = ask(port, '/', { signal: leaving.signal, headers });
	await arrivals.next();
	leaving.abort();
	await assert.rejects(left);
	await eventually('the hub has noticed', () => access(log).at(-1)?.outcome === 'app_gone');
	assert.equal('status' in (access(log).at(-1) as Line), false);
});

test('a request that went on to another agent says how many it was sent to, and which answered', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port, log, join } = await logging(t, [], {});
	await join(`127.0.0.1:${await closedPort()}`, { agentID: 'dead', numWorker: 9 });
	await join(service.address, { agentID: 'alive', numWorker: 9 });
	const lines = [];
	for (let i = 0; i < 4; i++) {
		await ask(port);
		lines.push(access(log).at(-1));
	}
	const seen = lines.map((line) => `${line?.agent} ${line?.attempts} ${line?.status}`);
	assert.ok(seen.includes('alive 2 200'), seen.join());
});

test('fields are chosen, and nothing else is in a line', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { port, log } = await logging(t, [service.address], { fields: ['status', 'path'] });
	await ask(port, '/a?b');
	assert.deepEqual(access(log), [{ status: 200, path: '/a' }]);
});

test('with errors alone only what failed has a line: of the hub, of an upstream, or cut', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/cut') {
			res.write('half');
			setImmediate(() => res.destroy());
		} else res.writeHead(Number(req.url?.slice(1))).end();
	});
	const { port, log } = await logging(t, [service.address], { sample: 0, errors: true, fields: ['status', 'error'] });
	for (const path of ['/200', '/404', '/500', '/cut', '/302', '/503']) await ask(port, path);
	await ask(port, '/', { headers: { 'slime-scope': 'nobody' } });
	assert.deepEqual(access(log), [
		{ status: 500 },
		{ status: 200 },
		{ status: 503 },
		{ status: 503, error: 'no_agent' },
	]);
});

test('lines come whatever else is logged, and none where there is no access log', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	for (const sample of [1, 0]) {
		const lines: Record<string, unknown>[] = [];
		const logger = createLogger('error', { write: (line) => void lines.push(JSON.parse(line)) });
		const { port } = await logging(t, [service.address], { sample }, { hub: { logger } });
		await ask(port);
		assert.deepEqual(
			lines.map(({ msg, level }) => `${level} ${msg}`),
			sample === 1 ? ['info access'] : [],
		);
	}
});

/** With retryIdempotent a request that may have started is sent once more, where that does no harm, and only then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCode, FrameType } from '../../src/h2/protocol.ts';
import { frame, type RawPeer, uint32 } from '../helpers/h2-peer.ts';
import { cut, rawAgent } from '../helpers/raw-tunnels.ts';
import { Scrape } from '../helpers/scraping.ts';
import { ask, assertError, eventually, RawClient, type Stack, stack, upstream, WAITS } from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const ON = { hub: { retryIdempotent: true, adminPort: 0 } };

/** The next request at an agent that never answers it. */
async function request(agent: RawPeer): Promise<number> {
	return (await agent.next(FrameType.HEADERS)).streamId;
}

async function lostReplays({ hub }: Stack): Promise<number | undefined> {
	return (await Scrape.of(hub)).get('slime_hub_replays_total{reason="lost"}');
}

test('a GET whose agent is lost before the response is sent once more, to another agent', LIMIT, async (t) => {
	const service = await upstream(t, (req, res) => res.end(`${req.method} ${req.url}`));
	const scene = await stack(t, [], ON);
	const raw = await rawAgent(t, scene);
	await scene.join(service.address);
	const answer = ask(scene.port, '/again?');
	await request(raw);
	await cut(raw);
	assert.equal((await answer).body, 'GET /again?');
	assert.equal(service.served, 1);
	assert.equal(await lostReplays(scene), 1);
	await eventually('all slots are free', () => scene.hub.leased === 0);
});

test('it is sent again once: when the second agent is lost too that is 502 agent_lost', LIMIT, async (t) => {
	const service = await upstream(t, (_req, res) => res.end('third'));
	const scene = await stack(t, [], ON);
	const raws = [await rawAgent(t, scene), await rawAgent(t, scene)];
	await scene.join(service.address);
	const answer = ask(scene.port, '/', { headers: WAITS });
	for (const raw of raws) {
		await request(raw);
		await cut(raw);
	}
	assertError(await answer, 502, 'agent_lost');
	assert.equal(service.served, 0);
});

test('one that waits takes its place in the queue again, one that does not is 502 agent_lost', LIMIT, async (t) => {
	const service = await upstream(t, (req, res) => res.end(req.url));
	const scene = await stack(t, [], ON);
	const raw = await rawAgent(t, scene, 2);
	const first = ask(scene.port, '/first', { headers: WAITS });
	await request(raw);
	const impatient = ask(scene.port, '/impatient');
	await request(raw);
	const order: string[] = [];
	const later = ask(scene.port, '/later', { headers: WAITS });
	for (const answer of [first, later]) void answer.then(({ body }) => order.push(body));
	await eventually('one waits', () => scene.hub.waiting === 1);
	await cut(raw);
	assertError(await impatient, 502, 'agent_lost');
	await eventually('both wait', () => scene.hub.waiting === 2);
	await scene.join(service.address);
	await Promise.all([first, later]);
	assert.deepEqual(order, ['/first', '/later']);
});

for (const [what, asking] of Object.entries({
	'a POST': { method: 'POST' },
	'a PATCH': { method: 'PATCH' },
	'a PUT with a body': { method: 'PUT', body: 'x' },
	'a GET with a body': { method: 'GET', body: 'x', headers: { 'content-length': '1' } },
})) {
	test(`${what} is never sent again`, LIMIT, async (t) => {
		const service = await upstream(t, (_req, res) => res.end());
		const scene = await stack(t, [], ON);
		const raw = await rawAgent(t, scene);
		await scene.join(service.address);
		const answer = ask(scene.port, '/', asking);
		await request(raw);
		await cut(raw);
		assertError(await answer, 502, 'agent_lost');
		assert.equal(service.served, 0);
	});
}

test('what an agent that lives gives up is not sent again', LIMIT, async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const scene = await stack(t, [], ON);
	const raw = await rawAgent(t, scene);
	await scene.join(service.address);
	const answer = ask(scene.port);
	raw.send(frame(FrameType.RST_STREAM, 0, await request(raw), uint32(ErrorCode.INTERNAL_ERROR)));
	assertError(await answer, 502, 'agent_lost');
	assert.equal(service.served, 0);
});

test('a response that began is cut, not asked for again', LIMIT, async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const scene = await stack(t, [], ON);
	const raw = await rawAgent(t, scene);
	await scene.join(service.address);
	const client = await RawClient.open(t, scene.port);
	client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
	const id = await request(raw);
	raw.send(raw.headers(id, [':status', '200'], false), raw.data(id, 'half', false));
	await client.sees('half');
	await cut(raw);
	assert.ok(!(await client.all()).includes('\r\n0\r\n'));
	assert.equal(service.served, 0);
});

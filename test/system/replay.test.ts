/** What an agent did not start goes to another one, whole and once; what may have started goes nowhere. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ErrorCode, Flag, FrameType } from '../../src/h2/protocol.ts';
import { frame, OK, type RawFrame, type RawPeer, uint32 } from '../helpers/h2-peer.ts';
import { cut, rawAgent } from '../helpers/raw-tunnels.ts';
import { Arrivals, ask, assertError, eventually, readAnswer, stack, upstream, workerFree } from '../helpers/stack.ts';

/** Ends a test that waits for what never comes. */
const LIMIT = { timeout: 60_000 };

const KiB = 1024;
const BLOCK = { 'slime-block': '1' };

const reset = (id: number, code: number) => frame(FrameType.RST_STREAM, 0, id, uint32(code));
const goaway = (last: number, code = 0) => frame(FrameType.GOAWAY, 0, 0, uint32(last, code));
const credit = (id: number, bytes: number) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(bytes));

/** The agent never looks at this stream. */
const refusals: Record<string, (agent: RawPeer, id: number) => void> = {
	REFUSED_STREAM: (agent, id) => agent.send(reset(id, ErrorCode.REFUSED_STREAM)),
	'GOAWAY with a lower last stream id': (agent, id) => agent.send(goaway(id - 1)),
	'GOAWAY with a lower last stream id, and the end of the connection': (agent, id) => {
		agent.send(goaway(id - 1));
		agent.socket.end();
	},
};

/** The next request's HEADERS and its path. Must be asked for each request, in order: they share a compression context. */
async function nextRequest(agent: RawPeer): Promise<{ id: number; path: string | undefined; headers: RawFrame }> {
	const headers = await agent.next(FrameType.HEADERS);
	const fields = agent.fields(headers);
	return { id: headers.streamId, path: fields[fields.indexOf(':path') + 1], headers };
}

/** An upstream that keeps what it is sent, and its agent; it joins after the raw one, which is therefore asked first. */
function keeping() {
	const bodies: Buffer[] = [];
	const requests: IncomingMessage[] = [];
	return {
		bodies,
		requests,
		handler: async (req: IncomingMessage, res: ServerResponse) => {
			requests.push(req);
			const chunks: Buffer[] = [];
			for await (const chunk of req) chunks.push(chunk);
			bodies.push(Buffer.concat(chunks));
			res.end('served');
		},
	};
}

for (const [how, refuse] of Object.entries(refusals)) {
	for (const when of ['when all of its body has come', 'in the middle of its body', 'before its body'] as const) {
		test(`a request refused by ${how}, ${when}, is served by another agent, once and whole`, LIMIT, async (t) => {
			const body = randomBytes(60 * KiB);
			const kept = keeping();
			const service = await upstream(t, kept.handler);
			const scene = await stack(t);
			const raw = await rawAgent(t, scene);
			await scene.join(service.address);
			const req = request({ host: '127.0.0.1', port: scene.port, path: '/whole?', method: 'POST', agent: false });
			req.setHeader('x-kept', 'as it was');
			const response = once(req, 'response');
			const sent = when === 'before its body' ? 0 : when === 'in the middle of its body' ? 30 * KiB : body.length;
			req.flushHeaders();
			if (sent > 0) req.write(body.subarray(0, sent));
			if (sent === body.length) req.end();
			const { id } = await nextRequest(raw);
			await raw.until(() => raw.bodyOf(id).length === sent);
			refuse(raw, id);
			if (sent < body.length) req.end(body.subarray(sent));
			const answer = await readAnswer((await response)[0] as IncomingMessage);
			assert.equal(`${answer.status} ${answer.body}`, '200 served');
			assert.equal(answer.headers['slime-agent-id'] === 'raw', false);
			assert.equal(service.served, 1);
			assert.ok(kept.bodies[0]?.equals(body), `${kept.bodies[0]?.length} bytes, or others`);
			assert.equal(kept.requests[0]?.url, '/whole?');
			assert.equal(kept.requests[0]?.headers['x-kept'], 'as it was');
			await workerFree(scene.hub);
		});
	}
}

test('GOAWAY lets the streams up to its last id finish, and sends only those above it elsewhere', LIMIT, async (t) => {
	const kept = keeping();
	const service = await upstream(t, kept.handler);
	const scene = await stack(t);
	const raw = await rawAgent(t, scene, 2);
	const first = ask(scene.port, '/first', { method: 'POST', body: 'one' });
	const { id } = await nextRequest(raw);
	const second = ask(scene.port, '/second', { method: 'POST', body: 'two' });
	await nextRequest(raw);
	await scene.join(service.address);
	raw.send(goaway(id));
	assert.equal((await second).body, 'served');
	assert.deepEqual(
		kept.requests.map(({ url }) => url),
		['/second'],
	);
	raw.send(raw.headers(id, OK, false), raw.data(id, 'by the first', true));
	assert.equal((await first).body, 'by the first');
	assert.equal(service.served, 1);
});

test(
	'a request that every agent refuses, one after the other, and that does not wait gets 503 busy',
	LIMIT,
	async (t) => {
		const scene = await stack(t);
		const raws = [await rawAgent(t, scene), await rawAgent(t, scene)];
		const answer = ask(scene.port, '/', { method: 'POST', body: 'x' });
		for (const raw of raws) raw.send(reset((await nextRequest(raw)).id, ErrorCode.REFUSED_STREAM));
		assertError(await answer, 503, 'busy');
		assert.deepEqual(
			raws.map((raw) => raw.of(FrameType.HEADERS).length),
			[1, 1],
		);
	},
);

/** What an agent may do to a request that it has begun. */
const losses: Record<string, (agent: RawPeer, id: number) => void> = {
	'RST_STREAM(CANCEL)': (agent, id) => agent.send(reset(id, ErrorCode.CANCEL)),
	'RST_STREAM(INTERNAL_ERROR)': (agent, id) => agent.send(reset(id, ErrorCode.INTERNAL_ERROR)),
	'RST_STREAM(NO_ERROR)': (agent, id) => agent.send(reset(id, ErrorCode.NO_ERROR)),
	'GOAWAY that includes it, and the end of the connection': (agent, id) => {
		agent.send(goaway(id));
		agent.socket.end();
	},
	'the end of the connection': (agent) => agent.socket.end(),
	'the loss of the connection': (agent) => void cut(agent),
};

for (const [how, lose] of Object.entries(losses)) {
	for (const [method, body] of [
		['GET', ''],
		['POST', 'a body'],
	] as const) {
		test(
			`a ${method} request that ended with ${how} is 502 agent_lost, and no other agent hears of it`,
			LIMIT,
			async (t) => {
				const service = await upstream(t, (_req, res) => res.end('next'));
				const scene = await stack(t);
				const raw = await rawAgent(t, scene);
				await scene.join(service.address);
				const answer = ask(scene.port, '/', { method, body, headers: BLOCK });
				const { id } = await nextRequest(raw);
				await raw.until(() => raw.bodyOf(id).length === body.length);
				lose(raw, id);
				assertError(await answer, 502, 'agent_lost');
				assert.equal(service.served, 0);
				assert.equal(raw.of(FrameType.HEADERS).length, 1);
				await workerFree(scene.hub);
				assert.equal((await ask(scene.port)).body, 'next');
				assert.equal(service.served, 1);
			},
		);
	}
}

test(
	'a request whose body the hub has let go of is 502 agent_lost when it is refused, not sent elsewhere in part',
	LIMIT,
	async (t) => {
		const service = await upstream(t, (_req, res) => res.end('never'));
		const scene = await stack(t);
		const raw = await rawAgent(t, scene);
		await scene.join(service.address);
		const answer = ask(scene.port, '/', { method: 'POST', body: randomBytes(4096 * KiB) });
		const { id } = await nextRequest(raw);
		raw.send(credit(0, 2048 * KiB), credit(id, 2048 * KiB));
		await raw.until(() => raw.bodyOf(id).length > 1024 * KiB);
		raw.send(reset(id, ErrorCode.REFUSED_STREAM));
		assertError(await answer, 502, 'agent_lost');
		assert.equal(service.served, 0);
	},
);

test('a request that was refused keeps its place in the queue', LIMIT, async (t) => {
	const scene = await stack(t);
	const raw = await rawAgent(t, scene);
	const answers = [];
	for (let i = 0; i < 3; i++) {
		answers.push(ask(scene.port, `/${i}`, { method: 'POST', body: `body ${i}`, headers: BLOCK }));
		if (i > 0) await eventually('it waits', () => scene.hub.waiting === i);
		else await raw.until(() => raw.of(FrameType.HEADERS).length === 1);
	}
	const came: Array<string | undefined> = [];
	const take = async (refused: boolean) => {
		const { id, path } = await nextRequest(raw);
		came.push(path);
		await raw.until(() => raw.of(FrameType.DATA, id).some(({ flags }) => (flags & Flag.END_STREAM) !== 0));
		if (refused) raw.send(reset(id, ErrorCode.REFUSED_STREAM));
		else raw.send(raw.headers(id, OK, false), raw.data(id, raw.bodyOf(id), true));
	};
	for (const refused of [true, true, false, true, false, false]) await take(refused);
	assert.deepEqual(came, ['/0', '/0', '/0', '/1', '/1', '/2']);
	const bodies = (await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`);
	assert.deepEqual(bodies, ['200 body 0', '200 body 1', '200 body 2']);
});

test('a refused request goes before those that came after it when another agent becomes free', LIMIT, async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const scene = await stack(t);
	const raw = await rawAgent(t, scene);
	const answers = [ask(scene.port, '/0', { headers: BLOCK })];
	const { id } = await nextRequest(raw);
	for (const i of [1, 2]) {
		answers.push(ask(scene.port, `/${i}`, { headers: BLOCK }));
		await eventually('it waits', () => scene.hub.waiting === i);
	}
	raw.send(goaway(id - 1));
	await eventually('all wait', () => scene.hub.waiting === 3);
	await scene.join(service.address);
	const came: unknown[] = [];
	for (let i = 0; i < 3; i++) {
		const [req, res] = await arrivals.next();
		came.push(req.url);
		res.end();
	}
	await Promise.all(answers);
	assert.deepEqual(came, ['/0', '/1', '/2']);
});

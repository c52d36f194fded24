/** Programs that applications are written with, against a hub and an agent: OpenAI's SDK, fetch, ws. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import OpenAI from 'openai';
import { WebSocket } from 'ws';
import { startDemoUpstream } from '../../src/cli/demo-upstream.ts';
import type { GivenHubOptions } from '../../src/index.ts';
import { talkingUpstream } from '../helpers/event-stream.ts';
import { Arrivals, type Stack, stack, upstream, WAITS, workerFree } from '../helpers/stack.ts';
import { echoService } from '../helpers/websocket.ts';

const QUESTION = { model: 'slime-demo', messages: [{ role: 'user' as const, content: 'Hello' }] };
const PASSWORD = 'an app password for tests only';

async function demo(context: TestContext, hub: Partial<GivenHubOptions> = {}, interval = 5): Promise<Stack> {
	const service = await startDemoUpstream(interval);
	context.after(() => service.close());
	return stack(context, [`127.0.0.1:${service.port}`], { hub });
}

function openai({ hub }: Stack, apiKey = 'none'): OpenAI {
	return new OpenAI({ baseURL: `${hub.url}/v1`, apiKey, maxRetries: 0, defaultHeaders: WAITS });
}

test('the OpenAI SDK gets a chat completion in one piece', async (context) => {
	const completion = await openai(await demo(context)).chat.completions.create(QUESTION);
	assert.equal(completion.choices[0]?.finish_reason, 'stop');
	assert.match(completion.choices[0]?.message.content ?? '', /^Hello! .* one token at a time\.$/);
});

test('the OpenAI SDK gets every token of a streamed completion, as they are made', async (context) => {
	const client = openai(await demo(context, {}, 10));
	const whole = await client.chat.completions.create(QUESTION);
	const arrivals = new Set<number>();
	let text = '';
	let finish: string | null = null;
	for await (const chunk of await client.chat.completions.create({ ...QUESTION, stream: true })) {
		arrivals.add(Math.floor(performance.now()));
		text += chunk.choices[0]?.delta.content ?? '';
		finish = chunk.choices[0]?.finish_reason ?? finish;
	}
	assert.equal(text, whole.choices[0]?.message.content);
	assert.equal(finish, 'stop');
	// Whoever collected them first would have brought them within a few milliseconds.
	const [first = 0, last = 0] = [Math.min(...arrivals), Math.max(...arrivals)];
	assert.ok(arrivals.size > 10 && last - first > 200, `${arrivals.size} arrivals within ${last - first} ms`);
});

test('a stream that the OpenAI SDK aborts ends at the upstream, and frees the worker', async (context) => {
	const arrivals = new Arrivals();
	const { address } = await upstream(context, arrivals.handler);
	const whole = await stack(context, [address]);
	const answer = openai(whole).chat.completions.create({ ...QUESTION, stream: true });
	const [, service] = await arrivals.next();
	service.writeHead(200, { 'content-type': 'text/event-stream' });
	service.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'one' } }] })}\n\n`);
	const stopped = once(service, 'close');
	const stream = await answer;
	for await (const chunk of stream) {
		assert.equal(chunk.choices[0]?.delta.content, 'one');
		stream.controller.abort();
	}
	await stopped;
	assert.equal(service.writableFinished, false);
	await workerFree(whole.hub);
});

test('the app password is good as the api key of the OpenAI SDK', async (context) => {
	const { data } = await openai(await demo(context, { appPassword: PASSWORD }), PASSWORD).models.list();
	assert.equal(data[0]?.id, 'slime-demo');
});

test('a wrong api key is an AuthenticationError of the OpenAI SDK', async (context) => {
	const client = openai(await demo(context, { appPassword: PASSWORD }), 'another one');
	await assert.rejects(client.chat.completions.create(QUESTION), (error) => {
		assert.ok(error instanceof OpenAI.AuthenticationError);
		assert.deepEqual([error.status, error.code, error.type], [401, 'unauthorized', 'authentication_error']);
		assert.doesNotMatch(error.message, /another one/);
		return true;
	});
});

test('without an agent the OpenAI SDK gets an error with a code', async (context) => {
	const { hub } = await stack(context);
	const client = new OpenAI({ baseURL: `${hub.url}/v1`, apiKey: 'none', maxRetries: 0 });
	await assert.rejects(client.chat.completions.create(QUESTION), (error) => {
		assert.ok(error instanceof OpenAI.InternalServerError);
		assert.deepEqual([error.status, error.code], [503, 'no_agent']);
		assert.match(error.headers?.get('retry-after') ?? '', /^\d+$/);
		return true;
	});
});

test('fetch reads events one by one, and its abort ends the work of the upstream', async (context) => {
	const { address, streams } = await talkingUpstream(context);
	const { hub } = await stack(context, [address]);
	const abort = new AbortController();
	const answered = fetch(`${hub.url}/events`, { headers: WAITS, signal: abort.signal });
	const [, service] = await streams.next();
	service.write('data: first\n\n');
	const response = await answered;
	assert.equal(response.status, 200);
	assert.equal(response.headers.get('x-accel-buffering'), 'no');
	assert.ok(response.body);
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	assert.equal((await reader.read()).value, 'data: first\n\n');
	service.write('data: second\n\n');
	assert.equal((await reader.read()).value, 'data: second\n\n');
	const stopped = once(service, 'close');
	abort.abort();
	await assert.rejects(reader.read(), { name: 'AbortError' });
	await stopped;
	await workerFree(hub);
});

test('fetch gets an error, not an end, when the upstream breaks in the middle', async (context) => {
	const { address, streams } = await talkingUpstream(context);
	const { hub } = await stack(context, [address]);
	const answered = fetch(`${hub.url}/events`, { headers: WAITS });
	const [, service] = await streams.next();
	service.write('data: first\n\n');
	const response = await answered;
	assert.ok(response.body);
	const reader = response.body.getReader();
	await reader.read();
	service.destroy();
	await assert.rejects(reader.read(), TypeError);
});

test('fetch sends a body while it still makes it, and reads the answer at the same time', async (context) => {
	const { address } = await talkingUpstream(context);
	const { hub } = await stack(context, [address]);
	const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
	const writer = writable.getWriter();
	const answered = fetch(`${hub.url}/echo`, { method: 'POST', headers: WAITS, body: readable, duplex: 'half' });
	await writer.write(new TextEncoder().encode('one '));
	const response = await answered;
	assert.ok(response.body);
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	assert.equal((await reader.read()).value, 'one ');
	await writer.write(new TextEncoder().encode('two'));
	assert.equal((await reader.read()).value, 'two');
	await writer.close();
	assert.equal((await reader.read()).done, true);
});

test('ws opens a WebSocket with the api key, talks and closes it', async (context) => {
	const { address } = await echoService(context);
	const { hub } = await stack(context, [address], { hub: { appPassword: PASSWORD } });
	const headers = { authorization: `Bearer ${PASSWORD}` };
	const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/socket`, { headers });
	await once(socket, 'open');
	for (const text of ['one', 'two', 'three']) {
		socket.send(text);
		assert.equal(String((await once(socket, 'message'))[0]), text);
	}
	socket.close(1000, 'done');
	assert.equal((await once(socket, 'close'))[0], 1000);
	await workerFree(hub);
});

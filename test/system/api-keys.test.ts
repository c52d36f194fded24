/** Applications' keys: who may ask for which agents, how much, and in whose name requests take turns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiKeyOptions } from '../../src/index.ts';
import { type Answer, Arrivals, type Asking, ask, assertError, eventually, stack, upstream } from '../helpers/stack.ts';

const BLOCK = { 'slime-block': '1' };

/** A key of this name, which is `key-` and the name. */
function key(name: string, limits: Partial<ApiKeyOptions> = {}): ApiKeyOptions {
	return { name, key: `key-${name}`, ...limits };
}

/** Asks with a key as API clients do. */
function askAs(name: string, port: number, path = '/', { headers, ...asking }: Asking = {}): Promise<Answer> {
	return ask(port, path, { ...asking, headers: { authorization: `Bearer key-${name}`, ...headers } });
}

test('a key lets in by either header and never reaches the upstream or the log, and what is no key does not', async (t) => {
	const seen: string[] = [];
	const service = await upstream(t, (req, res) => {
		seen.push(req.rawHeaders.join('\n'));
		res.end();
	});
	const hub = { keys: [key('a'), key('b')], appPassword: 'sesame' };
	const { port, log } = await stack(t, [service.address], { hub });
	assert.equal((await askAs('a', port)).status, 200);
	assert.equal((await ask(port, '/', { headers: { 'slime-app-password': 'key-b' } })).status, 200);
	const both = { 'slime-app-password': 'key-b', authorization: 'Bearer key-a' };
	assert.equal((await ask(port, '/', { headers: both })).status, 200);
	assert.equal((await ask(port, '/', { headers: { 'slime-app-password': 'sesame' } })).status, 200);
	assert.deepEqual(
		seen.map((fields) => /key-|sesame|authorization|slime-/i.test(fields)),
		[false, false, false, false],
	);
	const own = { 'slime-app-password': 'key-a', authorization: 'Bearer of-the-upstream' };
	assert.equal((await ask(port, '/', { headers: own })).status, 200);
	assert.match(seen[4] ?? '', /Bearer of-the-upstream/);

	assertError(await ask(port), 401, 'unauthorized');
	assertError(await askAs('c', port), 401, 'unauthorized');
	assert.equal(service.served, 5);
	const names = log.lines
		.filter(({ msg, address }) => msg === 'request' && address !== undefined)
		.map((line) => line.key);
	assert.deepEqual(names, ['a', 'b', 'b', undefined, 'a']);
	assert.ok(!/key-[abc]|sesame/.test(JSON.stringify(log.lines)));
});

test('a key gets agents of its scopes alone, whether it asks for one of them or for none', async (t) => {
	const make = (name: string) => upstream(t, (_req, res) => res.end(name));
	const [any, chat, images, video] = await Promise.all(['any', 'chat', 'images', 'video'].map(make));
	const hub = { keys: [key('free'), key('media', { scopes: ['images', 'video'] }), key('none', { scopes: ['x'] })] };
	const { port, join } = await stack(t, [], { hub });
	await join(any?.address ?? '', { numWorker: 9 });
	await join(chat?.address ?? '', { scopes: ['chat'], numWorker: 9 });
	await join(images?.address ?? '', { scopes: ['images'], numWorker: 9 });
	await join(video?.address ?? '', { scopes: ['video', 'fast'], numWorker: 9 });
	const served = async (name: string) => {
		const bodies = new Set<string>();
		for (let i = 0; i < 8; i++) bodies.add((await askAs(name, port)).body);
		return [...bodies].sort();
	};
	assert.deepEqual(await served('free'), ['any', 'chat', 'images', 'video']);
	assert.deepEqual(await served('media'), ['images', 'video']);
	const scoped = (name: string, scope: string) => askAs(name, port, '/', { headers: { 'slime-scope': scope } });
	assert.equal((await scoped('media', 'video')).body, 'video');
	assert.equal((await scoped('free', 'fast')).body, 'video');
	for (const scope of ['chat', 'fast', 'images,video', 'VIDEO']) {
		assertError(await scoped('media', scope), 403, 'scope_denied');
	}
	assertError(await askAs('none', port), 503, 'no_agent');
	assert.equal((chat?.served ?? 0) > 0 && (any?.served ?? 0) > 0, true);
});

test('a request of a key with scopes waits for whichever of their agents is free first', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub, join } = await stack(t, [], { hub: { keys: [key('a', { scopes: ['x', 'y'] })] } });
	const answer = askAs('a', port, '/waits', { headers: BLOCK });
	await eventually('it waits', () => hub.waiting === 1);
	await join(service.address);
	await join(service.address, { scopes: ['z'] });
	assert.equal(hub.waiting, 1);
	await join(service.address, { scopes: ['y'] });
	const [req, res] = await arrivals.next();
	assert.equal(req.url, '/waits');
	res.end();
	assert.equal((await answer).status, 200);
});

test('keys take turns in the queue though all come from one address, and none is more urgent than it may be', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const keys = [key('many'), key('few'), key('slow', { priority: 4 })];
	const { port, hub } = await stack(t, [service.address], { hub: { keys } });
	const first = askAs('many', port);
	let [, res] = await arrivals.next();
	const waiting: Promise<unknown>[] = [];
	const wait = async (name: string, path: string, priority = 'u=3') => {
		waiting.push(askAs(name, port, path, { headers: { ...BLOCK, priority } }));
		await eventually('it waits', () => hub.waiting === waiting.length);
	};
	await wait('slow', '/slow-1', 'u=0');
	for (const path of ['/many-1', '/many-2', '/many-3']) await wait('many', path);
	for (const path of ['/few-1', '/few-2']) await wait('few', path);
	await wait('slow', '/slow-2', 'u=6');
	await wait('many', '/many-4', 'u=0');
	const served: unknown[] = [];
	for (let i = 0; i < 8; i++) {
		res.end();
		const [req, next] = await arrivals.next();
		served.push(req.url);
		res = next;
	}
	res.end();
	await Promise.all([first, ...waiting]);
	const expected = ['/many-4', '/many-1', '/few-1', '/many-2', '/few-2', '/many-3', '/slow-1', '/slow-2'];
	assert.deepEqual(served, expected);
});

test('a key with too much in progress, waiting or not, is busy until one of its requests ends, and others are not', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { port, hub } = await stack(t, [service.address], { hub: { keys: [key('a', { concurrent: 2 }), key('b')] } });
	const first = askAs('a', port);
	const [, res] = await arrivals.next();
	const leaving = new AbortController();
	const second = askAs('a', port, '/', { headers: BLOCK, signal: leaving.signal });
	await eventually('it waits', () => hub.waiting === 1);
	const busy = await askAs('a', port, '/', { method: 'POST', body: 'x', headers: BLOCK });
	assertError(busy, 429, 'key_busy');
	assert.equal(busy.headers['retry-after'], '1');
	assertError(await askAs('b', port), 503, 'busy');

	leaving.abort();
	await assert.rejects(second);
	await eventually('it has left', () => hub.waiting === 0);
	assertError(await askAs('a', port), 503, 'busy');
	const third = askAs('a', port, '/', { headers: BLOCK });
	await eventually('it waits', () => hub.waiting === 1);
	assertError(await askAs('a', port), 429, 'key_busy');
	res.end();
	await first;
	const [, last] = await arrivals.next();
	last.end();
	assert.equal((await third).status, 200);
});

test('a key beyond its rate is told when there is room again, which is neither more nor less than its share', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const rate = { requests: 3, period: 3_600_000 };
	const { port } = await stack(t, [service.address], { hub: { keys: [key('a', { rate }), key('b')] } });
	const began = performance.now();
	for (let i = 0; i < 3; i++) assert.equal((await askAs('a', port)).status, 200);
	const limited = await askAs('a', port);
	assertError(limited, 429, 'rate_limited');
	const seconds = Number(limited.headers['retry-after']);
	const passed = (performance.now() - began) / 1000;
	assert.ok(seconds <= 1200 && seconds >= Math.floor(1200 - passed), `${seconds} after ${passed}`);
	assert.equal((await askAs('b', port)).status, 200);
	assert.equal(service.served, 4);
});

test('what is refused for its scope, its fields or a busy key takes nothing of the rate', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const limits = { scopes: ['x'], concurrent: 1, rate: { requests: 2, period: 3_600_000 } };
	const { port, join } = await stack(t, [], { hub: { keys: [key('a', limits)] } });
	await join(service.address, { scopes: ['x'], numWorker: 2 });
	const first = askAs('a', port);
	const [, res] = await arrivals.next();
	assertError(await askAs('a', port), 429, 'key_busy');
	assertError(await askAs('a', port, '/', { headers: { 'slime-scope': 'y' } }), 403, 'scope_denied');
	assertError(await askAs('a', port, '/', { headers: { 'slime-queue-timeout': 'soon' } }), 400, 'bad_request');
	assertError(await askAs('a', port, '/.slime/'), 404, 'not_found');
	res.end();
	await first;
	const second = askAs('a', port);
	(await arrivals.next())[1].end();
	assert.equal((await second).status, 200);
	assertError(await askAs('a', port), 429, 'rate_limited');
});

/** The catalogue of odd HTTP/1 requests, at a lenient upstream: what it saw, and that a request which follows is served as itself. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FRAMING } from '../catalogue/requests-framing.ts';
import { LINES } from '../catalogue/requests-lines.ts';
import { PREFIXED, TARGETS } from '../catalogue/requests-targets.ts';
import type { Effect, RequestRow } from '../catalogue/rows.ts';
import { RecordingUpstream, type SeenRequest } from '../helpers/recording-upstream.ts';
import { eventually, RawClient, stack } from '../helpers/stack.ts';

/** All wait for the one worker: whatever else came of a request has to be at the upstream before the next one is. */
const ALWAYS = { queue: { mode: 'always', max: 64, timeout: 20_000, maxBytes: 1024 * 1024 } } as const;
const SMUGGLED = 'GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n';

interface Scene {
	readonly upstream: RecordingUpstream;
	readonly port: number;
	/** Number of innocent requests so far. */
	innocents: number;
}

async function scene(context: TestContext, prefix = ''): Promise<Scene> {
	const upstream = await RecordingUpstream.open(context);
	const { port } = await stack(context, [`${upstream.address}${prefix}`.replace(/^/, 'http://')], { hub: ALWAYS });
	return { upstream, port, innocents: 0 };
}

/** Sends the bytes of a row, and what follows it on the connection if it was kept. @param pipelined whether a request follows what is refused */
async function check(
	context: TestContext,
	scene: Scene,
	row: RequestRow,
	{ pieces = 0, pipelined = false } = {},
): Promise<void> {
	const [name, bytes, status, effect] = row;
	const { upstream, port } = scene;
	const before = upstream.requests.length;
	const { unfinished } = upstream;
	const client = await RawClient.open(context, port);
	const refused = status >= 400;
	const follows = refused && pipelined;
	const sent = follows ? `${bytes}${SMUGGLED}` : bytes;
	if (pieces > 0) await sendInPieces(client, sent, pieces);
	else client.send(sent);
	await eventually(`${name} is answered`, () => /^HTTP\/1\.1 [2-9]/.test(client.received) || client.ended !== 'open');
	assert.match(client.received, new RegExp(`^HTTP/1\\.1 ${status} `), client.received.slice(0, 300));
	const stays = !/\r\nconnection: close\r\n/i.test(client.received);
	if (status === 400 || status === 431)
		assert.equal(stays, false, 'the connection of a request that was not understood ends');
	if (follows && !stays) {
		await client.all();
		assert.equal(client.received.split('HTTP/1.1 ').length, 2, `more than one answer: ${client.received}`);
	}
	if (follows && stays) await client.sees('served /pipelined');
	const innocent = await follow(context, scene, stays ? client : null);
	const seen = upstream.requests.slice(before);
	assert.deepEqual(
		seen.map(({ target }) => target),
		[...targetsOf(effect), ...(follows && stays ? ['/pipelined'] : []), innocent],
	);
	for (const request of seen) assertClean(request);
	if (typeof effect === 'object') assert.equal(seen[0]?.body, effect.body);
	if (effect !== 'no whole request') assert.deepEqual(upstream.unfinished, unfinished);
}

async function sendInPieces({ socket }: RawClient, bytes: string, size: number): Promise<void> {
	socket.setNoDelay(true);
	for (let at = 0; at < bytes.length && socket.writable; at += size) {
		await new Promise((resolve) => socket.write(bytes.slice(at, at + size), 'latin1', resolve));
		await new Promise((resolve) => setImmediate(resolve));
	}
}

function targetsOf(effect: Effect): string[] {
	return typeof effect === 'object' ? [effect.target] : [];
}

/** An innocent request behind it, on the same connection or on another one, is answered as itself. @returns its target */
async function follow(context: TestContext, scene: Scene, kept: RawClient | null): Promise<string> {
	const client = kept ?? (await RawClient.open(context, scene.port));
	const innocent = `/innocent-${++scene.innocents}`;
	client.send(`GET ${innocent} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
	await client.all();
	assert.ok(client.received.endsWith(`served ${innocent}`), client.received);
	return innocent;
}

const NEVER_LATE =
	/^(?:host|connection|transfer-encoding|content-.*|trailer|te|upgrade|.*authorization|cookie|via|expect)$/i;

/** What reached the upstream leaves no careful or careless server in doubt. */
function assertClean({ doubts, fields, trailers }: SeenRequest): void {
	assert.deepEqual(doubts, []);
	for (let i = 0; i < fields.length; i += 2) assert.doesNotMatch(fields[i] ?? '', /^slime-/i);
	for (let i = 0; i < trailers.length; i += 2) assert.doesNotMatch(trailers[i] ?? '', NEVER_LATE);
	for (let i = 0; i < trailers.length; i += 2) assert.doesNotMatch(trailers[i] ?? '', /^(?:slime-|x-?forwarded)/i);
}

for (const [what, rows] of Object.entries({ framing: FRAMING, lines: LINES, targets: TARGETS })) {
	test(`every HTTP/1 request with odd ${what} is served as one request or refused and seen by nobody`, async (t) => {
		const shared = await scene(t);
		for (const row of rows) await t.test(row[0], (each) => check(each, shared, row));
	});
}

test('what follows an HTTP/1 request that was not understood is not served, in the same read', async (t) => {
	const shared = await scene(t);
	for (const row of [...FRAMING, ...LINES, ...TARGETS]) {
		if (row[2] >= 400) await t.test(row[0], (each) => check(each, shared, row, { pipelined: true }));
	}
});

test('every odd HTTP/1 request is taken the same when it arrives in pieces', async (t) => {
	const shared = await scene(t);
	for (const row of [...FRAMING, ...LINES, ...TARGETS]) {
		const [name, bytes] = row;
		if (bytes.length < 500) await t.test(name, (each) => check(each, shared, row, { pieces: 5 }));
	}
});

test('no target leaves the prefix of an upstream, and its bytes stay behind it', async (t) => {
	const shared = await scene(t, '/base');
	for (const [target, sent] of PREFIXED) {
		await t.test(JSON.stringify(target), async (each) => {
			const before = shared.upstream.requests.length;
			const client = await RawClient.open(each, shared.port);
			client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
			assert.match(await client.all(), new RegExp(`^HTTP/1\\.1 ${sent === null ? 400 : 200} `));
			const after = await RawClient.open(each, shared.port);
			after.send('GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
			await after.all();
			const targets = shared.upstream.requests.slice(before).map((request) => request.target);
			assert.deepEqual(targets, sent === null ? ['/base/after'] : [sent, '/base/after']);
		});
	}
});

test('the catalogue of HTTP/1 requests holds no row twice', () => {
	const rows = [...FRAMING, ...LINES, ...TARGETS];
	assert.ok(rows.length >= 200, `${rows.length} rows`);
	assert.equal(new Set(rows.map(([, bytes]) => bytes)).size, rows.length);
});

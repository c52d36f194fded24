/** The catalogue of odd answers of an upstream: what an app sees of them, and that none of their bytes becomes another's response. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { RESPONSE_FRAMING } from '../catalogue/responses-framing.ts';
import { RESPONSE_HEADS } from '../catalogue/responses-heads.ts';
import type { ResponseRow } from '../catalogue/rows.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { ask, eventually, rawUpstream, readAnswer, stack } from '../helpers/stack.ts';

const RESPONSES = [...RESPONSE_FRAMING, ...RESPONSE_HEADS];

/** All wait for the one worker. */
const ALWAYS = { queue: { mode: 'always', max: 64, timeout: 20_000, maxBytes: 1024 * 1024 } } as const;

/** Answers `/row` with what it is told to, and all else as itself; says on which connection each request came. */
class ScriptedUpstream {
	address = '';
	row: ResponseRow | null = null;
	/** Bytes that are written at a time; 0 is all of them. */
	pieces = 0;
	/** Connections of the requests, in order. */
	readonly connections: number[] = [];
	/** Numbers of the connections that are not over. */
	readonly open = new Set<number>();
	#opened = 0;

	static async open(context: TestContext): Promise<ScriptedUpstream> {
		const scripted = new ScriptedUpstream();
		scripted.address = await rawUpstream(context, (socket) => {
			const number = scripted.#opened++;
			scripted.open.add(number);
			socket.once('close', () => scripted.open.delete(number));
			let text = '';
			socket.on('data', (chunk) => {
				text += chunk.toString('latin1');
				const end = text.indexOf('\r\n\r\n');
				if (end < 0 || (text.startsWith('POST') && !text.includes('x-t: 1\r\n\r\n'))) return;
				const [, target = ''] = text.split(' ', 2);
				text = '';
				scripted.connections.push(number);
				const { row } = scripted;
				if (target !== '/row' || row === null) {
					socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
					return;
				}
				if (scripted.pieces > 0 && row.bytes.length < 500) void answerInPieces(socket, row, scripted.pieces);
				else if (row.fin) socket.end(row.bytes, 'latin1');
				else socket.write(row.bytes, 'latin1');
			});
		});
		return scripted;
	}
}

async function answerInPieces(socket: Socket, row: ResponseRow, size: number): Promise<void> {
	socket.setNoDelay(true);
	for (let at = 0; at < row.bytes.length && !socket.destroyed; at += size) {
		await new Promise((resolve) => socket.write(row.bytes.slice(at, at + size), 'latin1', resolve));
		await new Promise((resolve) => setImmediate(resolve));
	}
	if (row.fin) socket.end();
}

interface Seen {
	readonly status: number;
	readonly headers: Readonly<Record<string, unknown>>;
	readonly body: string;
	readonly complete: boolean;
}
type Ask = (path: string, method: string) => Promise<Seen>;

/** The agent sends trailers on by another client, on a connection for each. */
const WITH_TRAILERS = 'HTTP/1.1 that sends trailers';

const apps: Readonly<Record<string, (context: TestContext, port: number) => Promise<Ask>>> = {
	'HTTP/1.1': async (_context, port) => (path, method) => ask(port, path, { method }),
	[WITH_TRAILERS]: async (_context, port) => async (path) => {
		const req = request({ host: '127.0.0.1', port, path, method: 'POST', agent: false, headers: { trailer: 'x-t' } });
		req.write('body');
		req.addTrailers({ 'x-t': '1' });
		req.end();
		const [res] = (await once(req, 'response')) as [IncomingMessage];
		return readAnswer(res);
	},
	'HTTP/2': async (context, port) => {
		const session = await h2Connect(context, `http://127.0.0.1:${port}`);
		return async (path, method) => {
			const answer = await h2Ask(session, path, { method });
			return { ...answer, complete: answer.code === 0 };
		};
	},
};

for (const [version, open] of Object.entries(apps)) {
	test(`every odd answer of an upstream is whole, cut or 502 for an app in ${version}, and never two`, async (t) => {
		const upstream = await ScriptedUpstream.open(t);
		const { port } = await stack(t, [upstream.address], { hub: ALWAYS });
		const send = await open(t, port);
		let innocents = 0;
		for (const row of RESPONSES) {
			if (version === WITH_TRAILERS && row.method !== undefined) continue;
			await t.test(row.name, async () => {
				upstream.row = row;
				const before = upstream.connections.length;
				const seen = await send('/row', row.method ?? 'GET');
				// What follows a response in the same read may spoil it there.
				if (version !== WITH_TRAILERS || row.connection === 'kept' || seen.status !== 502) check(row, seen);
				const target = `/innocent-${++innocents}`;
				const innocent = await send(target, 'GET');
				assert.deepEqual([innocent.status, innocent.body, innocent.complete], [200, target, true]);
				const [first, second, ...more] = upstream.connections.slice(before);
				assert.deepEqual(more, [], 'each request is sent once');
				if (row.connection === 'closed') await eventually('it is closed', () => !upstream.open.has(first ?? -1));
				assert.equal(first === second ? 'kept' : 'closed', version === WITH_TRAILERS ? 'closed' : row.connection);
			});
		}
	});
}

test('every odd answer of an upstream is seen the same when it arrives in pieces', async (t) => {
	const upstream = await ScriptedUpstream.open(t);
	const { port } = await stack(t, [upstream.address], { hub: ALWAYS });
	upstream.pieces = 5;
	for (const row of RESPONSES) {
		await t.test(row.name, async () => {
			upstream.row = row;
			check(row, await ask(port, '/row', { method: row.method ?? 'GET' }));
			const innocent = await ask(port, '/innocent');
			assert.deepEqual([innocent.status, innocent.body], [200, '/innocent']);
		});
	}
});

function check({ sees, field }: ResponseRow, seen: Seen): void {
	if (sees === 'cut') {
		assert.equal(seen.complete && seen.headers['slime-error'] === undefined, false, 'it looks complete');
		if (seen.status !== 200) assert.deepEqual([seen.status, seen.headers['slime-error']], [502, 'upstream_protocol']);
	} else if (typeof sees === 'string') {
		assert.deepEqual([seen.status, seen.headers['slime-error'], seen.complete], [502, sees, true], seen.body);
	} else {
		assert.equal(seen.headers['slime-error'], undefined, seen.body);
		assert.deepEqual([seen.status, seen.body, seen.complete], [sees.status, sees.body, true]);
	}
	if (field !== undefined) assert.equal(seen.headers[field[0]] ?? null, field[1]);
}

test('the catalogue of responses holds no row twice', () => {
	assert.equal(new Set(RESPONSES.map(({ method, bytes }) => `${method} ${bytes}`)).size, RESPONSES.length);
	assert.ok(RESPONSES.length >= 80, `${RESPONSES.length} rows`);
});

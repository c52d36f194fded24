/** What every peer that has a program of its own must do with the engine, in both roles: the same words, the same assertions. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Settings } from '../../src/h2/settings.ts';
import { Recorder } from './h2-peer.ts';
import { type EngineClient, type EngineClientOptions, engineClient, request } from './interop-client.ts';
import { certificateFiles, type Peer, runPeerClient, startPeerServer, windowBytes } from './interop-peer.ts';
import { type EngineServer, type EngineServerOptions, engineServer, windows } from './interop-server.ts';
import { GiB, PatternCheck, PatternExchange, pattern } from './pattern-body.ts';

const MiB = 1024 * 1024;
/** Many times what the longest takes: what hangs fails. */
const MOST_MS = 600_000;

/** One after the other on a connection in use: windows down to a trickle and up again, no header table and a large one. */
const changes: ReadonlyArray<Partial<Settings>> = [
	{ initialWindowSize: 1000 },
	{ headerTableSize: 0 },
	{ maxFrameSize: 65_536 },
	{ initialWindowSize: MiB },
	{ headerTableSize: 16_384 },
	{ maxFrameSize: 16_384, headerTableSize: 100 },
	{ maxConcurrentStreams: 40, initialWindowSize: 65_535 },
];

const query = (settings: Partial<Settings>) =>
	new URLSearchParams(
		Object.entries(settings).map(([key, value]): [string, string] => [key, String(value)]),
	).toString();

/** A test of a vector, or the reason in its name why the peer has no part in it. */
function vector(peer: Peer, name: string, sentence: string, body: (context: TestContext) => Promise<void>): void {
	const reason = peer.cannot[name];
	test(reason === undefined ? sentence : `${sentence} (${reason})`, { skip: reason ?? false, timeout: MOST_MS }, body);
}

/** The peer as client, the engine as server. */
export function clientVectors(peer: Peer): void {
	interface Started {
		readonly engine: EngineServer;
		run(command: readonly string[], window?: number): Promise<Record<string, unknown>>;
	}
	const start = async (context: TestContext, options: EngineServerOptions = {}): Promise<Started> => {
		const files = peer.tls ? await certificateFiles(context) : undefined;
		const tls = files && { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
		const engine = await engineServer(context, { ...options, ...(tls && { tls }) });
		const run: Started['run'] = async (command, window = windowBytes.large) => {
			const printed = await runPeerClient(context, peer, { engine, ca: files?.ca, window }, command);
			assert.deepEqual(engine.faults, []);
			return printed;
		};
		return { engine, run };
	};
	const to = (name: string, sentence: string, body: (context: TestContext) => Promise<void>) =>
		vector(peer, `client ${name}`, `${peer.name} as client ${sentence}`, body);

	to('echo', 'gets 100 bodies back unharmed, each with its trailers', async (context) => {
		const { engine, run } = await start(context);
		assert.deepEqual(await run(['echo', '100', '300000']), { ok: 100 });
		assert.equal(engine.sessions.length, 1);
	});

	to('together', 'has 1,000 requests open at once on one connection', async (context) => {
		const { engine, run } = await start(context);
		assert.deepEqual(await run(['together', '1000']), { ok: 1000 });
		assert.equal(engine.sessions.length, 1);
	});

	for (const size of ['small', 'large'] as const) {
		to(`gigabyte ${size}`, `exchanges a gigabyte each way through ${size} windows`, async (context) => {
			const { engine, run } = await start(context, windows[size]);
			const printed = await run(['exchange', String(GiB)], windowBytes[size]);
			assert.deepEqual(printed, { received: GiB, intact: true, trailers: [String(GiB), 'true'] });
			const [{ check, failure } = assert.fail('nothing came')] = engine.exchanges;
			assert.deepEqual([check.bytes, check.intact, failure], [GiB, true, null]);
			assert.equal(engine.sessions[0]?.remote.initialWindowSize, windowBytes[size]);
		});
	}

	to('early', 'sees early hints before the answer', async (context) => {
		const { run } = await start(context);
		const printed = await run(['early']);
		assert.deepEqual(printed, { informational: [[103, '</a>; rel=preload']], status: 200, body: 'final' });
	});

	to('reset', 'is told of a reset after part of a body, never of an end', async (context) => {
		const { run } = await start(context);
		assert.deepEqual(await run(['reset']), { before: 'some', code: 2 });
	});

	to('cancel', 'cancels in the middle of an upload and the engine is told', async (context) => {
		const { engine, run } = await start(context);
		assert.deepEqual(await run(['cancel']), { resets: '[8]' });
		assert.deepEqual(
			engine.failures.map(({ kind, code, started }) => ({ kind, code, started })),
			[{ kind: 'reset', code: 8, started: true }],
		);
	});

	to('connect', 'opens a tunnel with extended CONNECT', async (context) => {
		const { run } = await start(context);
		assert.deepEqual(await run(['connect']), { status: 200, protocol: 'websocket', echo: 'there and back' });
	});

	for (const [capability, whose, command] of [
		['settings', 'settings that the engine changes', 'settings'],
		['own settings', 'settings of its own that it changes', 'own-settings'],
	] as const) {
		to(capability, `follows ${whose} while bodies flow`, async (context) => {
			const { engine, run } = await start(context);
			assert.deepEqual(await run([command, ...changes.map(query)]), { intact: true, changes: changes.length });
			const { local, remote } = engine.sessions[0] ?? assert.fail('no connection');
			const changed = capability === 'settings' ? local : remote;
			assert.deepEqual({ ...changed, ...changes.at(-1) }, changed);
			assert.equal(changed.headerTableSize, 100);
		});
	}

	to('limit', 'keeps to a limit of streams that was lowered meanwhile', async (context) => {
		const { engine, run } = await start(context);
		assert.deepEqual(await run(['limit', '2', '40']), { ok: 40 });
		assert.equal(engine.peak, 2);
		assert.equal(engine.sessions.length, 1);
	});

	to(
		'goaway',
		'moves to new connections as old ones go away, and nothing is done twice or not at all',
		async (context) => {
			const { engine, run } = await start(context, { requestsEach: 20 });
			assert.deepEqual(await run(['goaway', '400']), { ok: 400 });
			assert.equal(engine.executed.size, 400);
			assert.deepEqual([...new Set(engine.executed.values())], [1]);
			assert.ok(engine.sessions.length >= 8, `${engine.sessions.length} connections`);
			assert.deepEqual(engine.failures, []);
			await engine.idle();
			// The last may have been cut by the end of the client before it had to go away.
			const gone = engine.sessions.filter(({ draining }) => draining);
			assert.deepEqual(new Set(gone.map(({ error }) => error)), new Set([null]));
		},
	);
}

/** The peer as server, the engine as client. */
export function serverVectors(peer: Peer): void {
	const start = async (context: TestContext, options: EngineClientOptions = {}, window: number = windowBytes.large) => {
		const { port, ca } = await startPeerServer(context, peer, window);
		return engineClient(context, port, { ...options, ca });
	};
	const to = (name: string, sentence: string, body: (context: TestContext) => Promise<void>) =>
		vector(peer, `server ${name}`, `${peer.name} as server ${sentence}`, body);
	const sound = (client: EngineClient) => {
		assert.deepEqual(client.faults, []);
		assert.equal(client.session.openStreams, 0);
		assert.equal(client.session.closed, false);
	};

	to('echo', 'gives 100 bodies back unharmed, each with its trailers', async (context) => {
		const client = await start(context);
		await echoes(client, 100, 300_000);
		sound(client);
	});

	to('together', 'has 1,000 requests of the engine open at once', async (context) => {
		const client = await start(context);
		const answers = Array.from({ length: 1000 }, () => client.get('/together?count=1000'));
		assert.deepEqual(new Set(await Promise.all(answers)), new Set(['all here']));
		sound(client);
	});

	for (const size of ['small', 'large'] as const) {
		to(`gigabyte ${size}`, `exchanges a gigabyte each way through ${size} windows`, async (context) => {
			const client = await start(context, windows[size], windowBytes[size]);
			const exchange = new PatternExchange(GiB, false);
			exchange.drain(client.session.request(request('POST', `/exchange?bytes=${GiB}`), false, exchange));
			await exchange.over;
			assert.equal(exchange.failure, null);
			assert.deepEqual([exchange.check.bytes, exchange.check.intact], [GiB, true]);
			assert.deepEqual(exchange.trailerFields.toSorted(), ['true', String(GiB), 'x-intact', 'x-received'].toSorted());
			assert.equal(client.session.remote.initialWindowSize, windowBytes[size]);
			sound(client);
		});
	}

	to('early', 'sends early hints before the answer', async (context) => {
		const client = await start(context);
		const { recorder } = client.ask('GET', '/early', null);
		await recorder.over;
		assert.equal(recorder.informations.length, 1);
		assert.deepEqual(recorder.informations[0]?.slice(0, 4), [':status', '103', 'link', '</a>; rel=preload']);
		assert.deepEqual([recorder.fields[1], recorder.body.toString()], ['200', 'final']);
		assert.deepEqual(recorder.calls, ['information', 'headers', 'data', 'end', 'closed']);
		sound(client);
	});

	to('reset', 'resets after part of a body, which is no end', async (context) => {
		const client = await start(context);
		const { recorder } = client.ask('GET', '/reset', null);
		await recorder.over;
		assert.equal(recorder.body.toString(), 'some');
		assert.deepEqual(recorder.calls, ['headers', 'data', 'failed', 'closed']);
		assert.deepEqual([recorder.failure?.kind, recorder.failure?.code], ['reset', 2]);
		sound(client);
	});

	to('cancel', 'is told when the engine cancels in the middle of an upload', async (context) => {
		const client = await start(context);
		const { stream, recorder } = client.ask('POST', '/hold');
		await recorder.answered;
		stream.write(pattern(100_000));
		stream.reset();
		await recorder.over;
		// Answered once the server has heard of it.
		assert.equal(await client.get('/resets?count=1'), '[8]');
		sound(client);
	});

	to('connect', 'takes a tunnel with extended CONNECT', async (context) => {
		const client = await start(context);
		assert.equal(client.session.remote.enableConnectProtocol, true);
		const recorder = new Recorder();
		const fields = [...request('CONNECT', '/tunnel'), ':protocol', 'websocket'];
		const stream = client.session.request(fields, false, recorder);
		await recorder.answered;
		assert.equal(recorder.fields[1], '200');
		assert.equal(recorder.fields[recorder.fields.indexOf('x-protocol') + 1], 'websocket');
		stream.write(Buffer.from('there and back'));
		stream.end();
		await recorder.over;
		assert.deepEqual([recorder.failure, recorder.body.toString()], [null, 'there and back']);
		sound(client);
	});

	to('settings', 'follows settings that the engine changes while bodies flow', async (context) => {
		const client = await start(context);
		await whileBodiesFlow(client, (change) => client.change(change));
		assert.deepEqual({ ...client.session.local, ...changes.at(-1) }, client.session.local);
		sound(client);
	});

	to('own settings', 'changes its own settings while bodies flow', async (context) => {
		const client = await start(context);
		await whileBodiesFlow(client, async (change) => {
			assert.equal(await client.get(`/settings?${query(change)}`), 'settled');
			assert.deepEqual({ ...client.session.remote, ...change }, client.session.remote);
		});
		sound(client);
	});

	to('limit', 'lowers its limit of streams and the engine opens no more', async (context) => {
		const client = await start(context);
		await client.get('/settings?maxConcurrentStreams=2');
		const held = [client.ask('POST', '/hold'), client.ask('POST', '/hold')];
		assert.equal(client.session.canRequest, false);
		assert.throws(() => client.ask('GET', '/early', null), { name: 'StreamError', code: 7 });
		for (const { stream, recorder } of held) {
			await recorder.answered;
			stream.reset();
		}
		assert.equal(client.session.canRequest, true);
		await client.get('/early');
		sound(client);
	});

	to('graceful', 'goes away gracefully: what is open is finished, nothing new is opened', async (context) => {
		const client = await start(context);
		const open = client.ask('POST', '/echo');
		await open.recorder.answered;
		const last = client.ask('GET', '/goaway', null);
		await client.goneAway();
		assert.equal(client.goaways[0]?.code, 0);
		assert.throws(() => client.ask('GET', '/early', null), { name: 'StreamError', code: 7 });
		open.stream.write(Buffer.from('last words'));
		open.stream.end();
		await Promise.all([open.recorder.over, last.recorder.over]);
		assert.deepEqual([open.recorder.failure, open.recorder.body.toString()], [null, 'last words']);
		assert.equal(last.recorder.failure, null);
		assert.equal(await client.ended, null);
	});

	to(
		'refusal',
		'goes away and passes over the streams above: they are known never to have started',
		async (context) => {
			const client = await start(context);
			const open = client.ask('POST', '/echo');
			await open.recorder.answered;
			// All in one write: the server cannot have answered the first when the others come.
			const last = client.ask('GET', `/goaway?last=${open.stream.id + 2}`, null);
			assert.equal(last.stream.id, open.stream.id + 2);
			const above = [client.ask('POST', '/echo', pattern(1000)), client.ask('GET', '/early', null)];
			for (const { recorder } of above) {
				await recorder.over;
				assert.deepEqual(recorder.calls, ['failed', 'closed']);
				assert.deepEqual([recorder.failure?.kind, recorder.failure?.started], ['goaway', false]);
			}
			open.stream.write(Buffer.from('last words'));
			open.stream.end();
			await Promise.all([open.recorder.over, last.recorder.over]);
			assert.deepEqual([open.recorder.failure, open.recorder.body.toString()], [null, 'last words']);
			assert.equal(last.recorder.failure, null);
			assert.equal(await client.ended, null);
		},
	);

	to('shutdown', 'finishes what is open when the engine goes away', async (context) => {
		const client = await start(context);
		const open = client.ask('POST', '/echo');
		await open.recorder.answered;
		client.session.shutdown('bye');
		assert.throws(() => client.ask('GET', '/early', null), { name: 'StreamError', code: 7 });
		open.stream.write(Buffer.from('last words'));
		open.stream.end();
		await open.recorder.over;
		assert.deepEqual([open.recorder.failure, open.recorder.body.toString()], [null, 'last words']);
		assert.equal(await client.ended, null);
	});
}

/** Makes each change and a request after it; meanwhile bodies come and go until the last was made. */
async function whileBodiesFlow(client: EngineClient, change: (settings: Partial<Settings>) => Promise<void>) {
	let done = false;
	const flow = async () => {
		while (!done) await echoes(client, 8, MiB);
	};
	const flowing = flow();
	for (const settings of changes) {
		await change(settings);
		await echoes(client, 1, 1000);
	}
	done = true;
	await flowing;
}

/** So many bodies at once, each with a trailer of its own. */
async function echoes(client: EngineClient, count: number, bytes: number): Promise<void> {
	const asked = Array.from({ length: count }, (_, i) =>
		client.ask('POST', '/echo', pattern(bytes), ['x-sum', `sum of ${i}`]),
	);
	for (const [i, { recorder }] of asked.entries()) {
		await recorder.over;
		assert.equal(recorder.failure, null);
		const check = new PatternCheck();
		for (const chunk of recorder.chunks) check.add(chunk);
		assert.deepEqual([check.bytes, check.intact], [bytes, true]);
		assert.deepEqual(recorder.trailerFields, ['x-sum', `sum of ${i}`]);
	}
}

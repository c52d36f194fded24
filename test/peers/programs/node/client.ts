/** The commands of the client, each with a result that is printed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { PatternCheck, PatternSource, pattern } from '../../../helpers/pattern-body.ts';

type Command = (session: http2.ClientHttp2Session, args: readonly string[]) => Promise<unknown>;

export function runClient(
	session: http2.ClientHttp2Session,
	command: string,
	args: readonly string[],
): Promise<unknown> {
	const run = commands[command];
	if (!run) throw new Error(`no command ${command}`);
	return run(session, args);
}

const commands: Record<string, Command> = {
	async echo(session, [count, bytes]) {
		return { ok: await echoes(session, Number(count), Number(bytes)) };
	},

	async together(session, [count]) {
		await once(session, 'remoteSettings');
		const answers = Array.from({ length: Number(count) }, () => get(session, `/together?count=${count}`));
		return { ok: (await Promise.all(answers)).filter((text) => text === 'all here').length };
	},

	async exchange(session, [bytes]) {
		await once(session, 'remoteSettings');
		const request = session.request({ ':method': 'POST', ':path': `/exchange?bytes=${bytes}` });
		let trailers: http2.IncomingHttpHeaders = {};
		request.on('trailers', (fields) => {
			trailers = fields;
		});
		const sending = send(request, Number(bytes));
		const check = new PatternCheck();
		for await (const chunk of request) check.add(chunk);
		await sending;
		return { received: check.bytes, intact: check.intact, trailers: [trailers['x-received'], trailers['x-intact']] };
	},

	async early(session) {
		const request = session.request({ ':path': '/early' });
		const informational: unknown[] = [];
		request.on('headers', (fields) => informational.push([fields[':status'], fields.link]));
		const [fields] = await once(request, 'response');
		return { informational, status: fields[':status'], body: await text(request) };
	},

	async reset(session) {
		const request = session.request({ ':path': '/reset' });
		let before = '';
		request.on('data', (chunk) => {
			before += chunk;
		});
		await once(request, 'error');
		return { before, code: request.rstCode };
	},

	async cancel(session) {
		const request = session.request({ ':method': 'POST', ':path': '/hold' });
		request.write(pattern(100_000));
		await once(request, 'response');
		request.close(http2.constants.NGHTTP2_CANCEL);
		return { resets: await get(session, '/resets?count=1') };
	},

	async connect(session) {
		const [settings] = await once(session, 'remoteSettings');
		assert.equal(settings.enableConnectProtocol, true);
		const request = session.request({
			':method': 'CONNECT',
			':protocol': 'websocket',
			':scheme': 'http',
			':authority': '127.0.0.1',
			':path': '/tunnel',
		});
		const [fields] = await once(request, 'response');
		request.end('there and back');
		return { status: fields[':status'], protocol: fields['x-protocol'], echo: await text(request) };
	},

	settings: (session, queries) =>
		whileBodiesFlow(session, queries, async (query) => {
			assert.equal(await get(session, `/settings?${query}`), 'settled');
		}),

	'own-settings': (session, queries) =>
		whileBodiesFlow(
			session,
			queries,
			(query) => new Promise((resolve) => session.settings(settingsOf(query), () => resolve())),
		),

	async limit(session, [most, count]) {
		await get(session, `/settings?maxConcurrentStreams=${most}`);
		const answers = Array.from({ length: Number(count) }, () => get(session, '/peak'));
		return { ok: (await Promise.all(answers)).filter((text) => text === 'done').length };
	},
};

/** Makes each change and a request after it; meanwhile bodies come and go until the last was made. */
async function whileBodiesFlow(
	session: http2.ClientHttp2Session,
	queries: readonly string[],
	change: (query: string) => Promise<void>,
): Promise<unknown> {
	let done = false;
	const flow = async () => {
		let intact = true;
		while (!done) intact = (await echoes(session, 8, 1024 * 1024)) === 8 && intact;
		return intact;
	};
	const flowing = flow();
	for (const query of queries) {
		await change(query);
		assert.equal(await echoes(session, 1, 1000), 1);
	}
	done = true;
	return { intact: await flowing, changes: queries.length };
}

/** Of `initialWindowSize=1&…`, as Node calls them too. */
export function settingsOf(query: string): http2.Settings {
	return Object.fromEntries([...new URLSearchParams(query)].map(([key, value]) => [key, Number(value)]));
}

/** How many bodies came back unharmed with their trailers. */
async function echoes(session: http2.ClientHttp2Session, count: number, bytes: number): Promise<number> {
	const one = async (i: number): Promise<number> => {
		const request = session.request({ ':method': 'POST', ':path': '/echo' }, { waitForTrailers: true });
		request.on('wantTrailers', () => request.sendTrailers({ 'x-sum': `sum of ${i}` }));
		let sum: unknown;
		request.on('trailers', (fields) => {
			sum = fields['x-sum'];
		});
		const sending = send(request, bytes);
		const check = new PatternCheck();
		for await (const chunk of request) check.add(chunk);
		await sending;
		return check.intact && check.bytes === bytes && sum === `sum of ${i}` ? 1 : 0;
	};
	const counts = await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
	return counts.reduce((sum, n) => sum + n, 0);
}

export async function send(stream: http2.Http2Stream, bytes: number): Promise<void> {
	const source = new PatternSource(bytes);
	for (let piece = source.next(); piece !== null; piece = source.next()) {
		if (!stream.write(piece)) await once(stream, 'drain');
	}
	stream.end();
}

async function text(request: http2.ClientHttp2Stream): Promise<string> {
	let body = '';
	for await (const chunk of request) body += chunk;
	return body;
}

function get(session: http2.ClientHttp2Session, path: string): Promise<string> {
	return text(session.request({ ':path': path }));
}

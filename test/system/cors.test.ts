/** Requests of browsers from other origins: preflights, the fields of every response, and what upstreams say themselves. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createHub, type GivenHubOptions } from '../../src/index.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { type Asking, ask, eventually, RawClient, SECRET, stack, type Upstream, upstream } from '../helpers/stack.ts';

type Cors = NonNullable<GivenHubOptions['cors']>;

const APP = 'https://app.example';
const ANY: Cors = {
	origins: ['*'],
	methods: ['*'],
	headers: ['*'],
	exposedHeaders: ['Slime-Agent-Id', 'X-Request-Id'],
	credentials: false,
	maxAge: 600_000,
};
const LISTED: Cors = { ...ANY, origins: [APP, 'http://localhost:3000'], credentials: true };

/** What a response says, by name. */
interface Said {
	readonly status: number;
	readonly body: string;
	readonly fields: Readonly<Record<string, unknown>>;
	readonly cors: Readonly<Record<string, unknown>>;
}

/** Asks by both versions of HTTP; they have to say the same. */
async function askBoth(
	t: TestContext,
	port: number,
	path: string,
	{ method = 'GET', headers = {} }: Asking,
): Promise<Said> {
	const one = await ask(port, path, { method, headers });
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const two = await h2Ask(session, path, { method, headers });
	session.destroy();
	const corsOf = (fields: Readonly<Record<string, unknown>>) =>
		Object.fromEntries(
			Object.entries(fields).filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
		);
	assert.equal(two.status, one.status);
	assert.equal(two.body, one.body);
	assert.deepEqual(corsOf(two.headers), corsOf(one.headers));
	return { status: one.status, body: one.body, fields: one.headers, cors: corsOf(one.headers) };
}

/** An upstream with its own ideas about other origins. */
function opinionated(t: TestContext): Promise<Upstream> {
	return upstream(t, (req, res) => {
		res.setHeader('Access-Control-Allow-Origin', 'https://upstream.example');
		res.setHeader('Access-Control-Expose-Headers', 'X-Upstream');
		res.setHeader('Vary', 'Accept-Encoding');
		res.end(req.method);
	});
}

function preflight(more: Readonly<Record<string, string>> = {}): Asking {
	return { method: 'OPTIONS', headers: { origin: APP, 'access-control-request-method': 'POST', ...more } };
}

test('a preflight is answered by the hub, without a password, and nothing of it reaches an agent', async (t) => {
	const service = await opinionated(t);
	const { port } = await stack(t, [service.address], { hub: { cors: ANY, appPassword: 'a password for apps' } });
	const asked = { 'access-control-request-headers': 'authorization, content-type' };
	const { status, cors, body } = await askBoth(t, port, '/v1/models', preflight(asked));
	assert.equal(status, 204);
	assert.equal(body, '');
	assert.deepEqual(cors, {
		vary: 'Access-Control-Request-Method, Access-Control-Request-Headers',
		'access-control-allow-origin': '*',
		'access-control-expose-headers': 'Slime-Agent-Id, X-Request-Id',
		'access-control-allow-methods': 'POST',
		'access-control-allow-headers': 'authorization, content-type',
		'access-control-max-age': '600',
	});
	assert.equal(service.served, 0);
	// What only looks like one has to bring the password.
	for (const headers of [{ origin: APP }, { 'access-control-request-method': 'POST' }]) {
		assert.equal((await askBoth(t, port, '/', { method: 'OPTIONS', headers })).status, 401);
	}
	const notOptions = { ...preflight(), method: 'GET' };
	assert.equal((await askBoth(t, port, '/', notOptions)).status, 401);
});

test('every response has the fields: the upstream’s, whose own are replaced, and the errors of the hub', async (t) => {
	const service = await opinionated(t);
	const { port } = await stack(t, [service.address], { hub: { cors: ANY, appPassword: 'a password for apps' } });
	const expected = {
		vary: 'Accept-Encoding',
		'access-control-allow-origin': '*',
		'access-control-expose-headers': 'Slime-Agent-Id, X-Request-Id',
	};
	const password = { 'slime-app-password': 'a password for apps' };
	for (const headers of [{ ...password, origin: APP }, password]) {
		const said = await askBoth(t, port, '/', { headers });
		assert.equal(said.body, 'GET');
		assert.deepEqual(said.cors, expected);
	}
	const { vary: _, ...own } = expected;
	const refused = await askBoth(t, port, '/', { headers: { origin: APP } });
	assert.equal(refused.status, 401);
	assert.deepEqual(refused.cors, own);
	const missing = await askBoth(t, port, '/.slime/x', { headers: { ...password, origin: APP } });
	assert.equal(missing.status, 404);
	assert.deepEqual(missing.cors, own);
	const plain = await askBoth(t, port, '/', { method: 'OPTIONS', headers: { ...password, origin: APP } });
	assert.equal(plain.body, 'OPTIONS');
});

test('with listed origins each is named, never a star, and caches are told that responses differ', async (t) => {
	const service = await opinionated(t);
	const { port } = await stack(t, [service.address], { hub: { cors: { ...LISTED, methods: ['GET', 'POST'] } } });
	for (const origin of LISTED.origins) {
		assert.deepEqual((await askBoth(t, port, '/', { headers: { origin } })).cors, {
			vary: 'Accept-Encoding, Origin',
			'access-control-allow-origin': origin,
			'access-control-allow-credentials': 'true',
			'access-control-expose-headers': 'Slime-Agent-Id, X-Request-Id',
		});
	}
	for (const headers of [
		{},
		{ origin: 'https://evil.example' },
		{ origin: 'null' },
		{ origin: `${APP}.evil.example` },
	]) {
		assert.deepEqual((await askBoth(t, port, '/', { headers })).cors, { vary: 'Accept-Encoding, Origin' });
	}
	const missing = await askBoth(t, port, '/.slime/x', {});
	assert.equal(missing.status, 404);
	assert.deepEqual(missing.cors, { vary: 'Origin' });
	const granted = await askBoth(t, port, '/', preflight());
	assert.equal(granted.cors['access-control-allow-origin'], APP);
	assert.equal(granted.cors['access-control-allow-credentials'], 'true');
	assert.equal(granted.cors['access-control-allow-methods'], 'GET, POST');
	assert.equal(granted.cors['access-control-allow-headers'], undefined);
	assert.match(String(granted.cors.vary), /, Origin$/);
	const denied = await askBoth(t, port, '/', preflight({ origin: 'https://evil.example' }));
	assert.equal(denied.status, 204);
	assert.deepEqual(Object.keys(denied.cors), ['vary']);
});

test('an upstream that already varies by origin is not told twice', async (t) => {
	const service = await upstream(t, (req, res) => {
		res.setHeader('Vary', req.url === '/star' ? '*' : ['Accept', 'origin, Cookie']);
		res.end();
	});
	const { port } = await stack(t, [service.address], { hub: { cors: LISTED } });
	assert.equal((await askBoth(t, port, '/', {})).cors.vary, 'Accept, origin, Cookie');
	assert.equal((await askBoth(t, port, '/star', {})).cors.vary, '*');
});

test('a malformed preflight is refused as any request is, and a request that breaks off later is answered with the fields', async (t) => {
	const { port, hub } = await stack(t, [], { hub: { cors: ANY } });
	const answer = await ask(port, '/', preflight({ host: 'a b' }));
	assert.equal(answer.status, 400);
	assert.equal(answer.headers['access-control-allow-origin'], '*');
	const client = await RawClient.open(t, port);
	client.send(`POST / HTTP/1.1\r\nHost: h\r\nOrigin: ${APP}\r\nSlime-Block: 1\r\nTransfer-Encoding: chunked\r\n\r\n`);
	await eventually('it waits', () => hub.waiting === 1);
	client.send('no chunk\r\n');
	assert.match(await client.all(), /^HTTP\/1\.1 400 .*access-control-allow-origin: \*\r\n/s);
	const odd = preflight({ 'access-control-request-method': 'PO ST', 'access-control-request-headers': 'a:b' });
	const { status, cors } = await askBoth(t, port, '/', odd);
	assert.equal(status, 204);
	assert.equal(cors['access-control-allow-methods'], undefined);
	assert.equal(cors['access-control-allow-headers'], undefined);
});

test('a hub that was told nothing about other origins passes everything on', async (t) => {
	const service = await opinionated(t);
	const { port } = await stack(t, [service.address]);
	const said = await askBoth(t, port, '/', preflight());
	assert.equal(said.body, 'OPTIONS');
	assert.deepEqual(said.cors, {
		vary: 'Accept-Encoding',
		'access-control-allow-origin': 'https://upstream.example',
		'access-control-expose-headers': 'X-Upstream',
	});
	await eventually('both reached it', () => service.served === 2);
});

test('all origins with credentials are refused: every site could act in its visitors’ names', async () => {
	const given = { secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 'off' } as const;
	await assert.rejects(createHub({ ...given, cors: { ...ANY, credentials: true } }), /cors\.origins: with credentials/);
	await assert.rejects(
		createHub({ ...given, cors: { ...ANY, origins: ['*', APP] } }),
		/cors\.origins: \* is every origin/,
	);
	const exposed = { ...LISTED, exposedHeaders: ['*'] };
	await assert.rejects(createHub({ ...given, cors: exposed }), /cors\.exposedHeaders: with credentials/);
});

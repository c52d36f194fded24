/** Who may use the admin listener, and what it does with requests that are none, too large, or too slow. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createHub, type GivenHubOptions } from '../../src/index.ts';
import { adminJson, askAdmin, DOCUMENT } from '../helpers/admin-api.ts';
import { assertError, LogSink, RawClient, SECRET } from '../helpers/stack.ts';

const PROBES = ['/healthz', '/readyz'];

async function adminHub(t: TestContext, options: Partial<GivenHubOptions> = {}) {
	const log = new LogSink();
	const given = { secret: SECRET, host: '127.0.0.1', port: 0, adminPort: 0, logger: log.logger, ...options };
	const hub = await createHub(given);
	t.after(() => hub.close());
	return { hub, log, admin: hub.adminPort ?? 0 };
}

/** Every route that is not a probe. */
function guarded(): Array<{ method: string; path: string }> {
	return Object.entries(DOCUMENT.paths)
		.filter(([path]) => !PROBES.includes(path))
		.flatMap(([path, item]) => Object.keys(item).map((method) => ({ method: method.toUpperCase(), path })));
}

test('without a token only this machine may ask, by its own names, and no page of another site', async (t) => {
	const { hub, admin } = await adminHub(t);
	const refused: Record<string, string>[] = [
		{ host: 'evil.example' },
		{ host: `evil.example:${admin}` },
		{ host: `127.0.0.1.evil.example:${admin}` },
		{ host: '10.0.0.1' },
		{ origin: 'http://evil.example' },
		{ origin: 'null' },
		{ host: 'evil.example', origin: 'http://evil.example' },
		{ 'sec-fetch-site': 'cross-site' },
		{ 'sec-fetch-site': 'same-site' },
	];
	for (const headers of refused) {
		for (const { method, path } of guarded()) {
			assertError(await askAdmin(admin, path, { method, headers }), 403, 'forbidden');
		}
		for (const path of PROBES) assert.equal((await askAdmin(admin, path, { headers })).status, 200);
	}
	assert.deepEqual(hub.revocations, []);
	for (const host of ['localhost', `localhost:${admin}`, '127.0.0.1', '127.1.2.3:80', '[::1]:80', 'LOCALHOST']) {
		const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
		assert.equal((await askAdmin(admin, '/api/revocations', { headers })).status, 200, host);
	}
});

test('beyond loopback only the probes are served, and the hub says so, until there is a token', async (t) => {
	const { admin, log } = await adminHub(t, { adminHost: '0.0.0.0' });
	for (const { method, path } of guarded()) assertError(await askAdmin(admin, path, { method }), 403, 'forbidden');
	for (const path of PROBES) assert.equal((await askAdmin(admin, path)).status, 200);
	assert.ok(log.has('/metrics and /api are off'));
});

test('with a token, on loopback or beyond, whoever has it may ask, and nobody else', async (t) => {
	const adminToken = 'a-token-for-tests-only';
	for (const adminHost of ['127.0.0.1', '0.0.0.0']) {
		const { hub, admin, log } = await adminHub(t, { adminHost, adminToken });
		assert.ok(!log.has('are off'));
		for (const { method, path } of guarded()) {
			for (const authorization of ['Bearer wrong', 'Bearer ', adminToken, `Basic ${adminToken}`, undefined]) {
				const headers = authorization === undefined ? {} : { authorization };
				const answer = await askAdmin(admin, path, { method, headers });
				assertError(answer, 401, 'unauthorized');
				assert.equal(answer.headers['www-authenticate'], 'Bearer realm="slime"');
			}
		}
		for (const path of PROBES) assert.equal((await askAdmin(admin, path)).status, 200);
		const headers = { authorization: `Bearer ${adminToken}`, host: 'hub.internal:8081' };
		assert.equal((await askAdmin(admin, '/api/revocations', { headers })).status, 200);
		assert.equal((await askAdmin(admin, '/metrics', { headers })).status, 200);
		const cross = { ...headers, origin: 'http://evil.example' };
		assertError(await askAdmin(admin, '/api/revocations', { headers: cross }), 403, 'forbidden');
		assert.deepEqual(hub.revocations, []);
		assert.ok(!JSON.stringify(log.lines).includes(adminToken));
	}
});

test('the API’s description is served as it is in the documentation', async (t) => {
	const { admin } = await adminHub(t);
	assert.deepEqual(await adminJson(admin, '/api/openapi.json'), DOCUMENT);
});

test('other paths and methods are refused in the shape of all errors', async (t) => {
	const { admin } = await adminHub(t);
	for (const path of ['/', '/api', '/api/', '/api/other', '/metrics/', '/healthz/', '/API/STATUS']) {
		assertError(await askAdmin(admin, path), 404, 'not_found');
	}
	for (const [path, item] of Object.entries(DOCUMENT.paths)) {
		const methods = Object.keys(item).flatMap((method) =>
			method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
		);
		for (const method of ['DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
			const answer = await askAdmin(admin, path, { method });
			assertError(answer, 405, 'method_not_allowed');
			assert.equal(answer.headers.allow, methods.join(', '));
		}
	}
	assert.equal((await askAdmin(admin, '/api/status?with=query', { method: 'HEAD' })).status, 200);
});

test('what is no request, or is too large, is answered with an error and closed', async (t) => {
	const { admin, log } = await adminHub(t);
	for (const [text, status, code] of [
		['this is no HTTP\r\n\r\n', 400, 'bad_request'],
		[`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
	] as const) {
		const client = await RawClient.open(t, admin);
		client.send(text);
		const received = await client.all();
		assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} .*\r\nSlime-Error: ${code}\r\n`, 's'));
		assert.equal(JSON.parse(received.split('\r\n\r\n')[1] ?? '').error.code, code);
	}
	// Behind an answer nothing is said that could be taken for a part of it.
	const behind = await RawClient.open(t, admin);
	behind.send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
	await behind.sees('ok');
	behind.send('nonsense\r\n\r\n');
	assert.equal((await behind.all()).split('HTTP/1.1').length, 2);
	const large = await askAdmin(admin, '/api/revoke', { json: { name: 'x'.repeat(17 * 1024) } });
	assertError(large, 400, 'bad_request');
	assert.deepEqual(
		log.lines.filter(({ level }) => level === 'error'),
		[],
	);
});

test('a request that does not come to its end is answered with 408 after some seconds, and closed', async (t) => {
	const { admin } = await adminHub(t);
	const head = await RawClient.open(t, admin);
	head.send('GET /healthz HTTP/1.1\r\nHost: loc');
	const body = await RawClient.open(t, admin);
	body.send(
		'POST /api/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
	);
	for (const client of [head, body]) {
		const received = await client.all();
		assert.match(received, /^HTTP\/1\.1 408 /);
		assert.match(received, /"code":"request_timeout"/);
	}
});

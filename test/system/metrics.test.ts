/** /metrics: what a scrape tells after requests, queues, agents and failures of each kind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { closedPort } from '../helpers/ports.ts';
import { Scrape } from '../helpers/scraping.ts';
import { seeded } from '../helpers/seeded.ts';
import { Arrivals, ask, eventually, RawClient, stack, token, upstream } from '../helpers/stack.ts';

const hub = { adminPort: 0 };

test('requests are counted by class of status and by how they ended', async (t) => {
	const service = await upstream(t, (req, res) => {
		if (req.url === '/cut') {
			res.write('half');
			setImmediate(() => res.destroy());
		} else res.writeHead(req.url === '/missing' ? 404 : 200).end('ok');
	});
	const { hub: one, port } = await stack(t, [service.address], { hub: { ...hub, appPassword: 'open sesame' } });
	const headers = { 'slime-app-password': 'open sesame' };
	await ask(port, '/', { headers });
	await ask(port, '/', { headers });
	await ask(port, '/missing', { headers });
	assert.equal((await ask(port, '/cut', { headers })).complete, false);
	await ask(port, '/', {});
	await ask(port, '/', { headers: { ...headers, 'slime-scope': 'nobody' } });
	const socket = connect(port, '127.0.0.1').on('error', () => undefined);
	socket.end('this is no HTTP\r\n\r\n');
	socket.resume();
	await once(socket, 'close');

	const scrape = await Scrape.of(one);
	const expected = {
		'{status="2xx",outcome="complete"}': 2,
		'{status="4xx",outcome="complete"}': 1,
		'{status="2xx",outcome="cut"}': 1,
		'{status="4xx",outcome="unauthorized"}': 1,
		'{status="5xx",outcome="no_agent"}': 1,
		'{status="4xx",outcome="bad_request"}': 1,
	};
	const told = scrape.series('slime_hub_requests_total').map((series) => [series.slice(24), scrape.get(series)]);
	assert.deepEqual(Object.fromEntries(told), expected);
	assert.equal(scrape.get('slime_hub_request_duration_seconds_count'), 7);
	assert.equal(scrape.get('slime_hub_request_duration_seconds_bucket{le="+Inf"}'), 7);
	assert.equal(scrape.get('slime_hub_time_to_first_byte_seconds_count'), 4);
	assert.equal(scrape.get('slime_hub_requests_in_progress'), 0);
});

test('a stream tells the time between its tokens, and bytes are counted both ways', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub: one, port } = await stack(t, [service.address], { hub });
	const answer = ask(port, '/', { method: 'POST', body: 'x'.repeat(1000) });
	const [req, res] = await arrivals.next();
	req.resume();
	await once(req, 'end');
	const began = performance.now();
	for (const piece of ['one', 'two', 'three']) {
		res.write(piece);
		const { length } = (await Scrape.of(one)).text;
		assert.ok(length > 0);
	}
	res.end();
	assert.equal((await answer).body, 'onetwothree');
	const took = (performance.now() - began) / 1000;
	const scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_body_bytes_total{direction="request"}'), 1000);
	assert.equal(scrape.get('slime_hub_body_bytes_total{direction="response"}'), 11);
	const gaps = scrape.get('slime_hub_chunk_gap_seconds_count') ?? 0;
	assert.ok(gaps >= 1 && gaps <= 3, `${gaps} gaps`);
	assert.ok((scrape.get('slime_hub_chunk_gap_seconds_sum') ?? 9) <= took);
	assert.ok((scrape.get('slime_hub_tunnel_bytes_total{direction="sent"}') ?? 0) > 1000);
	assert.ok((scrape.get('slime_hub_tunnel_bytes_total{direction="received"}') ?? 0) > 11);
});

test('slots are told by agent and token, and go with the agent; bytes of its tunnel stay counted', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub: one, port, join } = await stack(t, [], { hub });
	const labels = '{agent="gpu-1",token="berlin"}';
	const wish = { agentID: 'gpu-1', numWorker: 3, token: await token({ name: 'berlin' }) };
	const agent = await join(service.address, wish);
	const answer = ask(port);
	const [, res] = await arrivals.next();
	let scrape = await Scrape.of(one);
	assert.equal(scrape.get(`slime_hub_agent_slots${labels}`), 3);
	assert.equal(scrape.get(`slime_hub_agent_slots_used${labels}`), 1);
	assert.equal(scrape.get(`slime_hub_agent_paused${labels}`), 0);
	assert.equal(scrape.get(`slime_hub_agent_set_aside${labels}`), 0);
	assert.ok((scrape.get(`slime_hub_agent_round_trip_seconds${labels}`) ?? 0) > 0);
	assert.equal(scrape.get('slime_hub_tunnels{state="open"}'), 1);
	assert.equal(scrape.get('slime_hub_requests_in_progress'), 1);
	const before = scrape.get('slime_hub_tunnel_bytes_total{direction="received"}') ?? 0;
	res.end('ok');
	await answer;
	await agent.close();
	await eventually('the hub has noticed', () => one.agents === 0);
	scrape = await Scrape.of(one);
	assert.deepEqual(scrape.series('slime_hub_agent_'), []);
	assert.equal(scrape.get('slime_hub_tunnels{state="open"}'), 0);
	assert.ok((scrape.get('slime_hub_tunnel_bytes_total{direction="received"}') ?? 0) >= before);

	await join(service.address, wish);
	const replacing = await createAgent({
		...wish,
		hubs: [one.agentUrl],
		upstreams: [service.address],
		reportHardware: false,
	});
	t.after(() => replacing.close());
	const opened = (kind: string) => scrape.get(`slime_hub_tunnels_opened_total{kind="${kind}"}`) ?? 0;
	while (opened('replaced') === 0) scrape = await Scrape.of(one);
	assert.equal(opened('first'), 1);
	assert.equal(opened('returned'), 1);
	assert.equal(scrape.series('slime_hub_agent_slots{').length, 1);
});

test('two tokens of one name with the same agent id are told as one', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub: one, join } = await stack(t, [], { hub });
	for (let i = 0; i < 2; i++) {
		await join(service.address, { agentID: 'same', numWorker: 2, token: await token({ name: 'same' }) });
	}
	const scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_agent_slots{agent="same",token="same"}'), 4);
});

test('a queue tells its depth, what it holds and how long those waited who got a worker', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub: one, port } = await stack(t, [service.address], { hub });
	const first = ask(port);
	const [, res] = await arrivals.next();
	const second = ask(port, '/', { method: 'POST', body: 'held', headers: { 'slime-block': '1' } });
	await eventually('it waits', () => one.waiting === 1);
	const depth = async () => Scrape.of(one);
	let scrape = await depth();
	while (scrape.get('slime_hub_queue_held_bytes') !== 4) scrape = await depth();
	assert.equal(scrape.get('slime_hub_queue_depth{scope=""}'), 1);
	assert.equal(scrape.get('slime_hub_queue_wait_seconds_count{scope=""}'), 0);
	res.end();
	(await arrivals.next())[1].end();
	await Promise.all([first, second]);
	scrape = await depth();
	assert.equal(scrape.get('slime_hub_queue_depth{scope=""}'), 0);
	assert.equal(scrape.get('slime_hub_queue_held_bytes'), 0);
	assert.equal(scrape.get('slime_hub_queue_wait_seconds_count{scope=""}'), 1);
	assert.ok((scrape.get('slime_hub_queue_wait_seconds_sum{scope=""}') ?? 0) > 0, 'it waited');
});

test('depth and wait are told by scope, and a scope that no agent has had is told as other', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const keys = [{ name: 'a', key: 'key-a', scopes: ['chat', 'eu'] }];
	const { hub: one, port, join } = await stack(t, [], { hub: { ...hub, keys, appPassword: 'sesame' } });
	const waits = (password: string, scope?: string) =>
		ask(port, '/', {
			headers: { 'slime-block': '1', 'slime-app-password': password, ...(scope && { 'slime-scope': scope }) },
		});
	const asked = [waits('sesame', 'chat'), waits('key-a')];
	await eventually('both wait', () => one.waiting === 2);
	let scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_queue_depth{scope="other"}'), 2);
	await join(service.address, { scopes: ['chat'], numWorker: 2 });
	for (let i = 0; i < 2; i++) (await arrivals.next())[1].end();
	await Promise.all(asked);
	scrape = await Scrape.of(one);
	const depths = ['', 'chat', 'chat,eu'].map((scope) => scrape.get(`slime_hub_queue_depth{scope="${scope}"}`));
	assert.deepEqual(depths, [0, 0, 0]);
	const waited = (scope: string) => scrape.get(`slime_hub_queue_wait_seconds_count{scope="${scope}"}`);
	assert.deepEqual(['', 'chat', 'chat,eu'].map(waited), [0, 1, 1]);

	const leaving = new AbortController();
	const headers = { 'slime-block': '1', 'slime-app-password': 'sesame' };
	const strangers = Array.from({ length: 30 }, (_, i) =>
		ask(port, '/', { headers: { ...headers, 'slime-scope': `made-up-${i}` }, signal: leaving.signal }),
	);
	await eventually('they wait', () => one.waiting === 30);
	scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_queue_depth{scope="other"}'), 30);
	assert.equal(scrape.series('slime_hub_queue_depth').length, 4);
	leaving.abort();
	assert.ok(
		(await Promise.allSettled(strangers)).every(({ status }) => status === 'rejected'),
		'all have left',
	);
});

test('the sums are what the applications counted, under a load of everything', async (t) => {
	const bodies = ['', 'short', 'x'.repeat(100_000)];
	const service = await upstream(t, (req, res) => {
		req.resume();
		const [, kind, size] = (req.url ?? '').split('/');
		const answer = () => {
			if (kind === 'cut') {
				res.write('half');
				setImmediate(() => res.destroy());
			} else res.writeHead(Number(kind)).end(bodies[Number(size)]);
		};
		// It works for a while, so that others have to wait.
		req.once('end', () => setTimeout(answer, 3));
	});
	const keys = [{ name: 'few', key: 'key-few', rate: { requests: 5, period: 3_600_000 } }];
	const { hub: one, port, join } = await stack(t, [], { hub: { ...hub, keys, appPassword: 'sesame' } });
	for (let i = 0; i < 2; i++) await join(service.address);
	const counted = new Map<string, number>();
	const sums = { asked: 0, requestBytes: 0, responseBytes: 0, waited: 0, answeredByUpstream: 0 };
	const count = (answer: Awaited<ReturnType<typeof ask>>) => {
		const error = answer.headers['slime-error'];
		const outcome = error ?? (answer.complete ? 'complete' : 'cut');
		const key = `{status="${Math.floor(answer.status / 100)}xx",outcome="${outcome}"}`;
		counted.set(key, (counted.get(key) ?? 0) + 1);
		if (String(answer.headers['server-timing']).includes('queue')) sums.waited++;
		if (error !== undefined) return;
		sums.answeredByUpstream++;
		sums.responseBytes += Buffer.byteLength(answer.body);
	};
	const random = seeded(5);
	const client = async () => {
		for (let i = 0; i < 15; i++) {
			const kind = ['200', '200', '200', '404', '500', 'cut'][random(6)];
			const body = bodies[random(3)] ?? '';
			const password = ['sesame', 'sesame', 'sesame', 'key-few', 'wrong'][random(5)];
			const headers = { 'slime-app-password': password, 'slime-block': ['0', '1', '1', '1'][random(4)] };
			const answer = await ask(port, `/${kind}/${random(3)}`, { method: 'POST', body, headers });
			sums.asked++;
			count(answer);
			// What is refused is answered before its body is read, which none of it is counted for.
			if (answer.headers['slime-error'] === undefined) sums.requestBytes += body.length;
		}
	};
	await Promise.all(Array.from({ length: 12 }, client));
	await eventually('all have ended', () => one.leased === 0);

	const scrape = await Scrape.of(one);
	const told = scrape.series('slime_hub_requests_total').map((series) => [series.slice(24), scrape.get(series)]);
	assert.deepEqual(Object.fromEntries(told), Object.fromEntries(counted));
	assert.ok(counted.size >= 6, [...counted.keys()].join());
	assert.equal(scrape.get('slime_hub_request_duration_seconds_count'), sums.asked);
	assert.equal(scrape.get('slime_hub_time_to_first_byte_seconds_count'), sums.answeredByUpstream);
	assert.equal(scrape.get('slime_hub_queue_wait_seconds_count{scope=""}'), sums.waited);
	assert.ok(sums.waited > 0, 'some have waited');
	assert.equal(scrape.get('slime_hub_body_bytes_total{direction="response"}'), sums.responseBytes);
	assert.equal(scrape.get('slime_hub_body_bytes_total{direction="request"}'), sums.requestBytes);
	for (const gauge of [
		'slime_hub_requests_in_progress',
		'slime_hub_queue_depth{scope=""}',
		'slime_hub_queue_held_bytes',
	]) {
		assert.equal(scrape.get(gauge), 0, gauge);
	}
	const used = scrape.series('slime_hub_agent_slots_used').map((series) => scrape.get(series));
	assert.deepEqual(used, [0, 0]);
	const tunnels = (direction: string) => scrape.get(`slime_hub_tunnel_bytes_total{direction="${direction}"}`) ?? 0;
	assert.ok(
		tunnels('sent') > sums.requestBytes && tunnels('received') > sums.responseBytes,
		'tunnels carry more than bodies',
	);
});

test('cancels, replays and refused handshakes are counted by why', async (t) => {
	const arrivals = new Arrivals();
	const service = await upstream(t, arrivals.handler);
	const { hub: one, port, join } = await stack(t, [`127.0.0.1:${await closedPort()}`], { hub });
	const tried = await ask(port);
	assert.equal(tried.headers['slime-error'], 'upstream_unreachable');
	await join(service.address, { numWorker: 4 });

	const leaving = new AbortController();
	const left = ask(port, '/', { signal: leaving.signal });
	const [, res] = await arrivals.next();
	const closed = once(res, 'close');
	leaving.abort();
	await assert.rejects(left);
	await closed;

	const refused = connect(port, '127.0.0.1');
	refused.write('GET /.slime/tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\n');
	refused.write('Authorization: Bearer wrong\r\nSlime-Agent-Id: a\r\n\r\n');
	refused.resume();
	await once(refused, 'close');

	const scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_cancels_total{reason="app_gone"}'), 1);
	assert.equal(scrape.get('slime_hub_requests_total{status="none",outcome="app_gone"}'), 1);
	assert.equal(scrape.get('slime_hub_refused_handshakes_total{reason="unauthorized"}'), 1);
	const replays = scrape.get('slime_hub_replays_total{reason="upstream"}') ?? 0;
	assert.ok(replays === 1 || replays === 2, `${replays} replays`);
});

test('no text of an application or of a secret is in a scrape', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const { hub: one, port } = await stack(t, [service.address], { hub: { ...hub, appPassword: 'shibboleth' } });
	const headers = { 'slime-app-password': 'shibboleth', 'slime-affinity': 'shibboleth', 'x-request-id': 'shibboleth' };
	await ask(port, '/shibboleth?shibboleth', { headers });
	await ask(port, '/', { headers: { ...headers, 'slime-scope': 'shibboleth' } });
	const { text } = await Scrape.of(one);
	assert.ok(!text.includes('shibboleth'));
});

test('connections that say nothing are told of by the phase that they were in', async (t) => {
	const { hub: one, port } = await stack(t, [], { hub: { ...hub, headersTimeout: 200 } });
	await (await RawClient.open(t, port)).all();
	const scrape = await Scrape.of(one);
	assert.equal(scrape.get('slime_hub_connections_ended_total{phase="first_byte"}'), 1);
	assert.equal(scrape.get('slime_hub_connections_ended_total{phase="tls_handshake"}'), 0);
});

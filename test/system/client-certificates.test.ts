/** Who must bring a certificate, and that an agent's is for the name of its token. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import type { GivenHubOptions } from '../../src/index.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { type Stack, stack, token, upstream } from '../helpers/stack.ts';
import { askTls, refusal, type TlsFiles, tlsFiles } from '../helpers/tls-clients.ts';

const WANTS = /answered 401: This hub wants a client certificate that its CA signed\.$/;
const UNTRUSTED = 'The client certificate is not one that this hub trusts.';

interface Scene extends Stack {
	readonly own: TlsFiles;
	/** Of a CA that the hub does not know. */
	readonly others: TlsFiles;
}

/** A hub with client certificates, and an agent that has one. */
async function scene(t: TestContext, hub: Partial<GivenHubOptions> = {}): Promise<Scene> {
	const own = await tlsFiles(t);
	const others = await tlsFiles(t);
	const service = await upstream(t, (_req, res) => res.end('served'));
	const tls = { cert: own.files.cert, key: own.files.key, clientCa: own.files.ca };
	const { ca, clientCert, clientKey } = own.files;
	const started = await stack(t, [service.address], {
		hub: { tls, ...hub },
		agent: { ca, tlsCert: clientCert, tlsKey: clientKey },
	});
	return { ...started, own, others };
}

/** What an application shows. */
function showing({ own, others }: Scene) {
	const { ca } = own.pem;
	return {
		nothing: { ca },
		good: { ca, cert: own.pem.clientCert, key: own.pem.clientKey },
		bad: { ca, cert: others.pem.clientCert, key: others.pem.clientKey },
	};
}

function agentsOf({ hub, own, others }: Scene) {
	const hubs = [hub.agentUrl];
	const { ca } = own.files;
	return {
		nothing: { hubs, ca },
		bad: { hubs, ca, tlsCert: others.files.clientCert, tlsKey: others.files.clientKey },
	};
}

/** The body, or the status and sentence of an error, or that there was no connection. */
async function overHttp1(port: number, options: object): Promise<string> {
	const answer = await askTls(port, options).catch(() => undefined);
	if (answer === undefined) return 'no connection';
	return answer.status === 200 ? answer.body : `${answer.status} ${JSON.parse(answer.body).error.message}`;
}

async function overHttp2(t: TestContext, port: number, options: object): Promise<string> {
	const session = await h2Connect(t, `https://localhost:${port}`, options).catch(() => undefined);
	if (session === undefined) return 'no connection';
	const { status, body } = await h2Ask(session).catch(() => ({ status: 0, body: '' }));
	session.destroy();
	if (status === 0) return 'no connection';
	return status === 200 ? body : `${status} ${JSON.parse(body).error.message}`;
}

test('agents: an agent without a right certificate is refused, applications need none', async (t) => {
	const world = await scene(t);
	for (const options of Object.values(showing(world))) {
		assert.equal(await overHttp1(world.port, options), 'served');
		assert.equal(await overHttp2(t, world.port, options), 'served');
	}
	const agents = agentsOf(world);
	const without = await refusal(t, agents.nothing);
	assert.match(without.text, WANTS);
	assert.match((await refusal(t, agents.bad)).text, WANTS);
	assert.equal(without.level, 'error');
	assert.ok(without.retryInMs >= 15_000);
});

test('all: nobody without a right certificate gets a connection', async (t) => {
	const world = await scene(t, { clientAuth: 'all' });
	const { nothing, good, bad } = showing(world);
	assert.equal(await overHttp1(world.port, good), 'served');
	assert.equal(await overHttp2(t, world.port, good), 'served');
	for (const options of [nothing, bad]) {
		assert.equal(await overHttp1(world.port, options), 'no connection');
		assert.equal(await overHttp2(t, world.port, options), 'no connection');
	}
	const agents = agentsOf(world);
	assert.match((await refusal(t, agents.nothing)).text, /refused this agent's certificate, or asks for one/);
	assert.match((await refusal(t, agents.bad)).text, /perhaps it does not trust this agent's certificate$/);
	assert.equal(world.hub.agents, 1);
});

test('optional: nobody needs a certificate, but a wrong one is refused', async (t) => {
	const world = await scene(t, { clientAuth: 'optional' });
	const { nothing, good, bad } = showing(world);
	for (const options of [nothing, good]) {
		assert.equal(await overHttp1(world.port, options), 'served');
		assert.equal(await overHttp2(t, world.port, options), 'served');
	}
	assert.equal(await overHttp1(world.port, bad), `401 ${UNTRUSTED}`);
	assert.equal(await overHttp2(t, world.port, bad), `401 ${UNTRUSTED}`);
	const agents = agentsOf(world);
	await world.join('127.0.0.1:9', { ca: agents.nothing.ca });
	assert.ok((await refusal(t, agents.bad)).text.endsWith(`answered 401: ${UNTRUSTED}`));
});

test('a resumed session without a certificate is none of an agent', async (t) => {
	const { port, own } = await scene(t);
	const first = connect({ host: '127.0.0.1', port, ca: own.pem.ca, minVersion: 'TLSv1.3' });
	const [session] = (await once(first, 'session')) as [Buffer];
	first.destroy();
	const second = connect({ host: '127.0.0.1', port, ca: own.pem.ca, minVersion: 'TLSv1.3', session });
	t.after(() => second.destroy());
	await once(second, 'secureConnect');
	assert.ok(second.isSessionReused());
	const fields = `Host: hub\r\nConnection: Upgrade\r\nUpgrade: h2c-reverse\r\nSlime-Agent-Id: thief`;
	second.write(`GET /.slime/tunnel HTTP/1.1\r\n${fields}\r\nAuthorization: Bearer ${await token()}\r\n\r\n`);
	const [answer] = (await once(second, 'data')) as [Buffer];
	assert.match(answer.toString(), /^HTTP\/1\.1 401 .*wants a client certificate/s);
});

test('with bindIdentity a token works with a certificate for its name alone', async (t) => {
	const names = ['gpu-1', 'spiffe://slime.test/gpu-1'];
	const own = await tlsFiles(t, { clientName: 'gpu-9', clientNames: names });
	const { cert, key, ca, clientCert, clientKey } = own.files;
	const { hub, join } = await stack(t, [], { hub: { tls: { cert, key, clientCa: ca }, bindIdentity: true } });
	const shown = { ca, tlsCert: clientCert, tlsKey: clientKey };
	for (const name of names) await join('127.0.0.1:9', { ...shown, token: await token({ name }) });
	for (const name of ['gpu-2', 'gpu-9', 'GPU-1']) {
		const { text, retryInMs } = await refusal(t, { ...shown, hubs: [hub.url], token: await token({ name }) });
		const held = 'gpu-1, spiffe://slime.test/gpu-1';
		assert.ok(
			text.endsWith(
				`answered 401: The client certificate is for ${held}, but the token is for ${name}: they must name the same agent.`,
			),
			text,
		);
		assert.ok(retryInMs >= 15_000);
	}
	assert.equal(hub.agents, 2);
});

test('with bindIdentity a certificate without names is for its common name', async (t) => {
	const { files } = await tlsFiles(t, { clientName: 'gpu-9' });
	const tls = { cert: files.cert, key: files.key, clientCa: files.ca };
	const { join } = await stack(t, [], { hub: { tls, bindIdentity: true } });
	const shown = { ca: files.ca, tlsCert: files.clientCert, tlsKey: files.clientKey };
	await join('127.0.0.1:9', { ...shown, token: await token({ name: 'gpu-9' }) });
});

test('with bindIdentity an agent needs a certificate even where they are optional', async (t) => {
	const { files } = await tlsFiles(t);
	const tls = { cert: files.cert, key: files.key, clientCa: files.ca };
	const { hub } = await stack(t, [], { hub: { tls, bindIdentity: true, clientAuth: 'optional' } });
	assert.match((await refusal(t, { hubs: [hub.url], ca: files.ca })).text, WANTS);
});

test('what needs a client CA is refused without one', async (t) => {
	await assert.rejects(stack(t, [], { hub: { bindIdentity: true } }), /bindIdentity needs a clientCa/);
	await assert.rejects(stack(t, [], { hub: { clientAuth: 'all' } }), /clientAuth all needs a clientCa/);
});

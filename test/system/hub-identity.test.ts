/** How an agent makes sure that it is its hub that answers: the name of its certificate, and the key in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { pinOf } from '../../src/tls/pins.ts';
import { stack, token } from '../helpers/stack.ts';
import { refusal, tlsFiles } from '../helpers/tls-clients.ts';

test('an agent joins a hub whose key is one of those that are pinned', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const { join } = await stack(t, [], { hub: { tls: { cert: files.cert, key: files.key } } });
	await join('127.0.0.1:9', { ca: files.ca, pin: [pinOf(pem.ca), pinOf(pem.cert)] });
});

test('a hub with another key gets no token, and is asked slowly', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const { hub, log } = await stack(t, [], { hub: { tls: { cert: files.cert, key: files.key } } });
	// The key of the CA that signed it is not the key of the hub.
	const { text, level, retryInMs } = await refusal(t, { hubs: [hub.url], ca: files.ca, pin: [pinOf(pem.ca)] });
	assert.ok(
		text.includes(`has another key than the one that is pinned: its pin is ${pinOf(pem.cert)}; see --pin`),
		text,
	);
	assert.equal(level, 'error');
	assert.ok(retryInMs >= 15_000, String(retryInMs));
	assert.ok(!log.has('agent'));
});

test('a pin does not make a certificate trusted', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const { hub } = await stack(t, [], { hub: { tls: { cert: files.cert, key: files.key } } });
	const { text } = await refusal(t, { hubs: [hub.url], pin: [pinOf(pem.cert)] });
	assert.match(text, /certificate that is not trusted here/);
});

test('with a server name the certificate must be for that name, whatever the address', async (t) => {
	const { files } = await tlsFiles(t, { hosts: ['hub.test', '10.1.2.3'] });
	const { hub, join } = await stack(t, [], { hub: { tls: { cert: files.cert, key: files.key } } });
	const { ca } = files;
	await join('127.0.0.1:9', { ca, serverName: 'hub.test' });
	await join('127.0.0.1:9', { ca, serverName: '10.1.2.3' });
	for (const serverName of [undefined, 'other.test', '10.1.2.4']) {
		assert.match((await refusal(t, { hubs: [hub.url], ca, serverName })).text, /has a certificate for another name/);
	}
});

test('what needs https is refused without it', async () => {
	const agent = { token: await token(), upstreams: ['127.0.0.1:9'] };
	const pin = [`sha256/${Buffer.alloc(32).toString('base64')}`];
	const hubs = ['https://a.test', 'b.test:80'];
	await assert.rejects(createAgent({ ...agent, hubs, pin }), /a pin needs hubs with https/);
	await assert.rejects(
		createAgent({ ...agent, hubs: ['b.test:80'], serverName: 'a.test' }),
		/needs a hub with an https/,
	);
	await assert.rejects(createAgent({ ...agent, hubs: ['https://a.test'], pin: ['sha256/x'] }), /is not a pin/);
});

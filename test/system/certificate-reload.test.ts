/** Certificates that are replaced while a hub and its agents run. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { test } from 'node:test';
import { createHub } from '../../src/index.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { h2Connect } from '../helpers/h2-app.ts';
import { Arrivals, eventually, LogSink, SECRET, stack, upstream } from '../helpers/stack.ts';
import { askTls, refusal, type TlsFiles, tlsFiles } from '../helpers/tls-clients.ts';

const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256;

/** As tools that renew certificates do: beside the old ones, then by rename. */
async function replace(files: TlsFiles['files'], pem: Partial<TlsFiles['pem']>): Promise<void> {
	for (const name of ['key', 'cert', 'ca', 'clientKey', 'clientCert'] as const) {
		const text = pem[name];
		if (text === undefined) continue;
		await writeFile(`${files[name]}.new`, text, { mode: 0o600 });
		await rename(`${files[name]}.new`, files[name]);
	}
}

test('a certificate that is replaced is shown to new connections, and open ones go on', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const arrivals = new Arrivals();
	const service = await upstream(t, (req, res) => (req.url === '/stream' ? arrivals.handler(req, res) : res.end('ok')));
	const { hub, port, log } = await stack(t, [service.address], {
		hub: { tls: { cert: files.cert, key: files.key }, agentPort: 0 },
		agent: { ca: files.ca },
	});
	const req = request({ host: '127.0.0.1', port, path: '/stream', agent: false, ca: pem.ca });
	req.end();
	const [, res] = await arrivals.next();
	res.write('before,');
	const [streaming] = (await once(req, 'response')) as [IncomingMessage];
	let text = '';
	streaming.setEncoding('utf8').on('data', (chunk: string) => {
		text += chunk;
	});
	await eventually('the first part', () => text === 'before,');

	const next = makeCertificates();
	await replace(files, next);
	// The agent's own authorities are among the files, and it says the same of them.
	const reloaded = ({ msg, files: read }: Record<string, unknown>) =>
		msg === 'certificates reloaded' && (read as string[]).includes(files.cert);
	await eventually('the certificates are reloaded', () => log.lines.some(reloaded));
	const agentPort = hub.agentAddress?.port ?? 0;
	for (const at of [port, agentPort]) {
		assert.equal((await askTls(at, { ca: next.ca })).fingerprint, fingerprint(next.cert));
		await assert.rejects(askTls(at, { ca: pem.ca }), { code: /CERT|VERIFY|SIGNATURE|ISSUER/ });
	}
	const session = await h2Connect(t, `https://localhost:${port}`, { ca: next.ca });
	assert.equal(session.alpnProtocol, 'h2');

	assert.equal(text, 'before,');
	res.end('after');
	await once(streaming, 'end');
	assert.equal(text, 'before,after');
	assert.ok(streaming.complete);
	assert.equal(hub.agents, 1);
	assert.ok(!log.has('disconnected'));
});

test('files that are not right change nothing, and why is logged once', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const { hub, port, log } = await stack(t, [], { hub: { tls: { cert: files.cert, key: files.key } } });
	const next = makeCertificates();
	const faults = () => log.lines.filter(({ level }) => level === 'error').map(({ reason }) => String(reason));
	await replace(files, { cert: next.cert });
	await eventually('the fault is logged', () => faults().length > 0);
	assert.equal(faults().length, 1);
	assert.match(faults()[0] ?? '', /key\.pem: is not the key of the first certificate in .*cert\.pem$/);
	assert.equal((await askTls(port, { ca: pem.ca })).fingerprint, fingerprint(pem.cert));
	await replace(files, { key: next.key });
	hub.reload();
	assert.equal((await askTls(port, { ca: next.ca })).fingerprint, fingerprint(next.cert));
	assert.equal(faults().length, 1);
});

test('a client CA that is replaced counts for agents that come from then on', async (t) => {
	const { files, pem } = await tlsFiles(t);
	const { cert, key, clientCert, clientKey } = files;
	const other = await tlsFiles(t);
	const clientCa = `${files.ca}-of-clients`;
	await writeFile(clientCa, pem.ca);
	const { hub, join } = await stack(t, [], { hub: { tls: { cert, key, clientCa } } });
	await join('127.0.0.1:9', { ca: files.ca, tlsCert: clientCert, tlsKey: clientKey });
	await writeFile(clientCa, other.pem.ca);
	hub.reload();
	const old = { hubs: [hub.url], ca: files.ca, tlsCert: clientCert, tlsKey: clientKey };
	assert.match((await refusal(t, old)).text, /wants a client certificate/);
	await join('127.0.0.1:9', { ca: files.ca, tlsCert: other.files.clientCert, tlsKey: other.files.clientKey });
	assert.equal(hub.agents, 2);
});

test('an agent shows its new certificate, and trusts its new CA, when it dials the next time', async (t) => {
	const { files } = await tlsFiles(t);
	const tls = { cert: files.cert, key: files.key, clientCa: files.ca };
	const first = await stack(t, [], { hub: { tls } });
	const log = new LogSink();
	const shown = { ca: files.ca, tlsCert: files.clientCert, tlsKey: files.clientKey };
	const agent = await first.join('127.0.0.1:9', { ...shown, logger: log.logger });

	// All is of another CA now: the hub that comes back at the same address, and the agent's files.
	await replace(files, makeCertificates());
	await eventually('the agent reloads', () => log.has('certificates reloaded'));
	assert.equal(agent.connected, 1);
	assert.ok(!log.has('disconnected'));
	await first.hub.close();
	const second = await createHub({ secret: SECRET, host: '127.0.0.1', port: first.port, adminPort: 'off', tls });
	t.after(() => second.close());
	await eventually('the agent is back', () => second.agents === 1, 25_000);
});

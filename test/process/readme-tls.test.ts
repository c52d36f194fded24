/** The README's way to TLS and client certificates, word for word: what a reader pastes is what runs here. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { closedPort } from '../helpers/ports.ts';
import { shell } from '../helpers/shell.ts';
import { eventually } from '../helpers/stack.ts';
import { askTls } from '../helpers/tls-clients.ts';

/** The hub's, and that of the service. */
const PORTS = [8443, 8000];

/** The shell blocks below a heading, up to the next one. */
async function blocks(file: string, heading: string): Promise<string[]> {
	const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
	const section = text.split(/^(?=#{1,3} )/m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
	return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

test('the ways to TLS in both languages have the same commands', async () => {
	const english = await blocks('README.md', '### TLS');
	assert.ok(english.length >= 5);
	assert.deepEqual(await blocks('README.zh.md', '### TLS'), english);
});

test('the way to TLS in the README leads to a served request, and to renewed certificates', async (t) => {
	let text = (await blocks('README.md', '### TLS')).join('\0');
	const ports: number[] = [];
	for (const written of PORTS) {
		assert.ok(text.includes(String(written)));
		// In place of those written, which another test may have at the same time.
		const port = await closedPort();
		text = text.replaceAll(String(written), String(port));
		ports.push(port);
	}
	const [hubPort = 0, servicePort = 0] = ports;
	const service = createServer((req, res) =>
		res.end(`served ${req.url} ${req.headers.authorization ?? 'without a key'}`),
	);
	service.listen(servicePort, '127.0.0.1');
	await once(service, 'listening');
	t.after(() => service.close());

	const { dir, shell: sh } = await shell(t);
	const logs: { output(): string }[] = [];
	const answers: string[] = [];
	let renewals = 0;
	const certificate = async () => new X509Certificate(await readFile(join(dir, 'certs/hub.crt'))).fingerprint256;
	const shown = async () => (await askTls(hubPort, { ca: await readFile(join(dir, 'certs/ca.crt')) })).fingerprint;
	for (const block of text.split('\0')) {
		if (block.startsWith('slime hub run')) logs.push(await sh.start(block, /"the hub listens"/));
		else if (block.startsWith('slime agent run')) logs.push(await sh.start(block, /"connected"/));
		else if (block.startsWith('curl')) answers.push(await sh.run(block));
		else if (block.includes('--force')) {
			const before = await certificate();
			assert.equal(await shown(), before);
			await sh.run(block);
			renewals++;
			assert.notEqual(await certificate(), before);
			await eventually('hub and agent have reloaded', () =>
				logs.every((log) => log.output().includes('"certificates reloaded"')),
			);
			assert.equal(await shown(), await certificate());
		} else await sh.run(block);
	}
	// The app password was taken off.
	assert.deepEqual(answers, ['served /v1/models without a key']);
	assert.equal(logs.length, 2);
	assert.equal(renewals, 1);
	// A look between the two files of a renewal is no fault of the way: the next one finds both.
	const faults = logs.flatMap((log) =>
		log
			.output()
			.split('\n')
			.filter((line) => /"level":"(?:error|fatal)"/.test(line)),
	);
	assert.deepEqual(
		faults.filter((line) => !line.includes('the certificates were not reloaded')),
		[],
	);
});

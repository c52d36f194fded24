/** Certificates as files, and clients over TLS: applications that say what they saw, agents that are not let in. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createAgent, type GivenAgentOptions } from '../../src/index.ts';
import { type CertificateOptions, type Certificates, makeCertificates, writeCertificates } from './certificates.ts';
import { eventually, LogSink, readAnswer, token } from './stack.ts';

export interface TlsFiles {
	readonly dir: string;
	/** PEM texts. */
	readonly pem: Certificates;
	/** Paths. */
	readonly files: Certificates;
}

/** Files of a new CA's certificates, gone after the test. */
export async function tlsFiles(context: TestContext, options?: CertificateOptions): Promise<TlsFiles> {
	const dir = await mkdtemp(join(tmpdir(), 'slime-tls-'));
	context.after(() => rm(dir, { recursive: true, force: true }));
	const pem = makeCertificates(options);
	return { dir, pem, files: await writeCertificates(dir, pem) };
}

export interface TlsAnswer {
	readonly status: number;
	readonly headers: IncomingMessage['headers'];
	readonly body: string;
	/** SHA-256 of the server's certificate. */
	readonly fingerprint: string | undefined;
}

/** One request on a connection of its own. */
export async function askTls(port: number, options: RequestOptions = {}): Promise<TlsAnswer> {
	const req = request({ host: '127.0.0.1', port, agent: false, ...options });
	req.end();
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	const fingerprint = (res.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256;
	const { status, headers, body } = await readAnswer(res);
	return { status, headers, body, fingerprint };
}

/** Starts an agent that does not get in, and tells why, in its own words, and for how long it will wait. */
export async function refusal(
	context: TestContext,
	options: Partial<GivenAgentOptions> & Pick<GivenAgentOptions, 'hubs'>,
): Promise<{ text: string; retryInMs: number; level: unknown }> {
	const log = new LogSink();
	const agent = await createAgent({
		token: options.token ?? (await token()),
		upstreams: ['127.0.0.1:9'],
		agentID: 'refused',
		reportHardware: false,
		logger: log.logger,
		...options,
	});
	context.after(() => agent.close());
	const found = () => log.lines.find((line) => String(line.msg).startsWith('not connected'));
	await eventually('the agent is refused', () => found() !== undefined);
	const { msg, retryInMs, level } = found() ?? {};
	return { text: String(msg), retryInMs: Number(retryInMs), level };
}

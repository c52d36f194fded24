/** An application that speaks HTTP/2, through Node's http2: what it is answered, and how that ended. */
import { once } from 'node:events';
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	type IncomingHttpHeaders,
	type OutgoingHttpHeaders,
	type SecureClientSessionOptions,
} from 'node:http2';
import type { TestContext } from 'node:test';

export interface H2Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly trailers: IncomingHttpHeaders;
	readonly informational: IncomingHttpHeaders[];
	readonly body: string;
	/** RST_STREAM's code; 0 for a whole response. */
	readonly code: number;
}

export async function h2Connect(
	context: TestContext,
	url: string,
	options: SecureClientSessionOptions = {},
): Promise<ClientHttp2Session> {
	const session = connect(url, options);
	session.on('error', () => session.destroy());
	context.after(() => session.destroy());
	await once(session, 'connect');
	return session;
}

export async function h2Ask(
	session: ClientHttp2Session,
	path = '/',
	{ method = 'GET', headers, body }: { method?: string; headers?: OutgoingHttpHeaders; body?: string | Buffer } = {},
): Promise<H2Answer> {
	const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined });
	if (body !== undefined) stream.end(body);
	return h2Answer(stream);
}

/** Everything until the stream is over. */
export async function h2Answer(stream: ClientHttp2Stream): Promise<H2Answer> {
	const chunks: Buffer[] = [];
	const informational: IncomingHttpHeaders[] = [];
	let headers: IncomingHttpHeaders = {};
	let trailers: IncomingHttpHeaders = {};
	stream.on('headers', (section) => informational.push(section));
	stream.on('response', (section) => {
		headers = section;
	});
	stream.on('trailers', (section) => {
		trailers = section;
	});
	stream.on('data', (chunk: Buffer) => chunks.push(chunk));
	stream.on('error', () => undefined);
	await new Promise((resolve) => stream.once('close', resolve));
	return {
		status: Number(headers[':status'] ?? 0),
		headers,
		trailers,
		informational,
		body: Buffer.concat(chunks).toString('utf8'),
		code: stream.rstCode,
	};
}

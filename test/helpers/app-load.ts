/** Applications that ask one request after the other, by every kind of connection, and what became of them. */
import { Agent as HttpAgent, type RequestOptions, request } from 'node:http';
import { connect, constants } from 'node:http2';
import type { TestContext } from 'node:test';
import { eventually } from './stack.ts';

/** Requests at a time. */
export const APPS = 6;

/** None of its requests asks to wait. All that is served must be `200 partrest`. */
export class AppLoad {
	served = 0;
	readonly failures: string[] = [];
	readonly #apps: Promise<void>[] = [];
	#going = true;

	constructor(context: TestContext, port: number) {
		const keepAlive = new HttpAgent({ keepAlive: true });
		context.after(() => keepAlive.destroy());
		const kinds = [() => http1(port, false), () => http1(port, keepAlive), http2(context, port)];
		for (const kind of kinds) this.#apps.push(this.#app(kind), this.#app(kind));
	}

	async #app(kind: () => Promise<string>): Promise<void> {
		while (this.#going) {
			const answer = await kind().catch(String);
			if (answer === '200 partrest') this.served++;
			else this.failures.push(answer);
		}
	}

	async more(than: number): Promise<void> {
		const { served } = this;
		await eventually(`more are served: ${this.failures}`, () => this.served > served + than);
	}

	async stop(): Promise<void> {
		this.#going = false;
		await Promise.all(this.#apps);
	}
}

function http1(port: number, agent: RequestOptions['agent']): Promise<string> {
	return new Promise((resolve, reject) => {
		const req = request({ host: '127.0.0.1', port, agent, method: 'POST' }, (res) => {
			let body = '';
			res.setEncoding('utf8').on('data', (text) => {
				body += text;
			});
			res.on('error', reject);
			res.on('end', () => resolve(`${res.statusCode} ${body}`));
		});
		req.on('error', (error: NodeJS.ErrnoException) => {
			// An idle connection may be closed just as a request goes out on it: that request is sent again (RFC 9112 section 9.3.1).
			if (req.reusedSocket && error.code === 'ECONNRESET') http1(port, agent).then(resolve, reject);
			else reject(error);
		});
		req.end('a body');
	});
}

/** One connection as long as it may be used, then the next. */
function http2(context: TestContext, port: number): () => Promise<string> {
	const open = () => {
		const session = connect(`http://127.0.0.1:${port}`);
		session.on('error', () => undefined);
		return session;
	};
	let session = open();
	context.after(() => session.destroy());
	const ask = (): Promise<string> => {
		// A GOAWAY closes it, as far as Node is concerned, while its streams go on.
		if (session.closed || session.destroyed) session = open();
		const asked = session;
		return new Promise((resolve, reject) => {
			const stream = asked.request({ ':method': 'POST' });
			let status: unknown;
			let body = '';
			stream.on('response', (headers) => {
				status = headers[':status'];
			});
			stream.setEncoding('utf8').on('data', (text) => {
				body += text;
			});
			stream.on('error', (error) => {
				// What Node had not sent yet when the GOAWAY came it refuses itself, to be sent on the next connection (RFC 9113 section 8.7).
				const unsent = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && asked.closed;
				if (unsent) resolve(ask());
				else reject(error);
			});
			stream.on('end', () => {
				if (status !== undefined) resolve(`${status} ${body}`);
			});
			stream.end('a body');
		});
	};
	return ask;
}

/** An upstream whose event stream the test moves on by hand: nothing in it depends on time. */
import { type IncomingMessage, type RequestListener, request, type ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { Arrivals, upstream, WAITS } from './stack.ts';

/** `POST /echo` gives the body back, `/events` waits for the test, anything else tells what arrived. */
export async function talkingUpstream(context: TestContext): Promise<{ address: string; streams: Arrivals }> {
	const streams = new Arrivals();
	const handler: RequestListener = (req, res) => {
		if (req.url === '/events') {
			res.writeHead(200, { 'content-type': 'text/event-stream' });
			streams.handler(req, res);
		} else if (req.url === '/echo') {
			req.pipe(res);
		} else {
			res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers }));
		}
	};
	const { address } = await upstream(context, handler);
	return { address, streams };
}

interface Asking {
	readonly port: number;
	readonly path: string;
	readonly streams: Arrivals;
	readonly headers?: Readonly<Record<string, string>>;
}

/** Opens /events, and reads one event at a time while the upstream's end is still open. */
export async function eventAtOnce(
	context: TestContext,
	{ port, path, streams, headers = WAITS }: Asking,
): Promise<{ app: IncomingMessage; service: ServerResponse; read(): Promise<string> }> {
	const req = request({ host: '127.0.0.1', port, path, headers, agent: false });
	context.after(() => req.destroy());
	const answered = new Promise<IncomingMessage>((resolve, reject) => {
		req.once('response', resolve).once('error', reject);
	});
	req.end();
	const [, service] = await streams.next();
	service.write('data: first\n\n');
	const app = await answered;
	app.setEncoding('utf8');
	// Cutting the app is part of what is tested.
	app.on('error', () => undefined);
	const chunks = app.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
	const read = async () => {
		const { value, done } = await chunks.next();
		return done ? '' : String(value);
	};
	return { app, service, read };
}

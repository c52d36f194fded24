/**
 * The service of the load tests, a process of its own: event streams at a steady pace, an endless download, bytes up and down
 * with their hash, and answers for apps that may leave at any time. Prints its port.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { blocks } from './blocks.ts';
import { TOKEN_MS, token } from './tokens.ts';

/** Streams start at any moment; they are served together once a millisecond, which costs less than a timer for each. */
const STEP_MS = 1;
const ENDLESS = Buffer.alloc(64 * 1024, 'x');
const PART = Buffer.alloc(16 * 1024, 'p');

interface TokenStream {
	readonly res: ServerResponse;
	readonly count: number;
	sent: number;
	due: number;
}

const streams = new Set<TokenStream>();

function step(): void {
	const now = performance.now();
	for (const stream of streams) {
		while (stream.due <= now && stream.sent < stream.count) {
			stream.res.write(token(stream.sent++));
			stream.due += TOKEN_MS;
		}
		if (stream.sent < stream.count) continue;
		streams.delete(stream);
		stream.res.end();
	}
}

function tokens(res: ServerResponse, count: number): void {
	res.writeHead(200, { 'content-type': 'text/event-stream' });
	res.flushHeaders();
	const stream = { res, count, sent: 0, due: performance.now() };
	streams.add(stream);
	res.once('close', () => streams.delete(stream));
}

function endless(res: ServerResponse): void {
	const more = () => {
		while (!res.destroyed && res.write(ENDLESS));
	};
	res.on('drain', more);
	more();
}

function download(res: ServerResponse, size: number): void {
	res.writeHead(200, { 'content-length': size });
	const source = blocks(size);
	const more = () => {
		for (;;) {
			const { value, done } = source.next();
			if (done) {
				res.end();
				return;
			}
			if (!res.write(value)) {
				res.once('drain', more);
				return;
			}
		}
	};
	more();
}

function upload(req: IncomingMessage, res: ServerResponse): void {
	const hash = createHash('sha256');
	req.on('data', (chunk: Buffer) => hash.update(chunk));
	req.on('end', () => res.end(hash.digest('hex')));
}

/** The rest never comes: the app is the one that ends this. */
function part(res: ServerResponse): void {
	res.writeHead(200, { 'content-length': 2 * PART.length });
	res.write(PART);
}

function serve(req: IncomingMessage, res: ServerResponse): void {
	const { pathname, searchParams } = new URL(req.url ?? '/', 'http://upstream');
	const size = Number(searchParams.get('n'));
	if (pathname === '/tokens') tokens(res, size);
	else if (pathname === '/endless') endless(res);
	else if (pathname === '/download') download(res, size);
	else if (pathname === '/upload') upload(req, res);
	else if (pathname === '/echo') req.pipe(res);
	else if (pathname === '/part') part(res);
	else if (pathname === '/never') req.resume();
	else res.end('small');
}

const server = createServer({ requestTimeout: 0 }, (req, res) => {
	req.on('error', () => res.destroy());
	serve(req, res);
});
setInterval(step, STEP_MS);
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`));

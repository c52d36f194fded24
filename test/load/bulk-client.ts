/**
 * Moves many bytes one way and says how, one line of JSON. Usage: PORT `up` | `down` BYTES, or PORT `endless`, which reads until
 * SIGTERM.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { blocks } from './blocks.ts';

export interface BulkReport {
	readonly bytes: number;
	readonly seconds: number;
	/** SHA-256 of what left and of what arrived, in hex. */
	readonly sent: string;
	readonly received: string;
}

const [port, way, bytes] = process.argv.slice(2) as [string, 'up' | 'down' | 'endless', string];
const size = Number(bytes ?? 0);

function ask(path: string, method = 'GET') {
	const headers = method === 'POST' ? { 'content-length': size } : {};
	return request({ host: '127.0.0.1', port, path, method, headers, agent: false });
}

async function answer(req: ReturnType<typeof ask>): Promise<IncomingMessage> {
	const [res] = (await once(req, 'response')) as [IncomingMessage];
	if (res.statusCode !== 200) throw new Error(`${res.statusCode} ${res.headers['slime-error']}`);
	return res;
}

async function up(): Promise<Pick<BulkReport, 'sent' | 'received'>> {
	const hash = createHash('sha256');
	const req = ask('/upload', 'POST');
	const answered = answer(req);
	for (const block of blocks(size)) {
		hash.update(block);
		if (!req.write(block)) await once(req, 'drain');
	}
	req.end();
	let received = '';
	for await (const text of (await answered).setEncoding('latin1')) received += text;
	return { sent: hash.digest('hex'), received };
}

async function down(): Promise<Pick<BulkReport, 'sent' | 'received'>> {
	const req = ask(`/download?n=${size}`);
	req.end();
	const received = createHash('sha256');
	for await (const chunk of await answer(req)) received.update(chunk);
	const sent = createHash('sha256');
	for (const block of blocks(size)) sent.update(block);
	return { sent: sent.digest('hex'), received: received.digest('hex') };
}

/** Says that it reads when the first bytes are there. */
async function endless(): Promise<void> {
	const req = ask('/endless');
	req.end();
	const res = await answer(req);
	let read = 0;
	const began = performance.now();
	const told = new AbortController();
	process.once('SIGTERM', () => {
		told.abort();
		res.destroy();
	});
	res.on('data', (chunk: Buffer) => {
		if (read === 0) process.stdout.write('reading\n');
		read += chunk.length;
	});
	res.on('error', () => undefined);
	await new Promise((resolve) => res.once('close', resolve));
	if (!told.signal.aborted) throw new Error(`ended by itself after ${read} bytes`);
	const seconds = (performance.now() - began) / 1000;
	process.stdout.write(`${JSON.stringify({ bytes: read, seconds })}\n`);
}

if (way === 'endless') {
	await endless();
} else {
	const began = performance.now();
	const hashes = way === 'up' ? await up() : await down();
	const report: BulkReport = { bytes: size, seconds: (performance.now() - began) / 1000, ...hashes };
	process.stdout.write(`${JSON.stringify(report)}\n`);
}

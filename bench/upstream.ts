/** The service at the far end of a measured path, as a process of its own: small answers and streams of tokens. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const SMALL = Buffer.from('0123456789abcdef');
const TOKEN = Buffer.from(`data: ${'x'.repeat(194)}\n\n`);
const TOKENS = 200;
const INTERVAL_MS = 20;

const server = createServer((req, res) => {
	if (req.url !== '/tokens') {
		res.writeHead(200, { 'content-type': 'text/plain', 'content-length': SMALL.length });
		res.end(SMALL);
		return;
	}
	res.writeHead(200, { 'content-type': 'text/event-stream' });
	let sent = 0;
	const timer = setInterval(() => {
		res.write(TOKEN);
		if (++sent < TOKENS) return;
		clearInterval(timer);
		res.end();
	}, INTERVAL_MS);
	res.on('close', () => clearInterval(timer));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

/**
 * Reads many event streams at once and says how they went, one line of JSON. A process of its own, so that what it is late by
 * is its own: it measures that too. Usage: PORT STREAMS TOKENS.
 */
import { connect, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { TOKEN_BYTES } from './tokens.ts';

export interface StreamsReport {
	/** Streams with all their tokens and a proper end. */
	readonly complete: number;
	/** Streams with a token that was not the next one. */
	readonly disordered: number;
	readonly tokens: number;
	/** Milliseconds between two tokens of a stream. */
	readonly gaps: { readonly p50: number; readonly p99: number; readonly max: number };
	/** Most that this process was late by, in milliseconds. */
	readonly lag: number;
	/** How the first stream that failed did. */
	readonly fault: string | null;
}

const [port, streams, tokens] = process.argv.slice(2).map(Number) as [number, number, number];
const gaps = new Float32Array(streams * tokens);
let gapCount = 0;
let tokenCount = 0;
let fault: string | null = null;

/** RFC 9112 section 7.1, and tokens of a known size in it. */
class TokenReader {
	next = 0;
	disordered = false;
	ended = false;
	#text = '';
	#body = '';
	#inBody = false;
	#last = 0;

	read(chunk: Buffer): void {
		this.#text += chunk.toString('latin1');
		if (!this.#inBody) {
			const end = this.#text.indexOf('\r\n\r\n');
			if (end < 0) return;
			if (!this.#text.startsWith('HTTP/1.1 200 ')) fault ??= this.#text.slice(0, 300);
			this.#inBody = true;
			this.#text = this.#text.slice(end + 4);
		}
		this.#chunks();
	}

	#chunks(): void {
		let at = 0;
		for (;;) {
			const line = this.#text.indexOf('\r\n', at);
			if (line < 0) break;
			const size = Number.parseInt(this.#text.slice(at, line), 16);
			if (this.#text.length < line + 2 + size + 2) break;
			if (size === 0) this.ended = true;
			else this.#take(this.#text.slice(line + 2, line + 2 + size));
			at = line + 2 + size + 2;
		}
		this.#text = this.#text.slice(at);
	}

	#take(bytes: string): void {
		this.#body += bytes;
		const whole = Math.floor(this.#body.length / TOKEN_BYTES);
		if (whole === 0) return;
		const now = performance.now();
		for (let i = 0; i < whole; i++) {
			if (Number(this.#body.slice(i * TOKEN_BYTES + 6, i * TOKEN_BYTES + 12)) !== this.next) this.disordered = true;
			if (this.next > 0) gaps[gapCount++] = now - this.#last;
			this.#last = now;
			this.next++;
			tokenCount++;
		}
		this.#body = this.#body.slice(whole * TOKEN_BYTES);
	}
}

async function stream(): Promise<TokenReader> {
	const reader = new TokenReader();
	const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
	socket.write(`GET /tokens?n=${tokens} HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n`);
	await new Promise<void>((resolve) => {
		socket.on('data', (chunk) => {
			reader.read(chunk);
			if (reader.ended) socket.end();
		});
		socket.on('error', (error) => {
			fault ??= error.message;
		});
		socket.on('close', resolve);
	});
	if (!reader.ended || reader.next !== tokens) fault ??= `cut after ${reader.next} tokens`;
	return reader;
}

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
const readers = await Promise.all(Array.from({ length: streams }, stream));
delay.disable();
const sorted = gaps.subarray(0, gapCount).sort();
const at = (share: number) => Math.round(sorted[Math.floor((gapCount - 1) * share)] ?? Number.NaN);
const report: StreamsReport = {
	complete: readers.filter(({ ended, next }) => ended && next === tokens).length,
	disordered: readers.filter(({ disordered }) => disordered).length,
	tokens: tokenCount,
	gaps: { p50: at(0.5), p99: at(0.99), max: at(1) },
	lag: Math.round(delay.max / 1e6),
	fault,
};
process.stdout.write(`${JSON.stringify(report)}\n`);

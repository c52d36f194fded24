/**
 * A response on its way to an HTTP/1.1 app, written so that a head with a small body, or a token of a stream, is one piece for
 * the socket. Owns the framing of the body and what a cut looks like; knows nothing of tunnels.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FieldList } from '../h2/protocol.ts';

/** Bodies and chunks up to this size are cheaper to copy behind their framing than to send as pieces. */
const COPY_BYTES = 2048;
const CRLF = Buffer.from('\r\n');

export class AppResponse {
	readonly #req: IncomingMessage;
	readonly #res: ServerResponse;
	/** We write the chunked form (RFC 9112 section 7.1) ourselves: Node would hand each token over in four pieces. */
	#chunked = false;

	constructor(req: IncomingMessage, res: ServerResponse) {
		this.#req = req;
		this.#res = res;
	}

	/** Settles the head, which leaves with the first bytes, or with flush(). `raw` is name, value … */
	head(status: number, raw: string[]): void {
		const res = this.#res;
		res.writeHead(status, raw);
		if (res.chunkedEncoding) {
			res.chunkedEncoding = false;
			this.#chunked = true;
		}
	}

	flush(): void {
		this.#res.flushHeaders();
	}

	/** @returns false when the app is not keeping up: drain follows */
	write(chunk: Buffer): boolean {
		const res = this.#res;
		if (!this.#chunked) return res.write(chunk);
		if (chunk.length <= COPY_BYTES) return res.write(framed(chunk, ''));
		res.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
		res.write(chunk);
		return res.write(CRLF);
	}

	/** @param trailers for the chunked form; there is no other place for them in HTTP/1.1 */
	end(last: Buffer | null, trailers: FieldList): void {
		const res = this.#res;
		if (this.#chunked) {
			let text = '0\r\n';
			for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
			text += '\r\n';
			if (last === null) res.end(text, 'latin1');
			else if (last.length <= COPY_BYTES) res.end(framed(last, text));
			else {
				this.write(last);
				res.end(text, 'latin1');
			}
		} else if (last === null) {
			res.end();
		} else if (last.length <= COPY_BYTES) {
			// As a string it joins the head in one write.
			res.end(last.toString('latin1'), 'latin1');
		} else {
			res.end(last);
		}
	}

	/** A 1xx response (RFC 9110 section 15.2); left out for an app that does not read. */
	information(section: FieldList): void {
		const { socket } = this.#res;
		if (
			socket === null ||
			socket.writableNeedDrain ||
			this.#res.headersSent ||
			this.#req.httpVersion === '1.0' ||
			section[1] === '100'
		)
			return;
		let text = `HTTP/1.1 ${section[1]} ${section[1] === '103' ? 'Early Hints' : 'Information'}\r\n`;
		for (let i = 2; i < section.length; i += 2) text += `${section[i]}: ${section[i + 1]}\r\n`;
		socket.write(`${text}\r\n`, 'latin1');
	}

	/** HTTP/1.1 lacks its last chunk or bytes; HTTP/1.0 has only the reset to tell a cut from an end. */
	cut(): void {
		const { socket } = this.#res;
		if (this.#req.httpVersion === '1.0' && socket && !('encrypted' in socket)) socket.resetAndDestroy();
		else this.#res.destroy();
	}
}

/** One chunk in the chunked form, and what follows it. */
function framed(chunk: Buffer, after: string): Buffer {
	const size = chunk.length.toString(16);
	const bytes = Buffer.allocUnsafe(size.length + 2 + chunk.length + 2 + after.length);
	let at = bytes.write(size, 'latin1');
	bytes[at++] = 0x0d;
	bytes[at++] = 0x0a;
	at += chunk.copy(bytes, at);
	bytes[at++] = 0x0d;
	bytes[at++] = 0x0a;
	if (after !== '') bytes.write(after, at, 'latin1');
	return bytes;
}
